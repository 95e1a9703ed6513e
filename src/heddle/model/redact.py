"""Showing things without their secrets.

Owns the list of which fields are secret, for the snapshot's structs, and reads the `secret` mark of configuration
parts.
Everything that prints, logs or serves configuration goes through here.
"""

from functools import cache
from typing import Any

import msgspec

REDACTED = "***"
_SNAPSHOT_SECRETS = frozenset({"credential", "password", "api_key", "headers", "sha256", "metadata"})
"""Names of secret fields in the structs of `snapshot`; `metadata` of a key is the operator's free text."""


def hidden_repr(value: msgspec.Struct) -> str:
    """`repr` of a struct with `***` in place of what is secret and set."""
    cls = type(value)
    hidden = secret_fields(cls)
    shown = (
        f"{name}={hide(field) if name in hidden else field!r}" for name, field in msgspec.structs.asdict(value).items()
    )
    return f"{cls.__name__}({', '.join(shown)})"


@cache
def secret_fields(cls: type[msgspec.Struct]) -> frozenset[str]:
    """The names of a struct's fields whose values must not be shown."""
    info = msgspec.inspect.type_info(cls)
    assert isinstance(info, msgspec.inspect.StructType)
    fields = info.fields
    marked = {field.name for field in fields if _is_secret(field.type)}
    if cls.__module__ == "heddle.model.snapshot":
        marked |= _SNAPSHOT_SECRETS & set(cls.__struct_fields__)
    return frozenset(marked)


def hide(value: Any) -> Any:
    """What is shown instead of a secret: nothing stays nothing, names of a mapping stay, every value becomes `***`."""
    if isinstance(value, dict):
        return dict.fromkeys(value, REDACTED)
    return REDACTED if value else value


def _is_secret(kind: Any) -> bool:
    extra = getattr(kind, "extra", None) or {}
    if extra.get("secret") or extra.get("secret_digest"):
        return True
    if isinstance(kind, msgspec.inspect.DictType):
        return _is_secret(kind.value_type)
    return _is_secret(kind.item_type) if isinstance(kind, msgspec.inspect.VarTupleType) else False
