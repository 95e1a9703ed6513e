"""No secret comes out: planted wherever one can be, then looked for in everything that was written or answered."""

import contextlib
import json
import os
import socket
from pathlib import Path

import pytest
from tests.e2e.running import RunningMesh, eventually, running_mesh
from tests.e2e.servers import Asked, reply, serving

MARK = "zq7Secret"
"""Every planted secret has it, so one search finds any of them, and parts of them."""


def planted(name: str) -> str:
    return f"{MARK}-{name}-0123456789abcdef"


CONFIG = """\
listeners:
  - {{name: llm, address: 127.0.0.1, port: {port}, protocol: HTTP}}
admin: {{address: 127.0.0.1, port: {admin_port}}}
llm:
  providers:
    - {{name: offline, type: scripted}}
    - {{name: by-env, type: openai, base_url: "@UPSTREAM@/v1", api_key: "${{PROVIDER_KEY}}",
        options: {{organization: org-1}}}}
    - {{name: by-file, type: openai, base_url: "@UPSTREAM@/v1", api_key: "file:provider.key"}}
    - {{name: by-name, type: openai, base_url: "@UPSTREAM@/v1", api_key_secret: vendor}}
    - {{name: by-hand, type: openai, base_url: "@UPSTREAM@/v1", api_key: "@literal-provider@"}}
    - {{name: missing, type: openai, base_url: "@UPSTREAM@/v1", api_key: "file:not-there-@path@"}}
    - {{name: gone, type: openai, base_url: "http://127.0.0.1:1/v1", api_key: "@unreachable@"}}
  models:
    - {{name: offline, provider: offline}}
    - {{name: "env-*", provider: by-env}}
    - {{name: "file-*", provider: by-file}}
    - {{name: "name-*", provider: by-name}}
    - {{name: "hand-*", provider: by-hand}}
    - {{name: missing, provider: missing}}
    - {{name: gone, provider: gone}}
security:
  authentication:
    - type: api_key
      keys:
        - {{key: "@literal-key@", user: ann, tenant: t}}
        - {{key: "${{CALLER_KEY}}", user: bob, tenant: t, metadata: {{note: "@metadata@"}}}}
        - {{key: "file:caller.key", user: eve, tenant: t, expires: "2020-01-01"}}
    - type: kubernetes
      api_server: "@UPSTREAM@"
      token_file: @FOLDER@/account
authorization:
  policies:
    - {{name: t, match: {{tenant: t}}, action: allow}}
    - {{name: no-7, when: 'principal.user == "bob" && call.model == "env-7"', action: deny}}
rate_limiting:
  - {{name: few, key: [key], match: {{user: ann}}, limit: 3, window: 24h}}
observability:
  tracing:
    endpoint: "@UPSTREAM@/v1/traces"
    headers: {{authorization: "Bearer @otlp@", x-team: "${{OTLP_TEAM}}"}}
  logging:
    output:
      - {{type: stdout}}
      - {{type: file, path: access.log}}
      - {{type: elasticsearch, endpoint: "@UPSTREAM@/es1", username: elastic, password: "@es-password@"}}
      - {{type: elasticsearch, endpoint: "@UPSTREAM@/es2", index: two, api_key: "${{ES_KEY}}"}}
"""
ENVIRON = {
    "PROVIDER_KEY": planted("env-provider"),
    "CALLER_KEY": planted("env-caller"),
    "OTLP_TEAM": planted("env-otlp"),
    "ES_KEY": planted("env-es"),
}


def upstream(asked: Asked) -> bytes:
    """A provider that repeats credentials in its errors, and collectors that take everything."""
    if "/es" in asked.target:
        operations = asked.body.splitlines()[0::2]
        items = [{"create": {"status": 201}} for _ in operations]
        return reply(200, json.dumps({"errors": False, "items": items}).encode())
    if "/traces" in asked.target or "/apis/" in asked.target:
        return reply(200, b"{}")
    said = asked.header("authorization") or ""
    model = json.loads(asked.body)["model"]
    status = {"1": 400, "2": 401, "3": 403, "4": 429, "5": 500}.get(model[-1], 200)
    error = {"error": {"message": f"Incorrect key: {said}", "type": "x", "code": said}}
    if status == 200:
        return reply(200, b"not json " + said.encode(), x_request_id="r", set_cookie=f"s={planted('upstream-cookie')}")
    return reply(status, json.dumps(error).encode(), www_authenticate=said, x_debug=said)


