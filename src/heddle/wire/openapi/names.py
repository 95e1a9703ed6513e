"""Names that clients and models accept, made of names that documents choose.

Owns two rules. A tool's name depends on its own operation alone, unless another wants the same: then each of them says
its method and path too, so that reordering a document renames nothing. An argument keeps its name if no earlier
location took it; otherwise it says its location (`body_id`).

*Source:* Model Context Protocol 2025-11-25, "Tools", tool names; the narrower form is what current clients enforce.
"""

import re
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256

MAX_TOOL_NAME = 64
MAX_ARGUMENT_NAME = 64

_NOT_IN_TOOLS = re.compile(r"[^A-Za-z0-9_-]+")
_NOT_IN_ARGUMENTS = re.compile(r"[^A-Za-z0-9_.-]+")


def fitted(text: str, limit: int = MAX_TOOL_NAME) -> str:
    """`text` in the letters that tool names have; too long a one ends in a digest of all of it."""
    plain = _NOT_IN_TOOLS.sub("_", text).strip("_")
    if len(plain) <= limit:
        return plain
    return f"{plain[: limit - 9]}_{sha256(text.encode()).hexdigest()[:8]}"


def tool_names(operations: Iterable[tuple[str, str, str]]) -> list[str]:
    """A name for each operation id, method and path; ids may be empty."""
    known = list(operations)
    wanted = [fitted(operation_id) or fitted(f"{method} {path}") for operation_id, method, path in known]
    wanted = _apart(wanted, [fitted(f"{name} {m} {path}") for name, (_, m, path) in zip(wanted, known, strict=True)])
    digests = [sha256(f"{method} {path}".encode()).hexdigest()[:12] for _, method, path in known]
    return _apart(wanted, [f"{name[:51]}_{digest}" for name, digest in zip(wanted, digests, strict=True)])


def _apart(wanted: list[str], longer: list[str]) -> list[str]:
    """The longer name for each of those that share one."""
    count = Counter(wanted)
    return [name if count[name] == 1 else other for name, other in zip(wanted, longer, strict=True)]


def argument_name(wire_name: str, location: str, taken: Iterable[str]) -> str:
    """A name that no argument in `taken` has."""
    plain = _NOT_IN_ARGUMENTS.sub("_", wire_name)
    plain = (plain if plain == wire_name else plain.strip("_."))[:MAX_ARGUMENT_NAME] or location
    used = set(taken)
    if plain not in used:
        return plain
    located = f"{location}_{plain}"[:MAX_ARGUMENT_NAME]
    name, count = located, 2
    while name in used:
        name, count = f"{located[: MAX_ARGUMENT_NAME - 4]}_{count}", count + 1
    return name
