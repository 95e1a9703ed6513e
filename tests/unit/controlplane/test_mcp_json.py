"""Tool servers as editors keep them."""

import json
from pathlib import Path

import pytest

from heddle.controlplane.load import Loaded, load
from heddle.model.snapshot_mcp import HttpSpec, McpTargetSpec, SseSpec, StdioSpec

AUTH = "security: {authentication: {type: none}}\n"
CLAUDE = {
    "mcpServers": {
        "time": {"command": "uvx", "args": ["mcp-server-time"], "env": {"TZ": "UTC", "PORT": 80, "DEBUG": True}},
        "files": {"type": "http", "url": "${HOST:-http://127.0.0.1:9301}/mcp",
                  "headers": {"Authorization": "Bearer ${TOKEN}", "x-team": "${TEAM:-blue}"}},
        "old one": {"url": "http://127.0.0.1:9302/sse"},
    }
}  # fmt: skip
VSCODE = """{
  // What VS Code keeps.
  "inputs": [],
  "servers": {
\t"remote": {"type": "sse", "url": "http://127.0.0.1:1/events", /* a comment */ },
\t"local": {"type": "stdio", "command": "/opt/my tools/run", "cwd": "here",
            "args": ["--root=${env:ROOT}", "a // b", "c,]"]},
  },
}
"""


def load_json(folder: Path, value: object, config: str = AUTH, **environ: str) -> Loaded:
    (folder / "config.yaml").write_text(config)
    path = folder / "mcp.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return load([folder / "config.yaml"], environ=environ, mcp_json=path)


def targets(loaded: Loaded) -> dict[str, McpTargetSpec]:
    assert loaded.snapshot is not None, problems(loaded)
    return {one.name: one for one in loaded.snapshot.mcp.targets}


def problems(loaded: Loaded) -> str:
    return "\n".join(one.line_text() for one in loaded.problems)


def test_every_server_becomes_a_target(tmp_path: Path):
    loaded = load_json(tmp_path, CLAUDE, TOKEN="planted")
    found = targets(loaded)
    assert list(found) == ["time", "files", "old-one"]
    assert found["time"].connect == StdioSpec(
        command=("uvx", "mcp-server-time"), env={"TZ": "UTC", "PORT": "80", "DEBUG": "true"}
    )
    assert found["files"].connect == HttpSpec(
        url="http://127.0.0.1:9301/mcp", headers={"Authorization": "Bearer planted", "x-team": "blue"}
    )
    assert found["old-one"].connect == SseSpec(url="http://127.0.0.1:9302/sse")
    assert "`old one` is called `old-one` here" in problems(loaded)
    assert "planted" not in problems(loaded) + repr(loaded)
    assert loaded.files == (tmp_path / "config.yaml", tmp_path / "mcp.json")


def test_they_are_served_on_loopback(tmp_path: Path):
    loaded = load_json(tmp_path, CLAUDE, TOKEN="t")
    assert loaded.snapshot is not None
    (listener,) = loaded.snapshot.listeners
    assert (listener.name, listener.address, listener.port, listener.protocol) == ("mcp", "127.0.0.1", 8081, "MCP")
    (server,) = loaded.snapshot.mcp.servers
    assert (server.name, server.path) == ("default", "/mcp")
    assert [part.target for part in server.targets] == ["time", "files", "old-one"]


def test_a_configuration_keeps_its_listener_and_servers(tmp_path: Path):
    config = (
        AUTH
        + """
listeners: [{name: mcp, port: 8080}, {name: tools, port: 9000, protocol: MCP}]
llm: {providers: [{name: p, type: scripted}]}
mcp:
  targets: [{name: time, http: {url: "http://127.0.0.1:1/mcp"}}]
  servers: [{name: default, targets: [time]}]
"""
    )
    loaded = load_json(tmp_path, CLAUDE, config, TOKEN="t")
    assert loaded.snapshot is not None
    assert [one.name for one in loaded.snapshot.listeners] == ["mcp", "tools"]
    default, imported = loaded.snapshot.mcp.servers
    assert [part.target for part in default.targets] == ["time"]
    assert (imported.name, imported.path) == ("imported", "/mcp/imported")
    assert [part.target for part in imported.targets] == ["time-2", "files", "old-one"]


def test_the_listener_gets_a_name_of_its_own(tmp_path: Path):
    config = AUTH + "listeners: [{name: mcp, port: 8080}]\nllm: {providers: [{name: p, type: scripted}]}\n"
    loaded = load_json(tmp_path, CLAUDE, config, TOKEN="t")
    assert loaded.snapshot is not None
    assert [(one.name, one.protocol) for one in loaded.snapshot.listeners] == [("mcp", "HTTP"), ("mcp-2", "MCP")]


def test_comments_and_commas_of_editors(tmp_path: Path):
    found = targets(load_json(tmp_path, VSCODE, ROOT="/data"))
    assert found["remote"].connect == SseSpec(url="http://127.0.0.1:1/events")
    assert found["local"].connect == StdioSpec(
        command=("/opt/my tools/run", "--root=/data", "a // b", "c,]"), cwd=str(tmp_path / "here")
    )


