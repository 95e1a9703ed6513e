"""What files of a source declare: objects, each with the lines it was written on.

Owns the way from text to plain objects: YAML with its protections, the short form expanded, namespaces filled in, paths
made absolute where the source is a folder of this machine. Refuses what no source may declare. Whether an object is
valid is for the API to say.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from heddle.controlplane.paths import absolute
from heddle.controlplane.sources.ownership import OWNED_BY
from heddle.controlplane.sources.rights import file_places
from heddle.controlplane.yamldoc import read_documents
from heddle.drivers.documents import Key
from heddle.model.check import check
from heddle.model.config import Config
from heddle.model.expand import expand
from heddle.model.kinds import Kind, Kinds
from heddle.model.problem import Place, Report, Source, did_you_mean
from heddle.model.reading import Reading
from heddle.wire.kube.status import ApiError

DECLARED_IN = "heddle.dev/declared-in"
"""Annotation: the file of the source that declares an object, so that one that cannot be read loses nothing."""


class Declaration(NamedTuple):
    """An object as a source declares it."""

    key: Key
    kind: Kind
    value: dict[str, Any]
    source: Source
    moved: dict[str, str]
    """Path in the object -> path in the short form that it was expanded from."""

    def place(self, path: str = "") -> Place:
        """Where what stands at a path of the object was written."""
        while path and path not in self.moved and path not in self.source.lines:
            path = path.rpartition(".")[0]
        return Place(self.source, self.moved.get(path, path))


class Text(NamedTuple):
    """A file of a source."""

    name: str
    """Relative to the source."""
    content: str
    folder: str = ""
    """What its relative paths are relative to; empty when it is from elsewhere."""


class Reader:
    """Makes declarations of files."""

    def __init__(self, kinds: Kinds, owner: str, shown: str = "") -> None:
        """`owner` is the source, `shown` what stands before file names in messages."""
        self._kinds = kinds
        self._owner = owner
        self._shown = shown

    def read(self, text: Text, report: Report) -> list[Declaration]:
        """The objects of a file; what is wrong with it is reported (to a report of its own), and then nothing of it
        counts."""
        made: list[Declaration] = []
        documents, problems = read_documents(text.content)
        file = f"{self._shown}{text.name}"
        for line, where, message in problems:
            report.error(Place(Source(file, {where: line}), where), message)
        for document in documents:
            camel = isinstance(document.value, dict) and "apiVersion" in document.value
            source = Source(file, document.lines, folder=text.folder or ".", camel=camel)
            if not isinstance(document.value, dict):
                report.error(Place(source, ""), "expected a mapping at the top of the document")
            elif camel:
                made += self._objects(document.value, source, text, report)
            else:
                made += self._short(document.value, source, text, report)
        return [] if report.failed else made

    def _objects(self, value: dict[str, Any], source: Source, text: Text, report: Report) -> list[Declaration]:
        """An object; of a `List`, its items."""
        if value.get("kind") == "List" and value.get("apiVersion") == "v1":
            items = value.get("items")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                report.error(Place(source, "items"), "expected a list of objects")
                return []
            return [
                one
                for index, item in enumerate(items)
                for one in self._object(item, _below(source, f"items[{index}]"), text, report)
            ]
        return self._object(value, source, text, report)

    def _object(
        self, value: dict[str, Any], source: Source, text: Text, report: Report, moved: dict[str, str] | None = None
    ) -> list[Declaration]:
        kind = self._kind(value, source, report)
        meta = value.get("metadata")
        if kind is None:
            return []
        if not isinstance(meta, Mapping) or not isinstance(meta.get("name"), str) or not meta["name"]:
            report.error(Place(source, "metadata.name"), "every declared object needs a name")
            return []
        space, annotations = meta.get("namespace") or "default", meta.get("annotations") or {}
        if not isinstance(space, str) or not isinstance(annotations, Mapping):
            report.error(Place(source, "metadata"), "`namespace` must be text, `annotations` a mapping")
            return []
        if OWNED_BY in annotations:
            report.error(Place(source, "metadata.annotations"), f"{OWNED_BY} is set by the source itself")
            return []
        made = {name: item for name, item in value.items() if name != "status"}
        made["metadata"] = {
            **{name: item for name, item in meta.items() if name in _DECLARED},
            "annotations": {**annotations, OWNED_BY: self._owner, DECLARED_IN: text.name},
        }
        if kind.namespaced:
            made["metadata"]["namespace"] = space
        if text.folder:
            made = located(made, file_places(kind.api_version, kind.kind), text.folder)
        key = Key(kind.resource, space if kind.namespaced else "", meta["name"])
        return [Declaration(key, kind, made, source, moved or {})]

    def _kind(self, value: dict[str, Any], source: Source, report: Report) -> Kind | None:
        version, name = value.get("apiVersion"), value.get("kind")
        kind = self._kinds.of(version, name) if isinstance(version, str) and isinstance(name, str) else None
        if kind is None:
            known = [f"{one.kind} of {one.api_version}" for one in self._kinds if not one.generated]
            report.error(
                Place(source, "kind"),
                f"unknown resource {name} of {version}",
                did_you_mean(f"{name} of {version}", known),
            )
        elif kind.generated:
            report.error(Place(source, "kind"), f"{kind.kind} is made by the control plane; nobody declares it")
            return None
        return kind

    def _short(self, value: dict[str, Any], source: Source, text: Text, report: Report) -> list[Declaration]:
        """The short form, as the resources that it stands for."""
        config = check(value, Config, Reading(report, source))
        if config is None:
            return []
        made: list[Declaration] = []
        for one in expand(config, source, text.name.rpartition("/")[2].rpartition(".")[0]):
            made += self._object(_written_out(one.resource), source, text, report, one.moved)
        return made


def _written_out(resource: msgspec.Struct) -> dict[str, Any]:
    """A resource with the fields that the Gateway API requires, which our structs leave out where they are as ever."""
    made: dict[str, Any] = msgspec.to_builtins(resource)
    if made["kind"] == "Gateway":
        spec = made["spec"]
        spec.setdefault("gatewayClassName", "heddle")
        reference = (spec.get("infrastructure") or {}).get("parametersRef")
        if reference is not None:
            reference |= {"group": "heddle.dev", "kind": "GatewayParameters"}
        for address in spec.get("addresses", ()):
            address.setdefault("type", "IPAddress")
    return made


_DECLARED = {"name", "namespace", "labels", "annotations", "finalizers", "ownerReferences"}
"""Fields of metadata that are declared; the others are the server's, and stand in exported objects."""


