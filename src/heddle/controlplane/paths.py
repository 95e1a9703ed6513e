"""Files that a configuration names: where they are."""

from pathlib import Path

from heddle.model.problem import Place


def absolute(folder: str, path: str) -> str:
    """A file of the configuration as an absolute path, relative ones from `folder`; empty stays empty."""
    return str(Path(folder, path).absolute()) if path else ""


def said_at(place: Place) -> str:
    """Where something was declared, for messages: `file:line`, or the name of a resource that is in no file."""
    line = place.source.line(place.path)
    return f"{place.source.file}:{line}" if line or not place.source.camel else place.source.file