@pytest.mark.parametrize("text", ["file:./dev.db", "secret:a/b", "configmap:a/b", "text:x", "a ${b", "$HOME"])
def test_a_text_stays_a_text(tmp_path: Path, text: str):
    """`file:` names a file in our configuration, and a database in theirs."""
    found = targets(load_json(tmp_path, {"mcpServers": {"a": {"command": "x", "env": {"URL": text}}}}))
    assert isinstance(found["a"].connect, StdioSpec)
    assert found["a"].connect.env == {"URL": text}


def test_a_missing_variable_closes_one_target(tmp_path: Path):
    found = targets(load_json(tmp_path, CLAUDE))
    assert found["files"].credential_error == "environment variable TOKEN is not set"
    assert found["time"].credential_error == ""


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[]", "expected a mapping with `mcpServers`"),
        ('{"mcpServers": []}', "expected a mapping with `mcpServers`"),
        ('{"mcpServers": {"a": 1}}', "`a`: expected a mapping with `command` or `url`"),
        ('{"mcpServers": {"a": {}}}', "`a`: expected `command` or `url`"),
        ('{"mcpServers": {"a": {"type": "ws", "url": "ws://x"}}}', "`a`: expected `type` to be one of stdio, http"),
        ('{"mcpServers": {"a": {"type": [], "url": "x"}}}', "`a`: expected `type` to be one of stdio, http"),
        ('{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}', "not valid JSON: an object repeats"),
        ('{"mcpServers": {"a": {"command": 1}}}', "mcp.targets[0].stdio.command: expected"),
        ('{"mcpServers": {"a": {"command": "x", "args": [1]}}}', "mcp.targets[0].stdio.args[0]: expected text"),
        ('{"mcpServers": {"a": {"command": "x", "env": []}}}', ""),
        ('{"mcpServers": {"a": {"command": "x", "env": [1]}}}', "mcp.targets[0].stdio.env: expected a mapping"),
        ('{"mcpServers": {"a": {"command": "x", "env": {"A": {}}}}}', "mcp.targets[0].stdio.env.A: expected text"),
        ('{"mcpServers": {"a": {"url": "ftp://x"}}}', "mcp.targets[0].http.url: expected a URL"),
        ('{"mcpServers": {"a": {"url": "${NONE}"}}}', "environment variable NONE is not set"),
        ('{"mcpServers": {"a": {"command": "x", "args": ["${workspaceFolder}"]}}}', ""),
        ('{"mcpServers": {"a": {"command": "x", "args": ["${input:key}"]}}}', "only an editor knows"),
        ('{"mcpServers": {"a": {"command": "x", "env": {"A": "${input:key}"}}}}', "only an editor knows"),
        ('{"mcpServers": ' + "[" * 5000, "The file is not valid JSON"),
        ("", "The file is not valid JSON"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "The file is not valid JSON"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_refused(tmp_path: Path, value: str, message: str):
    loaded = load_json(tmp_path, value)
    assert message in problems(loaded)
    assert (loaded.snapshot is None) == (bool(message) or "workspaceFolder" in value)


def test_a_missing_file_is_watched_for(tmp_path: Path):
    (tmp_path / "c.yaml").write_text(AUTH)
    loaded = load([tmp_path / "c.yaml"], environ={}, mcp_json=tmp_path / "none.json")
    assert loaded.snapshot is None
    assert tmp_path / "none.json" in loaded.files


def test_disabled_and_unknown_is_said(tmp_path: Path):
    value = {"mcpServers": {"a": {"command": "x", "disabled": True}, "b": {"command": "x", "autoApprove": ["y"]}}}
    loaded = load_json(tmp_path, value)
    assert list(targets(loaded)) == ["b"]
    assert "`a` is disabled, and left out" in problems(loaded)
    assert "`b`: `autoApprove` is not used" in problems(loaded)


def test_problems_stand_at_the_line_of_their_server(tmp_path: Path):
    loaded = load_json(tmp_path, '{\n\t"mcpServers": {\n\t\t"good": {"command": "x"},\n\t\t"bad": {"url": 1}\n}}')
    assert "mcp.json:4: error:" in problems(loaded)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("a.b", "a-b"),
        ("", "server"),
        ("@scope/server", "scope-server"),
        ("x" * 200, "x" * 30),
        ("日本", "server"),
        ("__a__", "a"),
    ],
)
def test_names_are_made_to_fit(tmp_path: Path, given: str, made: str):
    value = {"mcpServers": {given: {"command": "x"}, "other": {"command": "y"}}}
    assert list(targets(load_json(tmp_path, value))) == [made, "other"]


def test_names_that_fit_alike_are_told_apart(tmp_path: Path):
    value = {"mcpServers": {name: {"command": "x"} for name in ("a.b", "a b", "a-b")}}
    assert list(targets(load_json(tmp_path, value))) == ["a-b", "a-b-2", "a-b-3"]


def test_a_variable_in_a_url_is_not_shown(tmp_path: Path):
    value = {"mcpServers": {"a": {"url": "https://tools.example/mcp?key=${KEY}"}, "b": {"url": "${KEY}"}}}
    loaded = load_json(tmp_path, value, KEY="planted")
    assert "planted" not in problems(loaded)
    assert problems(loaded).count("when its variables are filled in") == 2
    assert loaded.snapshot is None
