"""What an object takes of the machine it is compiled on, for which its writer needs a right of their own.

Owns what counts: variables of the environment, files, programs, places on the inside of the network. Whoever may write
a Backend could else read every secret of the gateway's environment by sending it to themselves. Not needed again for
what was there before, as long as nothing near it says something new.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from msgspec import inspect as types

from heddle.controlplane.sources.addresses import inside
from heddle.controlplane.yamldoc import read_documents
from heddle.model.fielddocs import alternatives, unwrap
from heddle.model.problem import child, quote
from heddle.model.resources import KINDS

ENVIRONMENT, FILES, COMMANDS, NETWORKS = "environment", "files", "commands", "privatenetworks"
"""Resources of the group `heddle.dev` on which the verb is `use`."""
_VARIABLE = re.compile(r"\$\{[^}]{0,256}\}")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smhdw]))+|0")
_DATA = {("v1", "Secret"), ("v1", "ConfigMap"), ("v1", "Event"), ("events.k8s.io/v1", "Event")}
"""Kinds whose texts are values: nothing is looked up for them."""
_PROSE = {
    "metadata",
    "status",
    "apiVersion",
    "kind",
    "spec.description",
    "spec.iconUrl",
    "spec.documentationUrl",
    "spec.declarative.description",
    "spec.declarative.systemMessage",
    "spec.prompt.system",
}
"""Where text is for people and models. Exact places: a header may be called `description`."""
_DOCUMENT = "inline"
_MAX_DEPTH = 100


class Need(NamedTuple):
    """A right that a write needs."""

    resource: str
    """`environment`, `files`, `commands` or `privatenetworks`."""
    why: str
    """For people: what the object says, shortened."""
    path: str
    """Where it says so."""


class _Text(NamedTuple):
    path: str
    place: str
    """The path without positions of lists, so that moving an item changes nothing."""
    value: str


def rights_needed(new: Mapping[str, Any] | None, old: Mapping[str, Any] | None) -> list[Need]:
    """What the writer of `new` must be allowed to use, in the order of the object; empty when nothing newly appears.

    What was there before stays allowed only while every text beside it stays too: a new URL beside an old `${KEY}`
    would send the key elsewhere.
    """
    if new is None:
        return []
    version, kind = str(new.get("apiVersion")), str(new.get("kind"))
    if (version, kind) in _DATA:
        return []
    known = {(text.place, text.value) for text in _texts(old)} if old is not None else set()
    texts = list(_texts(new))
    changed = old is None or any(
        (text.place, text.value) not in known and not _DURATION.fullmatch(text.value) for text in texts
    )
    if not changed:
        return []
    files = file_places(version, kind)
    needs = [*_commands(new)]
    for text in texts:
        needs += _of_text(text, text.place in files)
        if (text.place, text.value) not in known:
            needs += _of_network(text)
    return list(dict.fromkeys(needs))


def _of_text(text: _Text, is_file: bool) -> Iterator[Need]:
    for found in _VARIABLE.findall(text.value):
        yield Need(ENVIRONMENT, f"reads the environment variable {quote(found)}", text.path)
    if text.value.lstrip().lower().startswith("file:"):
        yield Need(FILES, f"reads {quote(text.value)}", text.path)
    elif is_file and text.value:
        yield Need(FILES, f"names the file {quote(text.value)}", text.path)


def _of_network(text: _Text) -> Iterator[Need]:
    if text.place.rpartition(".")[2] == "privateNetworks":
        yield Need(NETWORKS, f"opens the network {quote(text.value)}", text.path)
    for found in inside(text.value):
        yield Need(NETWORKS, f"{quote(found)} is inside this machine or its network", text.path)


def _commands(new: Mapping[str, Any]) -> Iterator[Need]:
    """Programs that the stdio host would run."""
    spec = new.get("spec")
    if not isinstance(spec, Mapping):
        return
    if new.get("kind") == "MCPServer" and spec.get("transportType", "stdio") != "http":
        yield _program(spec.get("deployment"), "cmd", "spec.deployment.cmd")
    mcp = spec.get("mcp")
    if isinstance(mcp, Mapping) and mcp.get("stdio") is not None:
        yield _program(mcp["stdio"], "command", "spec.mcp.stdio.command")


def _program(section: Any, field: str, path: str) -> Need:
    """Only the program is shown: arguments may be secrets."""
    command = section.get(field, "") if isinstance(section, Mapping) else ""
    first = command[0] if isinstance(command, list) and command else command
    return Need(COMMANDS, f"runs the program {quote(first)}", path)


def _texts(value: Mapping[str, Any]) -> Iterator[_Text]:
    """Every text of an object that is looked at, those of a document in a text too."""
    waiting: list[tuple[Any, str, str, int]] = [(value, "", "", 0)]
    while waiting:
        found, path, place, depth = waiting.pop()
        if place in _PROSE or depth > _MAX_DEPTH:
            continue
        if isinstance(found, str):
            yield _Text(path, place, found)
            if place.endswith(f".{_DOCUMENT}"):
                waiting += [(document.value, path, place, depth + 1) for document in read_documents(found)[0][:1]]
        elif isinstance(found, Mapping):
            below = [(item, child(path, key), f"{place}.{key}".lstrip("."), depth + 1) for key, item in found.items()]
            waiting += reversed(below)
        elif isinstance(found, list):
            waiting += reversed([(item, f"{path}[{i}]", place, depth + 1) for i, item in enumerate(found)])


@cache
def file_places(api_version: str, kind: str) -> frozenset[str]:
    """Where a kind names files, as its struct declares them."""
    struct = KINDS.get((api_version, kind))
    return frozenset(_declared(types.type_info(struct), "", frozenset())) if struct is not None else frozenset()


def _declared(info: types.Type, place: str, seen: frozenset[type]) -> Iterator[str]:
    for member in alternatives(info):
        bare, marks = unwrap(member)
        if marks is not None and (marks.extra or {}).get("form") in ("file", "path"):
            yield place
        if isinstance(bare, types.VarTupleType):
            yield from _declared(bare.item_type, place, seen)
        elif isinstance(bare, types.StructType) and bare.cls not in seen:
            for field in bare.fields:
                below = f"{place}.{field.encode_name}".lstrip(".")
                yield from _declared(field.type, below, seen | {bare.cls})
