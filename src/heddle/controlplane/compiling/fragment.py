"""What becomes of one object, and what it is compiled with.

Owns the shape of a fragment, and the one place where texts that are secrets leave a part: `Values` hands them out like
`Secrets` does, and `Work.part` puts references in their place.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from heddle.controlplane.compile import PriceSource
from heddle.controlplane.compiling.conditions import Condition, Fault, judged
from heddle.controlplane.compiling.index import Lookup
from heddle.controlplane.compiling.objects import Fact, Seen, global_name, said_of, shortened, turn_of
from heddle.controlplane.secrets import SecretError, Secrets
from heddle.drivers.documents import Key
from heddle.model.parts import MARK, SnapshotPart, encode_body, encode_part
from heddle.model.problem import Report
from heddle.model.resources_core import ConfigMap, SecretResource


class Surroundings(NamedTuple):
    """What compiling knows beside the objects. The same objects and surroundings give the same parts."""

    environ: Mapping[str, str]
    """Where `${NAME}` is looked up."""
    folder: str
    """What relative paths are relative to."""
    prices: PriceSource
    now_s: Callable[[], float]
    """Unix time, for what expires."""
    root: str
    """Namespace whose policies hold for the whole mesh."""


class Piece(NamedTuple):
    """A part, and who needs it."""

    data: bytes
    gateways: tuple[str, ...] = ()
    """Gateways (`namespace/name`); empty is all."""
    protocols: tuple[str, ...] = ()
    """Gateways with a listener of one of these protocols; empty is all."""
    secrets: tuple[str, ...] = ()
    """Parts of kind `secret` that it refers to, which those who need it need too."""
    alone: bool = False
    """For nobody who serves other Gateways beside those of `gateways`."""


class Fragment(NamedTuple):
    """What one object came to."""

    parts: Mapping[str, Piece] = MappingProxyType({})
    outcome: Any = None
    """What others that refer to it may know; None when it cannot be used."""
    facts: tuple[Fact, ...] = ()
    status: dict[str, Any] | None = None
    """What is said of it, see `conditions.render`; None is nothing."""


class Work:
    """One object under compilation: what it may ask, what was found wrong, the parts made so far."""

    def __init__(self, seen: Seen, lookup: Lookup, around: Surroundings) -> None:
        self.seen = seen
        self.lookup = lookup
        self.around = around
        self.report = Report()
        # What is missing among the few objects that are looked at may well be there.
        self.report.complete = False
        self.refused: list[Fault] = []
        """Why it is not accepted."""
        self.unresolved: list[Fault] = []
        """References that lead nowhere."""
        self.parts: dict[str, Piece] = {}
        self.values = Values(self)

    @property
    def namespace(self) -> str:
        """Of the object."""
        return self.seen.key.namespace

    def named(self, name: str) -> str:
        """What something of the object's namespace is called in the snapshot."""
        return global_name(self.namespace, name, self.around.root)

    def part(
        self, name: str, body: Any, *, order: str = "", gateways: tuple[str, ...] = (), protocols: tuple[str, ...] = ()
    ) -> None:
        """Add a part `KIND/NAME`; texts that `values` gave out are replaced by references."""
        plain: Any = body
        needs: dict[str, str | None] = {}
        if self.values.given:
            plain = _lifted(msgspec.to_builtins(body), self.values.given, needs)
        data = SnapshotPart(order=order or self.order, body=encode_body(plain), secrets=tuple(sorted(needs)))
        self.parts[name] = Piece(encode_part(data), gateways, protocols, data.secrets)
        for secret, value in needs.items():
            if value is not None:
                self.parts[secret] = Piece(encode_part(SnapshotPart(body=encode_body(value))))

    @property
    def order(self) -> str:
        """Where its parts stand among those of their kind."""
        return f"{turn_of(self.seen.raw)}|{self.seen.order}"

    @property
    def faults(self) -> list[Fault]:
        """Why it is not accepted: what was said, and errors that checks found."""
        errors = [one for one in self.report.problems if one.severity == "error"]
        return [*self.refused, *([Fault("Invalid", said_of(errors))] if errors else [])]

    def verdict(self, *more: Condition) -> dict[str, Any]:
        """The status of what is accepted or not, whose references resolve or not, and is ready when both."""
        accepted = judged("Accepted", self.faults)
        resolved = judged("ResolvedRefs", self.unresolved)
        worst = next((one for one in (accepted, resolved) if one.status != "True"), None)
        ready = Condition("Ready", "True", "Ready") if worst is None else worst._replace(type="Ready")
        return {"conditions": [accepted, resolved, ready, *more]}

    def done(self, outcome: Any = None, facts: Iterable[Fact] = (), status: dict[str, Any] | None = None) -> Fragment:
        """The fragment: without parts and outcome when the object is not accepted."""
        status = self.verdict() if status is None else status
        if self.faults:
            return Fragment(status=status)
        return Fragment(self.parts, outcome, tuple(facts), status)


