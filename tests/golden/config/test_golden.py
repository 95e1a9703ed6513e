"""Each case: a config.yaml, a line of dashes, what `heddle validate` prints. HEDDLE_WRITE_GOLDEN=1 writes it anew."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from heddle.cli.config_commands import validate
from heddle.model import rules

SERVED = frozenset({"HTTP", "MCP"})
"""A case does not change when another protocol is built."""
CASES = sorted(Path(__file__).parent.glob("*.txt"))
ENVIRON = {"PRESENT": "s3cret-value", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def printed(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (folder / "config.yaml").write_text(text)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(rules, "SERVED_PROTOCOLS", SERVED)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    lines = CliRunner().invoke(validate, ["-f", "config.yaml"]).output.splitlines()
    return "\n".join(line.partition("; version ")[0] for line in lines) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_validate_prints(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given, _, expected = case.read_text().partition("----\n")
    got = printed(given, tmp_path, monkeypatch)
    if os.environ.get("HEDDLE_WRITE_GOLDEN"):
        case.write_text(f"{given}----\n{got}")
    assert got == expected
    assert "s3cret" not in got


def test_there_are_cases():
    assert len(CASES) >= 10
