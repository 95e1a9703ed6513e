"""Whatever stands in a file: problems, never an exception; and never a secret in a problem."""

import json
import random
import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heddle.controlplane.load import Loaded, load

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "config"
REFERENCE = (ROOT / "examples" / "reference" / "gateway.yaml").read_text()
GIVEN = [
    (GOLDEN / f"{name}.txt").read_text().partition("----\n")[0]
    for name in ("issue_example", "tokens", "resources", "mcp", "mcp-targets", "mcp-servers", "mcp-rules", "kagent")
]
WORDS = [
    "{}",
    "[]",
    "null",
    "1",
    "-1",
    "1.5",
    "true",
    "[1]",
    "{a: b}",
    "'*'",
    "x",
    '""',
    "9999999999",
    "0s",
    "${X}",
    "file:/",
    "api_key",
]

NAMES = (
    *("listeners", "llm", "providers", "models", "security", "authentication", "keys", "type", "name", "a"),
    *("mcp", "targets", "servers", "stdio", "openapi", "schema", "inline", "tools", "authorization"),
)

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def load_text(folder: Path, text: str) -> Loaded:
    path = folder / "c.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    loaded = load([path], environ={"X": "s3cret"})
    assert (loaded.snapshot is None) == any(one.severity == "error" for one in loaded.problems)
    assert "s3cret" not in "\n".join(one.line_text() for one in loaded.problems)
    assert all(one.file for one in loaded.problems)
    return loaded


@quick
@given(st.text(max_size=200))
def test_any_text(tmp_path: Path, text: str):
    load_text(tmp_path, text.encode(errors="replace").decode())


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@quick
@given(
    st.dictionaries(st.sampled_from(["listeners", "llm", "security", "mcp", "apiVersion", "kind"]), plain, max_size=4)
)
def test_any_value(tmp_path: Path, value: object):
    """Python's spelling of plain data is flow YAML, but for None, True and False, which are text there."""
    load_text(tmp_path, repr(value))


@quick
@given(st.sampled_from([REFERENCE, *GIVEN]), st.integers(0, 2**32))
def test_any_change_of_a_good_file(tmp_path: Path, text: str, seed: int):
    """Values replaced, lines dropped and repeated."""
    choose = random.Random(seed)
    lines = text.splitlines()
    for _ in range(choose.randint(1, 4)):
        index = choose.randrange(len(lines))
        match choose.randrange(4):
            case 0:
                lines[index] = re.sub(r": [^\s{[,}]+", f": {choose.choice(WORDS)}", lines[index])
            case 1:
                lines[index] = re.sub(r"[\w.-]+(?=[,}\]])", choose.choice(WORDS), lines[index])
            case 2:
                lines.insert(index, choose.choice(lines))
            case _:
                del lines[index]
    load_text(tmp_path, "\n".join(lines))


servers = st.dictionaries(
    st.sampled_from(["type", "command", "args", "env", "cwd", "url", "headers", "disabled", "x"]),
    plain | st.sampled_from(["stdio", "http", "sse", "http://h/sse", "${X}", "${NONE:-${X}}", "${env:X", "secret:a/b"]),
    max_size=5,
)


@quick
@given(
    st.dictionaries(st.text(max_size=5), servers | plain, max_size=4), st.sampled_from(["mcpServers", "servers", "x"])
)
def test_any_file_of_an_editor(tmp_path: Path, value: object, section: str):
    (tmp_path / "mcp.json").write_text(json.dumps({section: value}))
    (tmp_path / "c.yaml").write_text("security: {authentication: {type: none}}\n")
    loaded = load([tmp_path / "c.yaml"], environ={"X": "s3cret"}, mcp_json=tmp_path / "mcp.json")
    assert (loaded.snapshot is None) == any(one.severity == "error" for one in loaded.problems)
    told = [one for one in loaded.problems if "s3cret" in one.line_text()]
    assert not told
