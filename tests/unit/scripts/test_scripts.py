"""The small programs that the shell scripts call."""

import runpy
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"


def functions(name: str) -> dict:
    return runpy.run_path(str(SCRIPTS / name))


def test_counts_add_up(tmp_path: Path):
    suite = '<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}" time="1.5"/></testsuites>'
    (tmp_path / "quick.xml").write_text(suite.format(10, 1, 1, 2))
    (tmp_path / "slow.xml").write_text(suite.format(3, 0, 0, 0))
    assert functions("counts.py")["counts"](tmp_path) == (9, 2, 2, 3.0)


def test_requirements_of_a_group_include_other_groups(tmp_path: Path):
    requirements = functions("requirements.py")
    project = tmp_path / "pyproject.toml"
    project.write_text('[dependency-groups]\nbase = ["a>=1"]\ndev = ["b", {include-group = "base"}]\n')
    group = requirements["group"]
    group.__globals__["PROJECT"] = project
    assert group("dev") == ["b", "a>=1"]
    assert group("run") == []


def test_the_stamp_follows_the_project(tmp_path: Path):
    stamp = functions("requirements.py")["stamp"]
    project = tmp_path / "pyproject.toml"
    stamp.__globals__["PROJECT"] = project
    project.write_text("a")
    before = stamp()
    assert stamp() == before
    project.write_text("b")
    assert stamp() != before


@pytest.mark.parametrize(("test", "lint", "code"), [("true", "false", 1), ("false", "true", 1), ("true", "true", 0)])
def test_ci_fails_when_a_stage_does(tmp_path: Path, test: str, lint: str, code: int):
    """The script in a folder whose stages only succeed or fail."""
    run = tmp_path / ".ci" / "run"
    run.parent.mkdir()
    run.write_bytes((SCRIPTS.parent / ".ci" / "run").read_bytes())
    run.chmod(0o755)
    (tmp_path / "Makefile").write_text(f".PHONY: test lint\ntest:\n\t@{test}\nlint:\n\t@{lint}\n")
    done = subprocess.run([str(run)], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stdout.splitlines()[-1].startswith("ci: passed; " if code == 0 else "ci: failed; ")
