"""Every text of a definition that a model may read, with its place and what it is there for.

Owns the walk: keys are texts too, since models read them. It is bounded in depth and in characters; what is not
read is told, for a definition may not hide behind its own size.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from heddle.directory.definitions import Definition

Role = Literal["lead", "parameter", "said", "name", "value"]
"""`lead` says what the whole thing does, `parameter` what a parameter is, `said` is other prose, `name` a key or a
name, `value` data: defaults, examples, values to choose from."""

MAX_TEXT_CHARS = 32 * 1024
"""Read of one text."""
MAX_TOTAL_CHARS = 128 * 1024
"""Read of one definition."""
_PROSE = {"description", "title", "$comment", "summary", "instructions"}
_VALUES = {"default", "const", "examples", "example", "enum"}
_NAMED = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}


class Text(NamedTuple):
    """One text, where it stands."""

    where: str
    text: str
    role: Role
    parameter: str = ""
    """The parameter that it describes."""


class Texts(NamedTuple):
    """All of them."""

    texts: list[Text]
    unread: list[str]
    """Places at which something was too long to be read whole."""


def texts_of(definition: Definition) -> Texts:
    """Every text of it, keys included, in the order of the canonical form."""
    found = Texts([], [])
    left = MAX_TOTAL_CHARS
    for text in _walk(definition.value(), "", _root_role(definition)):
        limit = min(MAX_TEXT_CHARS, left)
        if len(text.text) > limit:
            found.unread.append(text.where)
            text = text._replace(text=text.text[:limit])  # noqa: PLW2901
        left -= len(text.text)
        if text.text:
            found.texts.append(text)
    return found


def _root_role(definition: Definition) -> Text:
    # Instructions are said to a model from the start: none of their sentences is a statement of purpose.
    return Text("", "", "said" if definition.kind == "instructions" else "lead")


def _walk(value: Any, where: str, of: Text) -> Iterator[Text]:
    """`of` says what a text found here would be."""
    if isinstance(value, str):
        yield Text(where or "instructions", value, of.role, of.parameter)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _walk(item, f"{where}[{place}]", of)
    elif isinstance(value, dict):
        yield from _walk_object(value, where, of)


def _walk_object(value: dict[str, Any], where: str, of: Text) -> Iterator[Text]:
    field = where.rpartition(".")[2]
    for key, item in value.items():
        place = f"{where}.{key}" if where else key
        if where:
            yield Text(place, key, "name", key)
        yield from _walk(item, place, _inside(field, key, where, value)._replace(parameter=_parameter(field, key, of)))


def _parameter(field: str, key: str, of: Text) -> str:
    return key if field in _NAMED else of.parameter


def _inside(field: str, key: str, where: str, value: dict[str, Any]) -> Text:
    """The role of what stands under `key`."""
    if field in _NAMED:
        return Text("", "", "said")
    if not where:
        if key in ("name", "uri", "uriTemplate"):
            return Text("", "", "name")
        return Text("", "", "lead" if key in ("description", "title") else "said")
    if key == "required":
        return Text("", "", "name")
    if key in _VALUES:
        return Text("", "", "value")
    if field.startswith("arguments[") and key == "name":
        return Text("", "", "name", str(value.get("name", "")))
    return Text("", "", "parameter" if key in _PROSE else "said")
