"""v1: Secret and ConfigMap, so that credentials and settings can stand where a cluster keeps them.

*Source:* Kubernetes core v1 Secret: `data` is base64, `stringData` is text and wins.
"""

from typing import Annotated, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part, Secret
from heddle.model.kube import AGE, Served, column, form, rule, rules
from heddle.model.meta import ObjectMeta

_SAME = "(has(self.data) ? self.data : {}) == (has(oldSelf.data) ? oldSelf.data : {})"
_SEAL = rule(
    f"!has(oldSelf.immutable) || !oldSelf.immutable || (has(self.immutable) && self.immutable && {_SAME})",
    "field is immutable when `immutable` is set",
    reason="FieldValueForbidden",
    fieldPath=".data",
)


class SecretResource(Part, frozen=True, kw_only=True):
    """Named secret values. Never printed, stored with resources only where the operator put it."""

    SERVED: ClassVar = Served(
        "secrets", columns=(column("Type", ".type"), column("Data", ".data", "integer"), AGE), builtin=True
    )
    RULES: ClassVar = (_SEAL,)
    api_version: Literal["v1"]
    """API version."""
    kind: Literal["Secret"]
    """Kind."""
    metadata: ObjectMeta
    """Who the resource is; `api_key_secret` names it by `metadata.name`."""
    type: Annotated[str, rules(rule("self == oldSelf", "field is immutable"))] = "Opaque"
    """Kind of secret; not read."""
    immutable: bool = False
    """Its values can no longer be changed, nor this."""
    data: dict[str, Annotated[Secret, form("byte")]] = msgspec.field(default_factory=dict)
    """Values in base64; `api-key` is the one read."""
    string_data: dict[str, Secret] = msgspec.field(default_factory=dict)
    """Values as text; wins over `data`."""


class ConfigMap(Part, frozen=True, kw_only=True):
    """Named values that are no secrets."""

    SERVED: ClassVar = Served(
        "configmaps", short_names=("cm",), columns=(column("Data", ".data", "integer"), AGE), builtin=True
    )
    RULES: ClassVar = (_SEAL,)
    api_version: Literal["v1"]
    """API version."""
    kind: Literal["ConfigMap"]
    """Kind."""
    metadata: ObjectMeta
    """Who the resource is; `configmap:NAME/KEY` names it by `metadata.name`."""
    immutable: bool = False
    """Its values can no longer be changed, nor this."""
    data: dict[str, str] = msgspec.field(default_factory=dict)
    """The values."""
    binary_data: dict[str, Annotated[str, form("byte")]] = msgspec.field(default_factory=dict)
    """Not read."""
