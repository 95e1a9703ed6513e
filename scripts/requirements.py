"""Reads pyproject.toml for the shell: `stamp` prints what an installation depends on, `dev` a group's requirements.

Owns: the stamp that says whether to install again, and dependency groups for a pip older than 25.1.
*Source:* PEP 735 (dependency groups).
"""

import hashlib
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def stamp() -> str:
    """A digest of pyproject.toml and the interpreter: another one means install again."""
    return hashlib.sha256(PROJECT.read_bytes() + sys.version.encode() + sys.prefix.encode()).hexdigest()


def group(name: str) -> list[str]:
    """The requirements of a dependency group, included groups expanded; `run` needs none beyond the project's."""
    groups = tomllib.loads(PROJECT.read_text())["dependency-groups"]
    lines: list[str] = []
    for entry in groups.get(name, []):
        lines += group(entry["include-group"]) if isinstance(entry, dict) else [entry]
    return lines


if __name__ == "__main__":
    print(stamp() if sys.argv[1] == "stamp" else "\n".join(group(sys.argv[1])))
