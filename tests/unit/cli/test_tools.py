"""How a person decides at the terminal: which definition is meant, and that what they saw is what is sent."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import pytest
from click.testing import CliRunner, Result

from heddle.cli import tools as tools_module
from heddle.cli.main import main

DIGEST, OTHER = "a" * 64, "b" * 64


def row(name: str, kind: str = "tool", reason: str = "changed", digest: str = DIGEST) -> dict[str, Any]:
    return {"target": "files", "kind": kind, "name": name, "state": "pending", "pending": digest, "reason": reason,
            "change": "wording", "notes": [], "seen": "now"}  # fmt: skip


class Admin:
    """The admin listener: rows that wait, and what was asked of it."""

    def __init__(self) -> None:
        self.rows = [row("read")]
        self.state = "pending"
        self.refuse: set[str] = set()
        self.diffs: list[dict[str, str]] = []
        self.decided: list[tuple[str, dict[str, str]]] = []

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        parts = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/tools":
            return {"tools": self.rows}
        if parts.path == "/tools/diff":
            self.diffs.append(asked)
            return {"target": "files", "kind": asked["kind"], "name": asked.get("name", ""), "state": self.state,
                    "digest": asked.get("digest", DIGEST), "seen": "now", "approved": OTHER, "change": "wording",
                    "reason": "changed", "notes": ["a\x1b[2Jb"], "diff": "-old\n+new", "decided_by": "ann"}  # fmt: skip
        assert method == "POST"
        if body["name"] in self.refuse:
            raise click.ClickException("it changed after it was shown")
        self.decided.append((parts.path, body))
        return {}


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Admin:
    made = Admin()
    monkeypatch.setattr(tools_module, "Mesh", lambda address, state: made)
    return made


def heddle(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(main, ["tools", *arguments, "--state", str(Path())], input=given)


def test_what_was_shown_is_what_is_approved(admin: Admin) -> None:
    told = heddle("approve", "files/read", given="y\n")
    assert told.exit_code == 0, told.output
    assert "+new" in told.stdout
    assert "\x1b" not in told.output
    named = {"target": "files", "kind": "tool", "name": "read", "digest": DIGEST}
    assert admin.decided == [("/tools/approve", named)]


@pytest.mark.parametrize("given", ["", "n\n", "\n"])
def test_nothing_is_approved_without_a_yes(admin: Admin, given: str) -> None:
    assert heddle("approve", "files/read", given=given).exit_code == 1
    assert heddle("approve", "--all", given=given).exit_code == 1
    assert admin.decided == []


def test_a_digest_that_was_shown_before_needs_no_yes(admin: Admin) -> None:
    assert heddle("approve", "files/read", "--digest", OTHER).exit_code == 0
    assert admin.decided[0][1]["digest"] == OTHER
    assert heddle("reject", "files/read", "--digest", OTHER).exit_code == 0
    assert admin.decided[1][0] == "/tools/reject"


@pytest.mark.parametrize("state", ["rejected", "seen"])
def test_what_does_not_wait_is_decided_by_digest_only(admin: Admin, state: str) -> None:
    admin.state = state
    for what in ("approve", "reject"):
        told = heddle(what, "files/read", *(["--yes"] if what == "approve" else []))
        assert (told.exit_code, "nothing of files/read waits" in told.stderr) == (1, True)
    assert admin.decided == []


def test_what_is_approved_already_is_said(admin: Admin) -> None:
    admin.state = "approved"
    assert "approved already, by ann" in heddle("approve", "files/read").stdout
    assert admin.decided == []


def test_everything_but_poison_at_once_each_by_what_was_listed(admin: Admin) -> None:
    admin.rows = [row("a"), row("", "instructions", digest=OTHER), row("b", reason="poisoned"), row("c/d", "resource")]
    admin.refuse = {"a"}
    told = heddle("approve", "--all", "files", given="y\n")
    assert told.exit_code == 1
    assert "files/a: it changed after it was shown" in told.stderr
    assert "left out, it looks poisoned: files/b" in told.stderr
    assert "2 approved" in told.stdout
    assert [(one["kind"], one["digest"]) for one in admin.diffs] == [
        ("tool", DIGEST), ("instructions", OTHER), ("resource", DIGEST),
    ]  # fmt: skip
    assert [(body["name"], body["digest"]) for _, body in admin.decided] == [("", OTHER), ("c/d", DIGEST)]
    admin.rows = [row("b", reason="poisoned")]
    assert "nothing to approve" in heddle("approve", "--all", "--yes").stdout


def test_which_one_is_meant(admin: Admin) -> None:
    heddle("diff", "files")
    assert admin.diffs[-1]["kind"] == "instructions"
    heddle("diff", "files/file:///a?b&c")
    assert (admin.diffs[-1]["kind"], admin.diffs[-1]["name"]) == ("tool", "file:///a?b&c")
    admin.rows = [row("read"), row("read", "prompt")]
    told = heddle("diff", "files/read")
    assert (told.exit_code, "is a tool and a prompt" in told.stderr) == (2, True)
    heddle("diff", "files/read", "--kind", "prompt")
    assert admin.diffs[-1]["kind"] == "prompt"


@pytest.mark.parametrize(
    "arguments",
    [["approve"], ["approve", "files/"], ["approve", "/x"], ["approve", "--all", "files/read"],
     ["approve", "--all", "--digest", DIGEST], ["approve", "--all", "--kind", "tool"], ["reject"], ["diff", ""]],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(admin: Admin, arguments: list[str]) -> None:
    assert heddle(*arguments, given="y\n").exit_code == 2
    assert admin.decided == []


def test_names_of_servers_steer_no_terminal(admin: Admin) -> None:
    admin.rows = [row("re\x1b[2Jad\u202e"), {**row("x"), "state": "approved", "rejected": [OTHER]}]
    told = heddle("list")
    assert "files/re<U+001B>[2Jad<U+202E>" in told.stdout
    assert "1 rejected" in told.stdout
    admin.rows = []
    assert "nothing waits for a decision" in heddle("list", "--pending").stdout
