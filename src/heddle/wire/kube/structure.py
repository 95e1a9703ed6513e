"""A structural schema, compiled: for each place of an object, what may stand there, and how writers share it.

Owns the reading of `openAPIV3Schema` with Kubernetes' extensions, once for each kind. It refuses, with SchemaError, a
schema that is not structural enough to be followed: recursion, an unknown list type, a list map without keys. The
metadata of an object is the same for every kind and is known here, whatever the schema says about it.
*Source:* apiextensions.k8s.io/v1 "Specifying a structural schema"; structured-merge-diff v6, schema.
"""

from collections.abc import Mapping
from typing import Any

from heddle.wire.kube.checks import SchemaError, compile_check, names_in
from heddle.wire.kube.object_meta import OBJECT_META
from heddle.wire.kube.report import Check
from heddle.wire.kube.values import ABSENT

__all__ = ["ANY", "SchemaError", "Structure"]

MAX_DEPTH = 64
"""Levels of a schema."""


class Structure:
    """What may stand at one place of an object, and below it. Immutable once made; made from an openAPIV3Schema.

    `has_status`: the kind has a status subresource, so its main endpoint does not write `status`.
    Raises SchemaError for a schema that cannot be followed.
    """

    __slots__ = (
        "additional",
        "check",
        "deduced",
        "default",
        "defaulting",
        "embedded",
        "form",
        "has_status",
        "int_or_string",
        "items",
        "key_defaults",
        "keys",
        "merge_key",
        "nullable",
        "open",
        "patch_strategy",
        "properties",
        "relation",
        "type",
    )

    def __init__(self, schema: Mapping[str, Any], *, has_status: bool = True) -> None:
        self.has_status: bool = has_status
        try:
            whole = _as_resource(schema)
            self.check: Check | None = compile_check(whole)
            self._read(whole, 0)
        except SchemaError:
            raise
        except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as exc:
            raise SchemaError(f"the schema is malformed: {exc}") from exc

    def _read(self, schema: Mapping[str, Any], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise SchemaError(f"the schema is nested more than {MAX_DEPTH} levels deep")
        self.type: str = schema.get("type") or _implied_type(schema)
        self.form: str = {"object": "map", "array": "list"}.get(self.type, "scalar")
        """`map`, `list` or `scalar`: how it is merged. Where `deduced`, the value says it instead."""
        self.nullable: bool = bool(schema.get("nullable"))
        self.int_or_string: bool = bool(schema.get("x-kubernetes-int-or-string"))
        self.embedded: bool = bool(schema.get("x-kubernetes-embedded-resource"))
        self.default: Any = schema.get("default", ABSENT)
        self.patch_strategy: str = schema.get("x-kubernetes-patch-strategy", "")
        self.deduced = False
        self._read_map(schema, depth)
        self._read_list(schema, depth)
        below = [*self.properties.values(), self.additional, self.items]
        self.defaulting: bool = any(
            one is not None and (one.defaulting or one.default is not ABSENT or not one.nullable) for one in below
        )
        """Something below may have to be filled in, or a null taken out."""

    def _read_map(self, schema: Mapping[str, Any], depth: int) -> None:
        properties = schema.get("properties") or {}
        self.properties: dict[str, Structure] = {}
        self.properties.update({name: _below(one, depth) for name, one in properties.items()})
        additional = schema.get("additionalProperties")
        untyped = not self.type and not self.int_or_string
        self.open: bool = bool(schema.get("x-kubernetes-preserve-unknown-fields")) or additional is True or untyped
        self.additional: Structure | None = None
        if isinstance(additional, Mapping):
            self.additional = _below(additional, depth)
        elif self.open and depth >= 0:
            self.additional = ANY
        self.deduced = untyped
        self.relation: str = schema.get("x-kubernetes-map-type", "granular")

    def _read_list(self, schema: Mapping[str, Any], depth: int) -> None:
        items = schema.get("items")
        self.items: Structure | None = _below(items, depth) if isinstance(items, Mapping) else None
        self.keys: tuple[str, ...] = names_in(schema, "x-kubernetes-list-map-keys")
        self.key_defaults: dict[str, Any] = {}
        if self.type == "array":
            self.relation = schema.get("x-kubernetes-list-type", "atomic")
            if self.relation not in {"atomic", "set", "map"}:
                raise SchemaError(f"x-kubernetes-list-type is {self.relation!r}; it may be atomic, set or map")
            if self.relation == "map" and not self.keys:
                raise SchemaError("a list of type map needs x-kubernetes-list-map-keys")
        if self.items is not None:
            of_items = self.items.properties
            known = {key: of_items[key].default for key in self.keys if key in of_items}
            self.key_defaults = {key: value for key, value in known.items() if value is not ABSENT}
        self.merge_key: str = schema.get("x-kubernetes-patch-merge-key", "")

    def below(self, name: str) -> "Structure | None":
        """What stands at a field of a map; None where there is no such field."""
        return self.properties.get(name) or self.additional


def _implied_type(schema: Mapping[str, Any]) -> str:
    """The type of a schema that states none but says what is below."""
    if schema.get("properties") or isinstance(schema.get("additionalProperties"), Mapping):
        return "object"
    return "array" if isinstance(schema.get("items"), Mapping) else ""


def _below(schema: Mapping[str, Any], depth: int) -> Structure:
    made = Structure.__new__(Structure)
    made.check = None
    made.has_status = False
    if schema.get("x-kubernetes-embedded-resource"):
        schema = _as_resource(schema)
    made._read(schema, depth + 1)
    return made


def _as_resource(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with the metadata that every object has."""
    properties = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, **(schema.get("properties") or {})}
    return {**schema, "type": "object", "properties": {**properties, "metadata": OBJECT_META}}


def _any() -> Structure:
    """Where no schema is: maps are granular, lists are atomic, and everything is kept."""
    made = Structure.__new__(Structure)
    made.check, made.has_status = None, False
    made._read({"nullable": True}, -1)
    made.additional, made.defaulting = made, False
    return made


ANY: Structure = _any()
"""The structure of what no schema describes."""