class Heard:
    """Everything that callers were answered."""

    def __init__(self, mesh: RunningMesh) -> None:
        self.mesh = mesh
        self.answers: list[bytes] = []

    def call(self, model: str, key: str | None, **fields: str) -> int:
        call = {"model": model, "messages": [{"role": "user", "content": f"[[say hello]] {planted('prompt')}"}]}
        status, headers, data = self.mesh.post(call, key=key, **fields)
        self.answers.append(json.dumps(headers).encode() + data)
        return status

    def raw(self, data: bytes) -> None:
        self.answers.append(self.mesh.raw(data))


def speak(heard: Heard) -> None:
    """Every way to make the mesh talk about something it holds."""
    good = ENVIRON["CALLER_KEY"]
    assert [heard.call(f"{name}-{n}", good) for name in ("env", "file", "name", "hand") for n in range(1, 7)] == [
        400, 502, 502, 429, 500, 502
    ] * 4  # fmt: skip
    assert heard.call("env-7", good) == 403
    assert heard.call("missing", good) == 503
    assert heard.call("gone", good) == 503
    assert heard.call("offline", good) == 200
    assert [heard.call("offline", planted("literal-key")) for _ in range(4)] == [200, 200, 200, 429]
    assert heard.call("offline", planted("file-caller")) == 401
    assert heard.call("offline", planted("wrong-key")) == 401
    assert heard.call("offline", None, authorization=f"Basic {planted('basic')}") == 401
    assert heard.call("offline", None, authorization=f"Bearer e30.e30.{planted('jwt')}") == 401
    assert heard.call("offline", good, cookie=f"session={planted('cookie')}", openai_organization=planted("org")) == 200
    key = planted("query").encode()
    targets = (b"/v1/models?api_key=%b", b"/nowhere?token=%b", b"http://user:%b@localhost/v1/models")
    for target in [form % key for form in targets]:
        heard.raw(b"GET " + target + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    secret = planted("body").encode()
    for form in (b'{"model": "@', b'{"@": 1, "@": 2}', b'{"model": ["@"]}', b'{"model": "m", "messages": "@"}'):
        body = form.replace(b"@", secret)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        head += b"content-type: application/json\r\nauthorization: Bearer " + good.encode()
        heard.raw(head + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    heard.raw(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-" + planted("header").encode() + b" : 1\r\n\r\n")


def everything_written(mesh: RunningMesh) -> dict[str, bytes]:
    """What it printed, every file of the state directory, and what the system shows of its processes."""
    found = {"log": mesh.log_file.read_bytes()}
    for path in mesh.state.rglob("*"):
        # Shipped records go while we look.
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                found[str(path)] = path.read_bytes()
    for pid in mesh.running()["workers"]:
        for name in ("environ", "cmdline"):
            found[f"worker {name}"] = Path(f"/proc/{pid}/{name}").read_bytes()
    assert mesh.process is not None
    found["parent cmdline"] = Path(f"/proc/{mesh.process.pid}/cmdline").read_bytes()
    return found


def assert_clean(found: dict[str, bytes]) -> None:
    for where, data in found.items():
        at = data.find(MARK.encode())
        assert at < 0, f"{where}: {data[max(0, at - 200) : at + 60]!r}"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "provider.key").write_text(planted("file-provider"))
    (folder / "caller.key").write_text(planted("file-caller"))
    (folder / "account").write_text(planted("account"))
    (folder / "secrets" / "vendor").mkdir(parents=True)
    (folder / "secrets" / "vendor" / "api-key").write_text(planted("named-provider"))
    text = CONFIG
    for name in ("literal-provider", "unreachable", "literal-key", "metadata", "otlp", "es-password"):
        text = text.replace(f"@{name}@", planted(name))
    with serving(upstream) as server:
        text = text.replace("@UPSTREAM@", server.url).replace("@FOLDER@", str(folder)).replace("@path@", "there")
        with running_mesh(folder, text, environ=ENVIRON, workers=2) as mesh:
            yield mesh, server


def test_no_secret_comes_out(stage):
    mesh, server = stage
    heard = Heard(mesh)
    speak(heard)
    eventually(lambda: len([1 for asked in server.asked if "/es" in asked.target]) >= 2)
    eventually(lambda: any("/traces" in asked.target for asked in server.asked))
    told = {f"answer {number}": data for number, data in enumerate(heard.answers)}
    told["/metrics"] = mesh.get("/metrics")[1]
    told["/config"] = mesh.get("/config", authorized=True)[1]
    told["/config refused"] = mesh.get("/config")[1]
    shipped = [asked.body for asked in server.asked if "/es" in asked.target or "/traces" in asked.target]
    assert all(shipped)
    assert_clean(told | everything_written(mesh) | {f"shipped {n}": data for n, data in enumerate(shipped)})


def test_the_right_ones_get_theirs_and_only_theirs(stage):
    mesh, server = stage
    heard = Heard(mesh)
    server.asked.clear()
    for model in ("env-6", "file-6", "name-6", "hand-6"):
        heard.call(model, ENVIRON["CALLER_KEY"], cookie=planted("cookie"), x_api_key_note=planted("note"))
    calls = [asked for asked in server.asked if asked.target == "/v1/chat/completions"]
    names = ("env-provider", "file-provider", "named-provider", "literal-provider")
    assert [asked.header("authorization") for asked in calls] == [f"Bearer {planted(name)}" for name in names]
    for asked in calls:
        fields = [value for name, value in asked.fields if name != "authorization"]
        assert not [value for value in fields if MARK in value]
    eventually(lambda: any(asked.target.startswith("/es2") for asked in server.asked))
    bulk = next(asked for asked in server.asked if asked.target.startswith("/es2"))
    assert bulk.header("authorization") == f"ApiKey {ENVIRON['ES_KEY']}"


BROKEN = {
    "a list where a key belongs": ('key: "@@"', "key: [@@]"),
    "a key in the wrong place": ('- {key: "@@"', '- @@\n        - {key: "@@"'),
    "a field that is its value": ('key: "@@"', '"@@": 1, key: "@@"'),
    "a quote that does not end": ('key: "@@"', 'key: "@@'),
    "a tab and a colon": ('key: "@@"', "key: @@: @@"),
    "half an environment variable": ('key: "@@"', 'key: "${NOT_SET}@@"'),
    "a digest that is the key": ('key: "@@"', "key_sha256: @@"),
    "given twice": ('key: "@@"', 'key: "@@", key: "@@"'),
    "both forms": ('key: "@@"', f'key: "@@", key_sha256: {"0" * 64}'),
    "a url with a password": ("127.0.0.1:1/v1", "user:@@@127.0.0.1:1/v1"),
}


@pytest.mark.parametrize(("old", "new"), BROKEN.values(), ids=BROKEN.keys())
def test_a_configuration_with_a_mistake_in_a_secret_does_not_repeat_it(stage, old, new):
    mesh, _ = stage
    good, told = mesh.config.read_text(), len(mesh.log)
    secret = planted("literal-key")
    changed = good.replace(old.replace("@@", secret), new.replace("@@", secret), 1)
    assert changed != good
    try:
        mesh.rewrite(changed)
        shown = mesh.running()
        assert shown["rejected"], shown
        assert_clean({"/config": json.dumps(shown).encode(), "log": mesh.log[told:].encode()})
    finally:
        mesh.rewrite(good)
    assert mesh.running()["rejected"] == ""


def test_the_state_directory_is_private(stage):
    mesh, _ = stage
    modes = {path: path.stat().st_mode & 0o077 for path in mesh.state.rglob("*")}
    assert not {path: mode for path, mode in modes.items() if mode}, "others could read the state directory"
    assert os.stat(mesh.state).st_mode & 0o777 == 0o700


def test_a_stranger_on_the_admin_port_learns_nothing(stage):
    mesh, _ = stage
    for data in (
        b"GET /config HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer \r\nconnection: close\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", mesh.admin_port), timeout=5) as sock:
            sock.sendall(data)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := sock.recv(65536):
                    received += piece
        assert received.startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 400 "))
        assert MARK.encode() not in received
        assert b"snapshot" not in received
