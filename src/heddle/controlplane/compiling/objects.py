"""An object of the store as the compiler knows it: read once, with its name in the snapshot and what it says of itself.

Owns reading objects into structs, one by one and without looking at any other; whatever an object is, reading it gives
something. Names of the snapshot are global: what stands in the root namespace keeps its name, all else is called
`NAME.NAMESPACE`.
"""

import re
from typing import Any, NamedTuple

import msgspec

from heddle.drivers.documents import Key
from heddle.model.check import check
from heddle.model.meta import ORDER
from heddle.model.problem import Place, Problem, Report, Source
from heddle.model.reading import Reading
from heddle.model.resources import KINDS

ROOT = "default"
"""Namespace whose policies hold for the whole mesh, and whose objects keep their plain names."""
NO_NAMESPACE: frozenset[str] = frozenset({"namespaces"})
RESOURCES: dict[str, tuple[str, str]] = {
    "secrets": ("", "Secret"),
    "configmaps": ("", "ConfigMap"),
    "services": ("", "Service"),
    "namespaces": ("", "Namespace"),
    "referencegrants.gateway.networking.k8s.io": ("gateway.networking.k8s.io", "ReferenceGrant"),
    "gateways.gateway.networking.k8s.io": ("gateway.networking.k8s.io", "Gateway"),
    "httproutes.gateway.networking.k8s.io": ("gateway.networking.k8s.io", "HTTPRoute"),
    "gatewayparameters.heddle.dev": ("heddle.dev", "GatewayParameters"),
    "backends.heddle.dev": ("heddle.dev", "Backend"),
    "models.heddle.dev": ("heddle.dev", "Model"),
    "virtualservers.heddle.dev": ("heddle.dev", "VirtualServer"),
    "policies.heddle.dev": ("heddle.dev", "Policy"),
    "remotemcpservers.kagent.dev": ("kagent.dev", "RemoteMCPServer"),
    "mcpservers.kagent.dev": ("kagent.dev", "MCPServer"),
    "modelconfigs.kagent.dev": ("kagent.dev", "ModelConfig"),
    "modelproviderconfigs.kagent.dev": ("kagent.dev", "ModelProviderConfig"),
    "agents.kagent.dev": ("kagent.dev", "Agent"),
}
"""What is compiled: resource -> its group and kind."""
BY_KIND: dict[tuple[str, str], str] = {kind: resource for resource, kind in RESOURCES.items()}
_TYPED = (
    "Secret", "ConfigMap", "Gateway", "GatewayParameters", "Backend", "Model", "VirtualServer", "Policy",
    "RemoteMCPServer", "MCPServer",
)  # fmt: skip
"""Kinds that are read into their structs; the others are read as they are."""
_STRUCTS = {kind: (version, struct) for (version, kind), struct in KINDS.items() if kind in _TYPED}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z\Z")
_NO_TIME = "9999"
MAX_MESSAGE = 2048
"""Characters of a condition's message; the API of conditions takes 32,768."""


class Fact(NamedTuple):
    """Something that an object says of itself and others ask for by `topic`, not by the object's name."""

    topic: tuple[str, ...]
    value: Any = None


class Seen(NamedTuple):
    """An object, read."""

    key: Key
    raw: dict[str, Any]
    """As stored."""
    order: str
    """Who is older is before; then by namespace and name."""
    resource: Any
    """The struct of its kind; None when it cannot be one, or is read as it is."""
    problems: tuple[Problem, ...]
    """What keeps it from being one."""
    source: Source

    @property
    def spec(self) -> dict[str, Any]:
        """Its spec as plain data; empty when it is none."""
        return mapping(self.raw.get("spec"))

    @property
    def place(self) -> Place:
        """Of its spec."""
        return Place(self.source, "spec")


def read(key: Key, raw: dict[str, Any], folder: str = ".") -> Seen:
    """An object, read as far as it can be. Relative paths in it are relative to `folder`."""
    _, kind = RESOURCES[key.resource]
    source = Source(f"{kind} {key.namespace}/{key.name}", folder=folder, camel=True)
    report = Report()
    resource: Any = None
    if kind in _STRUCTS:
        version, struct = _STRUCTS[kind]
        resource = check(_stripped(key, (version, kind), raw), struct, Reading(report, source))
    problems = tuple(one for one in report.problems if one.severity == "error")
    return Seen(key, raw, order_of(key, raw), None if problems else resource, problems, source)


def order_of(key: Key, raw: dict[str, Any]) -> str:
    """Sorts by age, then namespace, then name. GEP-713 lets the oldest win, then the first by name."""
    said = mapping(raw.get("metadata")).get("creationTimestamp")
    time = said if isinstance(said, str) and _TIME.match(said) else _NO_TIME
    return f"{time}|{key.namespace}|{key.name}"


def turn_of(raw: dict[str, Any]) -> str:
    """Where an object stands among those of its kind whose order matters, by its annotation; sorts before its age."""
    said = mapping(mapping(raw.get("metadata")).get("annotations")).get(ORDER)
    return said.zfill(6) if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) <= 6 else "000000"


def generation_of(raw: dict[str, Any]) -> int:
    """`metadata.generation`; 0 when there is none."""
    found = mapping(raw.get("metadata")).get("generation")
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def significant(raw: dict[str, Any]) -> bytes:
    """What of an object compiling looks at: everything but its status and what a server keeps in its metadata."""
    meta = mapping(raw.get("metadata"))
    kept = {name: meta.get(name) for name in ("labels", "annotations", "creationTimestamp", "generation", "uid")}
    rest = {name: value for name, value in raw.items() if name not in ("status", "metadata")}
    return msgspec.msgpack.encode([kept, rest], order="deterministic")


def global_name(namespace: str, name: str, root: str = ROOT) -> str:
    """What something called `name` in a namespace is called in the snapshot."""
    return name if namespace in ("", root) else f"{name}.{namespace}"


def mapping(value: Any) -> dict[str, Any]:
    """A value when it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """A value when it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """A value when it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def said_of(problems: tuple[Problem, ...] | list[Problem]) -> str:
    """Problems as a condition's message."""
    lines = []
    for one in problems:
        hint = f" ({one.hint})" if one.hint else ""
        lines.append(f"{one.path}: {one.message}{hint}" if one.path else f"{one.message}{hint}")
    return shortened("; ".join(lines))


def shortened(message: str) -> str:
    """A message, no longer than one may be."""
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 3]}..."


def _stripped(key: Key, kind: tuple[str, str], raw: dict[str, Any]) -> dict[str, Any]:
    """What is checked: an object in the version its struct is of, without its status, which is the server's own."""
    meta = {"name": key.name, "namespace": key.namespace or ROOT}
    kept = {name: value for name, value in raw.items() if name != "status"}
    if kind[1] == "Gateway":
        kept["spec"] = _without_wildcards(raw.get("spec"))
    return kept | {"apiVersion": kind[0], "kind": kind[1], "metadata": meta}


def _without_wildcards(spec: Any) -> Any:
    """A Gateway's spec without host names such as `*.example.com`: its listeners with them are refused one by one,
    where all of the Gateway would be."""
    listeners = mapping(spec).get("listeners")
    if not isinstance(listeners, list):
        return spec
    return spec | {"listeners": [_plain_host(one) for one in listeners]}


def _plain_host(listener: Any) -> Any:
    if not text(mapping(listener).get("hostname")).startswith("*."):
        return listener
    return {name: value for name, value in listener.items() if name != "hostname"}
