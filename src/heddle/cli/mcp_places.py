"""Virtual servers as a running mesh tells of them: where they are, what their names stand for, who may call.

Owns the way from names that callers see back to the tool server that is meant, by the same rules that made them. All
of it is asked of the admin listener; a server that is given by its URL has none of it.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click
import msgspec

from heddle.cli.asking import Mesh
from heddle.cli.chat import demo_key
from heddle.cli.mcp_client import Door, check_url
from heddle.dataplane.mcp.surface import prefix_of
from heddle.model.match import glob_match
from heddle.model.snapshot_mcp import McpServerSpec, ServerTargetSpec
from heddle.wire.mcp.names import SEPARATOR, exposed, exposed_uri, split_uri

OWN = "heddle"
"""Whose tools `find_tools` and `call_tool` are."""
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where it listens, not we

Row = dict[str, Any]


class Served:
    """A virtual server of the running mesh."""

    def __init__(self, mesh: Mesh, name: str) -> None:
        """Empty `name` is the only one, or `default`. Raises click.ClickException."""
        self._mesh = mesh
        config = mesh.ask("/config")
        self._snapshot: dict[str, Any] = config.get("snapshot") or {}
        servers = (self._snapshot.get("mcp") or {}).get("servers") or []
        self.spec = msgspec.convert(_chosen(servers, name), McpServerSpec)
        self._rows: list[Row] | None = None

    @property
    def url(self) -> str:
        """Where it is served. Raises click.ClickException when it is nowhere."""
        listener = self._listener("MCP")
        if listener is None:
            raise click.ClickException(f"the virtual server {self.spec.name} is served on no listener; add one of MCP")
        return _base(listener) + self.spec.path

    def models_url(self) -> str:
        """Where models are asked. Raises click.ClickException when nowhere."""
        listener = self._listener("HTTP")
        if listener is None:
            raise click.ClickException("--model: this mesh has no listener for models")
        return _base(listener) + "/v1"

    def _listener(self, protocol: str) -> dict[str, Any] | None:
        wanted = self.spec.listeners if protocol == "MCP" else ()
        for listener in self._snapshot.get("listeners") or ():
            if listener["protocol"] == protocol and (not wanted or listener["name"] in wanted):
                assert isinstance(listener, dict)
                return listener
        return None

    # What names stand for

    @property
    def rows(self) -> list[Row]:
        """What is known of the definitions of all targets: approved, waiting, rejected."""
        if self._rows is None:
            found = self._mesh.ask("/tools")["tools"]
            assert isinstance(found, list)
            self._rows = found
        return self._rows

    def origins(self) -> dict[tuple[str, str], str]:
        """Kind and name as callers see it -> stable name, `files/read_file`; what was ever approved or waits."""
        found: dict[tuple[str, str], str] = {}
        for part in self.spec.targets:
            prefix = prefix_of(self.spec, part)
            for row in self.rows:
                if row["target"] == part.target and row["kind"] != "instructions":
                    seen = _seen_as(row["kind"], row["name"], part, prefix)
                    found.setdefault((row["kind"], seen), f"{part.target}/{row['name']}")
        for versioned in self.spec.versions:
            shown = max(versioned.versions, key=lambda one: one.weight)
            found["tool", versioned.name] = f"{shown.target}/{shown.tool}"
        if self.spec.search is not None:
            found |= {("tool", name): f"{OWN}/{name}" for name in ("find_tools", "call_tool")}
        return found

    def stable_name(self, kind: str, name: str) -> str:
        """What a name stands for; empty when that cannot be told."""
        known = self.origins().get((kind, name))
        if known is not None:
            return known
        for part in self.spec.targets:
            prefix = prefix_of(self.spec, part)
            found, rest = split_uri(name) if kind in ("resource", "template") else _split(name, prefix)
            if found == prefix and (prefix or len(self.spec.targets) == 1):
                return f"{part.target}/{rest}"
        return ""

    def row(self, kind: str, stable: str) -> Row | None:
        """What is known of a definition by its stable name."""
        target, _, name = stable.partition("/")
        return next(
            (row for row in self.rows if (row["target"], row["kind"], row["name"]) == (target, kind, name)), None
        )

    def policies(self, kind: str, name: str, stable: str) -> list[Row]:
        """The authorization policies that speak of it."""
        levels = {"global", f"server:{self.spec.name}", f"target:{stable.partition('/')[0]}"}
        listener = self._listener("MCP")
        levels |= {f"listener:{listener['name']}"} if listener is not None else set()
        texts = [f"{kind}:{name}", f"{kind}:{stable}"]
        return [
            policy
            for policy in self._snapshot.get("authorization") or ()
            if policy["level"] in levels
            and _meets(policy["resources"], texts)
            and _meets(policy["match"]["servers"], [self.spec.name])
            and _meets(policy["match"]["tools"], [name, stable])
            and not policy["match"]["models"]
        ]

    def history(self, kind: str, stable: str) -> list[Row]:
        """The versions of a definition, the latest first."""
        return versions(self._mesh, kind, *stable.split("/", 1))


def versions(mesh: Mesh, kind: str, target: str, name: str) -> list[Row]:
    """Versions of a definition, the latest first."""
    query = urlencode({"target": target, "kind": kind, "name": name})
    found = mesh.ask(f"/tools/history?{query}")["versions"]
    assert isinstance(found, list)
    return found


def door_of(url: str, key: str, state_dir: Path | None, timeout_s: float, ca_file: str) -> Door:
    """Where and as whom to ask; on this machine the key of the demo is known. Raises McpFailure."""
    check_url(url)
    return Door(url, key or demo_key(url, state_dir), timeout_s, ca_file)


def _chosen(servers: list[dict[str, Any]], name: str) -> dict[str, Any]:
    names = ", ".join(server["name"] for server in servers) or "none"
    for server in servers:
        if server["name"] == (name or "default") or (not name and len(servers) == 1):
            return server
    if name:
        raise click.BadParameter(f"there is no {name!r}; known are {names}", param_hint="--server")
    if not servers:
        raise click.ClickException("this mesh has no virtual server; see `mcp` in the configuration, or give --url")
    raise click.UsageError(f"which virtual server? --server is one of {names}")


def _base(listener: dict[str, Any]) -> str:
    host = _ANYWHERE.get(listener["address"], listener["address"])
    scheme = "https" if listener.get("tls") else "http"
    return f"{scheme}://[{host}]:{listener['port']}" if ":" in host else f"{scheme}://{host}:{listener['port']}"


def _seen_as(kind: str, name: str, part: ServerTargetSpec, prefix: str) -> str:
    if kind in ("resource", "template"):
        return exposed_uri(name, prefix)
    alias = next((tool.alias for tool in part.tools or () if kind == "tool" and tool.name == name), "")
    return exposed(alias or name, prefix)


def _meets(patterns: list[str], texts: list[str]) -> bool:
    return not patterns or any(glob_match(pattern, text) for pattern in patterns for text in texts)


def _split(name: str, prefix: str) -> tuple[str, str]:
    head = f"{prefix}{SEPARATOR}"
    return (prefix, name[len(head) :]) if prefix and name.startswith(head) else ("", name)
