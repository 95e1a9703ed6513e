"""`heddle keys`: what its words mean, what it asks for, and that no secret is among its arguments."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from heddle.cli.keywords import budget_of, expiry_of, limit_of, table, written
from heddle.cli.main import main

KEY = {
    "id": "key-1f",
    "name": "ci",
    "tenant": "dev",
    "limits": [{"limit": 6000, "window": "1m"}],
    "budgets": [{"limit_usd": 20.5, "calendar": {"period": "month"}}, {"limit_tokens": 5, "sliding": "7d"}],
    "secrets": [{"hint": "sk-hd-…abcd", "created": "2026-11-21T10:00:00.000Z"}],
    "created": "2026-11-21T10:00:00.000Z",
    "changed": "2026-11-21T10:00:00.000Z",
}


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("usd=20/month", {"limit_usd": 20.0, "calendar": {"period": "month"}}),
        ("usd=0.5/day:Europe/Berlin", {"limit_usd": 0.5, "calendar": {"period": "day", "zone": "Europe/Berlin"}}),
        ("tokens=1_000/24h", {"limit_tokens": 1000, "window": "24h"}),
        ("usd=5/sliding:7d", {"limit_usd": 5.0, "sliding": "7d"}),
    ],
)
def test_budgets_in_words(text: str, means: dict[str, object]):
    assert budget_of(text) == means


def test_limits_in_words():
    assert limit_of("tokens=100_000/1h") == {"limit_by": "tokens", "limit": 100_000, "window": "1h"}
    for text in ("60/1m", "requests=60", "calls=60/1m", "requests=1.5/1m", "requests=/1m", "requests=-1/1m"):
        with pytest.raises(click.BadParameter):
            limit_of(text)
    for text in ("20/month", "eur=20/month", "tokens=1.5/24h", "usd=x/month", "usd=1/", "requests=1/24h", "usd=_/24h"):
        with pytest.raises(click.BadParameter):
            budget_of(text)


def test_times_in_words():
    assert expiry_of("2027-01-31") == "2027-01-31"
    assert expiry_of("30d").endswith("Z")
    assert expiry_of("soon") == "soon", "the mesh says what is wrong with it"


def test_a_key_in_words():
    text = written(KEY)
    for part in ("key-1f", "6,000 requests per 1m", "$20.5 per month (UTC)", "5 tokens in any 7d", "sk-hd-…abcd"):
        assert part in text
    (_, line) = table([{**KEY, "expires": "2020-01-01"}]).splitlines()
    assert line.split()[:2] == ["key-1f", "ci"]
    assert "expired" in line
    assert "disabled" in table([{**KEY, "disabled": True}])
    assert "heddle keys create" in table([])


class _Admin(BaseHTTPRequestHandler):
    asked: list[tuple[str, str, object, str]]
    answer: tuple[int, object]

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        said = json.loads(body) if body else None
        self.asked.append((self.command, self.path, said, self.headers["authorization"]))
        status, answer = self.answer
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = _any

    def log_message(self, *_: object) -> None:
        pass


class Admin:
    def __init__(self, state: Path) -> None:
        self.handler = type("Handler", (_Admin,), {"asked": [], "answer": (200, KEY)})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        self.state = state
        (state / "admin.token").write_text("the-token\n")

    def run(self, *arguments: str) -> Result:
        where = ["--admin", f"127.0.0.1:{self.server.server_port}", "--state", str(self.state)]
        return CliRunner().invoke(main, ["keys", *arguments, *where])


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Admin]:
    made = Admin(tmp_path)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_what_each_command_asks_for(admin: Admin):
    admin.handler.answer = (200, {**KEY, "secret": "sk-hd-whole"})
    made = admin.run("create", "--name", "ci", "--tenant", "dev", "--model", "gpt-*", "--limit", "requests=60/1m",
                     "--budget", "usd=20/month", "--metadata", "team=a=b")  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "sk-hd-whole" in made.stdout
    assert "once" in made.stderr
    assert admin.run("create", "--secret-only").stdout == "sk-hd-whole\n"
    assert admin.run("rotate", "key-1f", "--overlap", "24h", "--secret-only").stdout == "sk-hd-whole\n"
    admin.handler.answer = (200, KEY)
    for arguments in (("update", "key-1f", "--disable", "--unset", "models"), ("update", "key-1f", "--enable"),
                      ("show", "key/../x"), ("revoke", "key-1f")):  # fmt: skip
        assert admin.run(*arguments).exit_code == 0
    admin.handler.answer = (200, {"keys": [KEY]})
    assert "key-1f" in admin.run("list", "--tenant", "a&b").output
    assert [(method, path, body) for method, path, body, _ in admin.handler.asked] == [
        (
            "POST",
            "/keys",
            {
                "name": "ci",
                "tenant": "dev",
                "models": ["gpt-*"],
                "limits": [{"limit_by": "requests", "limit": 60, "window": "1m"}],
                "budgets": [{"limit_usd": 20.0, "calendar": {"period": "month"}}],
                "metadata": {"team": "a=b"},
            },
        ),
        ("POST", "/keys", {}),
        ("POST", "/keys/key-1f/rotate", {"overlap": "24h"}),
        ("PATCH", "/keys/key-1f", {"models": None, "disabled": True}),
        ("PATCH", "/keys/key-1f", {"disabled": False}),
        ("GET", "/keys/key%2F..%2Fx", None),
        ("DELETE", "/keys/key-1f", None),
        ("GET", "/keys?tenant=a%26b", None),
    ]
    assert {token for *_, token in admin.handler.asked} == {"Bearer the-token"}


def test_what_the_mesh_refuses_is_told_in_its_words(admin: Admin):
    admin.handler.answer = (400, {"error": {"message": "A key cannot be like this."}})
    refused = admin.run("create")
    assert refused.exit_code == 1
    assert "answered 400: A key cannot be like this." in refused.output
    admin.handler.answer = (500, ["odd"])
    assert "answered 500" in admin.run("create").output


def test_a_secret_is_no_name(admin: Admin):
    refused = admin.run("revoke", "sk-hd-whole")
    assert refused.exit_code == 2
    assert "heddle keys list" in refused.output
    assert "whole" not in refused.output
    assert admin.handler.asked == []


def test_a_change_of_nothing_is_no_change(admin: Admin):
    assert admin.run("update", "key-1f").exit_code == 2
    assert admin.handler.asked == []
