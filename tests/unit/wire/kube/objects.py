"""A kind with one field of each way to be shared, and writes of it."""

import copy

from heddle.wire.kube.apply import Edit, apply, track
from heddle.wire.kube.fieldsets import paths
from heddle.wire.kube.schema import Structure, default

TEXT = {"type": "string"}
KEYED = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": TEXT, "kind": {"type": "string", "default": "K"}, "value": TEXT},
    },
}
PORTS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["port", "protocol"],
    "items": {
        "type": "object",
        "properties": {"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}, "name": TEXT},
    },
}
SPEC = {
    "type": "object",
    "properties": {
        "a": TEXT,
        "b": TEXT,
        "count": {"type": "integer", "default": 1},
        "keyed": KEYED,
        "ports": PORTS,
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": TEXT},
        "list": {"type": "array", "items": TEXT},
        "map": {"type": "object", "additionalProperties": TEXT},
        "atom": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": TEXT},
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "inner": {"type": "object", "properties": {"x": TEXT, "y": TEXT}},
    },
}
STATUS = {"type": "object", "properties": {"phase": TEXT, "n": {"type": "integer"}}}
SCHEMA = {"type": "object", "properties": {"spec": SPEC, "status": STATUS}}
STRUCTURE = Structure(SCHEMA)
VERSION = "heddle.dev/v1"


def configuration(spec, **metadata):
    return {"apiVersion": VERSION, "kind": "Thing", "metadata": {"name": "t", **metadata}, "spec": spec}


def edit(manager, operation="Apply", at=0, subresource=""):
    return Edit(manager, operation, VERSION, subresource, f"2026-01-01T00:{at // 60:02}:{at % 60:02}Z")


class Thing:
    """An object, as one writer after the other leaves it."""

    def __init__(self):
        self.live = None
        self.at = 0

    def apply(self, manager, spec, *, force=False, metadata=None, **more):
        self.at += 1
        config = {**configuration(spec, **(metadata or {})), **more}
        before = copy.deepcopy((self.live, config))
        made = apply(self.live, config, edit(manager, at=self.at), STRUCTURE, force=force)
        assert (self.live, config) == before, "what is given is never changed"
        self.live = made
        return self

    def apply_status(self, manager, status, *, force=False):
        self.at += 1
        config = {**configuration({}), "status": status}
        self.live = apply(self.live, config, edit(manager, at=self.at, subresource="status"), STRUCTURE, force=force)
        return self

    def update(self, manager, spec=None, *, subresource="", entries=None, **more):
        """Write a whole new spec, as PUT does."""
        self.at += 1
        new = copy.deepcopy(self.live) if self.live else configuration({})
        if spec is not None:
            new["spec"] = copy.deepcopy(spec)
        new.update(more)
        if entries is not None:
            new["metadata"]["managedFields"] = entries
        default(new, STRUCTURE)
        kept = copy.deepcopy(self.live)
        owners = track(self.live, new, edit(manager, "Update", self.at, subresource), STRUCTURE)
        assert self.live == kept
        new["metadata"].pop("managedFields", None)
        if owners:
            new["metadata"]["managedFields"] = owners
        self.live = new
        return self

    @property
    def spec(self):
        return self.live["spec"]

    @property
    def owners(self):
        """Who owns what of the spec, dotted."""
        entries = self.live["metadata"].get("managedFields", [])
        return {
            entry["manager"]: {path.removeprefix(".spec.") for path in paths(entry["fieldsV1"])} for entry in entries
        }
