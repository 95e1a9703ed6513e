"""Finding a configuration field by its path, as people write it: `rate_limiting.limit_by`,
`Policy.spec.rateLimit.window`.

Owns how paths are read: indices and quotes are ignored, and below a choice of sections all of them are searched.
"""

import re
from typing import NamedTuple

from heddle.model.config import Config
from heddle.model.fielddocs import AnyStruct, FieldView, class_doc, fields_of, shape_of, tag_of
from heddle.model.problem import did_you_mean
from heddle.model.served import struct_named

_INDEX = re.compile(r"\[[^\]]*\]")


class Found(NamedTuple):
    """What stands at a path."""

    path: str
    views: tuple[tuple[AnyStruct, FieldView], ...]
    """The field and the struct it belongs to; several where alternatives share a field's name. Empty for a top."""
    sections: tuple[AnyStruct, ...]
    """Structs below; empty for a plain value."""
    camel: bool


class UnknownFieldError(LookupError):
    """No such field; the message names the nearest."""


def find(path: str) -> Found:
    """The field at `path`; an empty path, or a kind's name, is a top. A name that the short form has (`mcp`) is the
    short form's. Raises UnknownFieldError."""
    steps = [step for step in _INDEX.sub("", path).split(".") if step]
    short = {view.name for view in fields_of(Config)}
    kind = struct_named(steps[0]) if steps and steps[0] not in short else None
    camel = kind is not None
    sections: tuple[AnyStruct, ...] = (Config,) if kind is None else (kind,)
    walked = steps[0] if camel else ""
    views: tuple[tuple[AnyStruct, FieldView], ...] = ()
    for step in steps[1:] if camel else steps:
        named = _fields_named(step, sections, camel)
        if not named:
            raise UnknownFieldError(_unknown(step, walked, sections, camel))
        walked = f"{walked}.{step}" if walked else step
        views = tuple(named)
        sections = tuple(dict.fromkeys(section for one, view in named for section in _below(one, view)))
    return Found(walked, views, sections, camel)


def heading(section: AnyStruct) -> str:
    """How one of several sections is introduced: what tells it apart, and what it is."""
    tag = tag_of(section)
    return f"{tag[0]}: {tag[1]}   {class_doc(section)}" if tag is not None else class_doc(section)


def _fields_named(name: str, sections: tuple[AnyStruct, ...], camel: bool) -> list[tuple[AnyStruct, FieldView]]:
    return [(one, view) for one in sections for view in fields_of(one, camel=camel) if view.name == name]


def _below(owner: AnyStruct, view: FieldView) -> tuple[AnyStruct, ...]:
    shape = shape_of(owner, view.name)
    return view.sections if shape is None else (*view.sections, shape)


def _unknown(step: str, walked: str, sections: tuple[AnyStruct, ...], camel: bool) -> str:
    known = list(dict.fromkeys(view.name for one in sections for view in fields_of(one, camel=camel)))
    where = f"`{walked}`" if walked else "the configuration"
    if not known:
        return f"{where} has no fields"
    hint = did_you_mean(step, known) or f"known are {', '.join(known)}"
    return f"{where} has no field `{step}`; {hint}"
