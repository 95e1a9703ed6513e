"""Objects as text: YAML and JSON in the order they have, as people read and edit them.

Owns nothing but the form. What is not for a terminal (control characters) is escaped by both formats.
"""

from typing import Any

import msgspec
import yaml
from yaml.cyaml import CSafeDumper


class _Dumper(CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out: an alias is nothing to edit."""
        del data
        return True


def _text(dumper: Any, value: str) -> Any:
    # Several lines are read as such.
    style = "|" if "\n" in value and value.isprintable() is False and _plain(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _plain(value: str) -> bool:
    """Whether a text of several lines can stand as it is."""
    return all(char.isprintable() or char == "\n" for char in value) and not any(
        line != line.rstrip() for line in value.split("\n")
    )


_Dumper.add_representer(str, _text)


def as_yaml(value: Any) -> str:
    """A value as YAML."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120)


def as_json(value: Any, indent: int = 4) -> str:
    """A value as JSON; on one line with an indent of 0."""
    encoded = msgspec.json.encode(value)
    return (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()
