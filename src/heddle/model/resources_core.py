"""v1: Secret and ConfigMap, so that credentials and settings can stand where a cluster keeps them.

*Source:* Kubernetes core v1 Secret: `data` is base64, `stringData` is text and wins.
"""

from typing import Literal

import msgspec

from heddle.model.config_base import Part, Secret
from heddle.model.meta import ObjectMeta


class SecretResource(Part, frozen=True, kw_only=True):
    """Named secret values. Never printed, stored with resources only where the operator put it."""

    api_version: Literal["v1"]
    """API version."""
    kind: Literal["Secret"]
    """Kind."""
    metadata: ObjectMeta
    """Who the resource is; `api_key_secret` names it by `metadata.name`."""
    type: str = "Opaque"
    """Kind of secret; not read."""
    immutable: bool = False
    """Not read."""
    data: dict[str, Secret] = msgspec.field(default_factory=dict)
    """Values in base64; `api-key` is the one read."""
    string_data: dict[str, Secret] = msgspec.field(default_factory=dict)
    """Values as text; wins over `data`."""


class ConfigMap(Part, frozen=True, kw_only=True):
    """Named values that are no secrets."""

    api_version: Literal["v1"]
    """API version."""
    kind: Literal["ConfigMap"]
    """Kind."""
    metadata: ObjectMeta
    """Who the resource is; `configmap:NAME/KEY` names it by `metadata.name`."""
    immutable: bool = False
    """Not read."""
    data: dict[str, str] = msgspec.field(default_factory=dict)
    """The values."""
    binary_data: dict[str, str] = msgspec.field(default_factory=dict)
    """Not read."""
