"""Files that a configuration names: where they are."""

from pathlib import Path


def absolute(folder: str, path: str) -> str:
    """A file of the configuration as an absolute path, relative ones from `folder`; empty stays empty."""
    return str(Path(folder, path).absolute()) if path else ""
