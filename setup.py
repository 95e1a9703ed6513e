"""The optional step of the build: `HEDDLE_COMPILE=1 pip install .` compiles the hot path with mypyc (ADR 17).

Without it this file does nothing, and the wheel is one for every platform. With it, a module that cannot be compiled
ends the build: a package that is only sometimes fast would be worse than none.
"""

import os
import sys
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent

# Every call runs through these. A module that defines msgspec structs is not among them: mypyc does not keep the
# annotations that msgspec reads.
COMPILED = {
    "backends": ("attempts", "llm", "relay", "sending"),
    "dataplane": ("admission", "bookkeeping", "decode", "gateway", "recording", "routes"),
    "drivers/counters": ("shared", "table", "tally", "windows"),
    "model": ("model_call",),
    "net": (
        "body",
        "client",
        "eager",
        "framing",
        "head",
        "message",
        "origin",
        "outbound",
        "outbox",
        "pool",
        "replying",
        "server",
        "serving",
        "upstream",
    ),
    "pipeline": ("exchange",),
    "policies": ("authn", "authz", "rate_limit"),
    "telemetry": ("calls", "cost", "lines", "metrics", "spool", "trace"),
    "traffic": ("estimate", "limits"),
    "wire": ("chunked", "http1", "http1_heads", "json", "sse"),
    "wire/llm": ("openai_chat", "openai_completions", "openai_stream", "openai_usage"),
}


def wanted() -> bool:
    """Whether HEDDLE_COMPILE asks for it; another value than 0 and 1 ends the build."""
    value = os.environ.get("HEDDLE_COMPILE") or "0"
    if value not in {"0", "1"}:
        sys.exit(f"HEDDLE_COMPILE is {value!r}: expected 1 (compile the hot path) or 0")
    return value == "1"


def compile_hot_path() -> None:
    """Build with the modules compiled. mypyc reads the types of what they import, so that must be there, too."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    try:
        from mypyc.build import mypycify  # noqa: PLC0415 -- it is there only where it was asked for
    except ImportError:
        # An isolated build asks for its requirements first, and never comes back from this call.
        setup(setup_requires=["mypy>=2", "types-PyYAML", *needed])
        sys.exit("HEDDLE_COMPILE=1 needs mypy (mypyc is part of it): pip install 'mypy>=2'")
    files = [f"src/heddle/{folder}/{name}.py" for folder, names in COMPILED.items() for name in names]
    setup(
        setup_requires=["mypy>=2", "types-PyYAML", *needed],
        ext_modules=mypycify(["--config-file", "pyproject.toml", *files], opt_level="3", debug_level="0",
                             group_name="heddle"),
    )  # fmt: skip


if wanted():
    compile_hot_path()
else:
    setup()