def located(value: Any, files: frozenset[str], folder: str, place: str = "") -> Any:
    """A copy in which every file is named by its absolute path."""
    if isinstance(value, dict):
        return {key: located(item, files, folder, f"{place}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list):
        return [located(item, files, folder, place) for item in value]
    if isinstance(value, str) and not place.startswith("metadata."):
        if value.startswith("file:"):
            return f"file:{absolute(folder, value.removeprefix('file:'))}"
        if place in files or place == "spec.mcp.stdio.cwd":
            return absolute(folder, value)
    return value


def field_of(error: ApiError) -> str:
    """The path that a refusal is about: of its first cause, or as its message names it; '' where it names none."""
    causes = (error.details or {}).get("causes")
    first = causes[0] if isinstance(causes, list) and causes and isinstance(causes[0], dict) else {}
    named = str(first.get("field") or "")
    if not named:
        found = _NAMED_FIELD.search(error.message)
        named = (found[1] or found[2]) if found is not None else ""
    return named.removeprefix(".")


_NAMED_FIELD = re.compile(r'unknown field "([^"\s]{1,300})"|: (\.[^\s:]{1,300}): ')


def place_of(error: ApiError, declaration: Declaration) -> Place:
    """Where in a file the server's refusal is about."""
    return declaration.place(field_of(error))


def _below(source: Source, path: str) -> Source:
    """The part of a document under a path, as a document of its own."""
    lines = {where.removeprefix(path).removeprefix("."): line for where, line in source.lines.items()
             if where == path or where.startswith((f"{path}.", f"{path}["))}  # fmt: skip
    return Source(source.file, lines, folder=source.folder, camel=True)
