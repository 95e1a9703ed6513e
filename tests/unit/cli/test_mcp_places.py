"""Virtual servers as the admin listener tells of them, and the way back from exposed names."""

from typing import Any

import click
import pytest

from heddle.cli.mcp_places import Served
from heddle.controlplane.describe import describe
from heddle.model.snapshot import AuthzRule, ListenerSpec, Snapshot, TlsSpec
from heddle.model.snapshot_match import MatchSpec
from heddle.model.snapshot_mcp import (
    McpServerSpec,
    McpSpec,
    SearchSpec,
    ServerTargetSpec,
    ToolSpec,
    VersionedToolSpec,
    VersionSpec,
)

LONG = "x" * 80
ROWS = [
    ("files", "tool", "read_file"), ("files", "tool", "write_file"), ("files", "resource", "file:///a"),
    ("files", "template", "ui://{x}"), ("files", "instructions", ""), ("web", "tool", "fetch"), ("web", "tool", LONG),
    ("other", "tool", "never"),
]  # fmt: skip
TEAM = McpServerSpec(
    name="team",
    path="/mcp/team",
    targets=(
        ServerTargetSpec(
            target="files", prefix="fs", tools=(ToolSpec(name="read_file", alias="read"), ToolSpec(name="*"))
        ),
        ServerTargetSpec(target="web"),
    ),
    versions=(
        VersionedToolSpec(
            name="get",
            versions=(
                VersionSpec(version="1", target="web", tool="fetch"),
                VersionSpec(version="2", target="files", tool="read_file", weight=9),
            ),
        ),
    ),
    search=SearchSpec(),
    listeners=("tools",),
)
PLAIN = McpServerSpec(name="plain", path="/mcp/plain", targets=(ServerTargetSpec(target="web"),))
LISTENERS = (
    ListenerSpec(name="llm", address="0.0.0.0", port=1, protocol="HTTP"),
    ListenerSpec(name="mcp", address="::", port=2, protocol="MCP"),
    ListenerSpec(name="tools", address="10.0.0.1", port=3, protocol="MCP", tls=TlsSpec(cert_file="c", key_file="k")),
)


class Mesh:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def ask(self, path: str) -> Any:
        if path == "/tools":
            return {"tools": [{"target": t, "kind": k, "name": n, "state": "approved"} for t, k, n in ROWS]}
        assert path == "/config"
        return {"snapshot": describe(self.snapshot)}


def served(name: str, *rules: AuthzRule, servers: tuple[McpServerSpec, ...] = (TEAM, PLAIN)) -> Served:
    snapshot = Snapshot(version="v", listeners=LISTENERS, mcp=McpSpec(servers=servers), authorization=rules)
    return Served(Mesh(snapshot), name)  # type: ignore[arg-type]


def test_names_lead_back_to_who_is_meant() -> None:
    team = served("team")
    origins = team.origins()
    assert origins["tool", "fs__read"] == "files/read_file"
    assert origins["tool", "fs__write_file"] == "files/write_file"
    assert origins["tool", "web__fetch"] == "web/fetch"
    assert origins["tool", "get"] == "files/read_file"
    assert origins["resource", "fs+file:///a"] == "files/file:///a"
    assert origins["template", "ui://fs+{x}"] == "files/ui://{x}"
    (cut,) = [name for (_, name), stable in origins.items() if stable == f"web/{LONG}"]
    assert len(cut) == 64
    assert not any(stable.startswith("other/") for stable in origins.values())
    assert not any(kind == "instructions" for kind, _ in origins)


@pytest.mark.parametrize(
    ("server", "kind", "name", "stable"),
    [
        ("team", "tool", "find_tools", "heddle/find_tools"),
        ("team", "tool", "fs__unpinned", "files/unpinned"),
        ("team", "resource", "web+http://x", "web/http://x"),
        ("team", "tool", "unpinned", ""),
        ("plain", "tool", "unpinned", "web/unpinned"),
        ("plain", "resource", "http://x", "web/http://x"),
        ("plain", "tool", "find_tools", "web/find_tools"),
    ],
)
def test_names_without_a_pin_are_told_by_their_prefix(server: str, kind: str, name: str, stable: str) -> None:
    assert served(server).stable_name(kind, name) == stable


def test_where_a_server_is() -> None:
    assert served("team").url == "https://10.0.0.1:3/mcp/team"
    assert served("plain").url == "http://[::1]:2/mcp/plain"
    assert served("plain").models_url() == "http://127.0.0.1:1/v1"


def test_which_server_is_meant() -> None:
    assert served("", servers=(PLAIN,)).spec.name == "plain"
    default = McpServerSpec(name="default", path="/mcp")
    assert served("", servers=(PLAIN, default)).spec.name == "default"
    with pytest.raises(click.UsageError, match="one of team, plain"):
        served("")
    with pytest.raises(click.BadParameter, match="known are team, plain"):
        served("default")
    with pytest.raises(click.ClickException, match="no virtual server"):
        served("", servers=())
    nowhere = McpServerSpec(name="nowhere", path="/mcp", listeners=("gone",))
    with pytest.raises(click.ClickException, match="served on no listener"):
        _ = served("", servers=(nowhere,)).url


def rule(name: str, *resources: str, level: str = "global", **match: tuple[str, ...]) -> AuthzRule:
    return AuthzRule(name=name, action="allow", level=level, resources=resources, match=MatchSpec(**match))


def test_policies_that_speak_of_a_tool() -> None:
    rules = (
        rule("any"), rule("models", "model:*"), rule("exposed", "tool:fs__*"), rule("stable", "tool:files/read_file"),
        rule("prompts", "prompt:*"), rule("here", level="server:team"), rule("there", level="server:plain"),
        rule("target", level="target:files"), rule("door", level="listener:tools"),
        rule("backdoor", level="listener:mcp"),
        rule("served", servers=("pl*",)), rule("tooled", tools=("files/*",)), rule("modelled", models=("gpt*",)),
    )  # fmt: skip
    found = served("team", *rules).policies("tool", "fs__read", "files/read_file")
    assert [one["name"] for one in found] == ["any", "exposed", "stable", "here", "target", "door", "tooled"]