class Values(Secrets):
    """Secrets as one object may have them: Secrets of its own namespace, by reference and never by value."""

    def __init__(self, work: Work) -> None:
        super().__init__(work.around.environ, {})
        self._work = work
        self.given: dict[str, str] = {}
        """A value that was given out -> its secret part, or the reference itself."""

    def resolve(self, text: str, folder: str) -> str:
        """As `Secrets.resolve`; what comes out stands in a secret part of its own."""
        return self._keep(super().resolve(text, folder))

    def document(self, text: str, folder: str) -> str:
        """As `Secrets.document`, likewise."""
        return self._keep(super().document(text, folder))

    def named(self, name: str, folder: str, key: str = "api-key") -> str:  # noqa: ARG002 - there is no folder of Secrets
        """A reference to a value of a Secret of the object's namespace. Raises SecretError."""
        where = Key("secrets", self._work.namespace, name)
        usable = self._work.lookup.outcome(where)
        if usable is None:
            fault, public = (
                f"there is no Secret `{name}` in namespace `{where.namespace}`",
                f"secret `{name}` was not found",
            )
        elif key not in usable:
            fault, public = f"Secret `{name}` has no `{key}`", f"secret `{name}` is incomplete"
        else:
            fault = public = usable[key]
        if fault:
            self._work.unresolved.append(Fault("SecretNotFound" if usable is None else "SecretUnusable", fault))
            raise SecretError(fault, public)
        reference = f"secret/{where.namespace}/{name}/{key}"
        self.given[f"{MARK}{reference}"] = reference
        return f"{MARK}{reference}"

    def _keep(self, value: str) -> str:
        if value and value not in self.given:
            resource, namespace, name = self._work.seen.key
            self.given[value] = f"secret/inline/{resource}/{namespace}/{name}/{len(self.given)}"
        return value


def declared(lookup: Lookup, namespace: str, names: Iterable[str]) -> dict[str, SecretResource]:
    """Secrets of a namespace, by their names; those that are not there or are broken are left out."""
    found = {name: lookup.object(Key("secrets", namespace, name)) for name in names}
    return {name: seen.resource for name, seen in found.items() if seen is not None and seen.resource is not None}


def maps(lookup: Lookup, namespace: str, names: Iterable[str]) -> dict[str, ConfigMap]:
    """ConfigMaps, likewise."""
    found = {name: lookup.object(Key("configmaps", namespace, name)) for name in names}
    return {name: seen.resource for name, seen in found.items() if seen is not None and seen.resource is not None}


def failed(reason: str, message: str) -> Fragment:
    """Of an object that cannot be compiled at all."""
    fault = [Fault(reason, shortened(message))]
    bad = judged("Accepted", fault)
    return Fragment(status={"conditions": [bad, bad._replace(type="Ready")]})


def _lifted(plain: Any, given: dict[str, str], needs: dict[str, str | None]) -> Any:
    """Plain data with references in place of secrets. `needs` gets the part each of them is in, with its value unless
    it is that of a Secret."""
    if isinstance(plain, str):
        part = given.get(plain)
        if part is None:
            return plain
        needs[part] = None if plain.startswith(MARK) else plain
        return f"{MARK}{part}"
    if isinstance(plain, list | tuple):
        return [_lifted(item, given, needs) for item in plain]
    if isinstance(plain, dict):
        return {key: _lifted(item, given, needs) for key, item in plain.items()}
    return plain
