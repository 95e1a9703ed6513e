"""What a mesh says when it is up: where it listens, who may call, what to try."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from heddle import __version__
from heddle.model.snapshot import ListenerSpec, NoAuthn, Snapshot

if TYPE_CHECKING:
    from heddle.cli.mesh import Settings

Address = tuple[str, int]

_TOUR = """
Try, in another terminal:

  heddle chat "hello"                              a streamed answer, through the gateway
  heddle chat "[[error 429 retry-after=2]] hi"     a provider that refuses
  heddle chat "[[disconnect after=3]] hi"          a stream that breaks, and says so
  heddle status                                    what is running
  curl -s {admin}/metrics | grep heddle_tokens     what it cost
  heddle demo --print > heddle.yaml                a configuration of your own to start from"""


def announcement(
    settings: "Settings", snapshot: Snapshot, listening: Mapping[str, Address], admin: Address
) -> Iterator[str]:
    """The lines to print."""
    yield f"heddle {__version__} is up: configuration {snapshot.version}, {_count(settings.workers, 'worker')}"
    for spec in snapshot.listeners:
        if spec.name in listening:
            base = _url("https" if spec.tls else "http", listening[spec.name])
            for path in paths(snapshot, spec):
                yield f"  {spec.name:<10} {base}{path}"
    yield f"  {'admin':<10} {_url('http', admin)}   (token in {settings.state_dir / 'admin.token'})"
    yield f"  {'state':<10} {settings.state_dir}"
    if any(isinstance(entry, NoAuthn) for entry in snapshot.authentication) or not snapshot.authentication:
        yield "  ! no authentication: anybody who can connect may call"
    if not snapshot.authorization:
        yield "  ! no authorization policy: every authenticated caller may use every model and tool"
    if settings.demo_key:
        yield from _clients(settings.demo_key, snapshot, listening)
    if settings.tour:
        yield _TOUR.format(admin=_url("http", admin))


def paths(snapshot: Snapshot, listener: ListenerSpec) -> list[str]:
    """What is served on a listener, as clients are told it."""
    if listener.protocol != "MCP":
        return ["/v1"]
    servers = snapshot.mcp.servers
    return [server.path for server in servers if not server.listeners or listener.name in server.listeners]


def _clients(key: str, snapshot: Snapshot, listening: Mapping[str, Address]) -> Iterator[str]:
    """How clients of the embedded configuration are pointed at it."""
    served = [spec for spec in snapshot.listeners if spec.name in listening]
    for spec in [one for one in served if one.protocol == "HTTP"][:1]:
        yield "\nPoint any OpenAI client at it:\n"
        yield f"  export OPENAI_BASE_URL={_url('http', listening[spec.name])}/v1"
        yield f"  export OPENAI_API_KEY={key}"
    for spec in [one for one in served if one.protocol == "MCP"][:1]:
        base = _url("http", listening[spec.name])
        yield "\nPoint any MCP client at it:\n"
        for path in paths(snapshot, spec):
            server = {"type": "http", "url": f"{base}{path}", "headers": {"Authorization": f"Bearer {key}"}}
            yield f"  {json.dumps({'mcpServers': {'heddle': server}})}"


def _url(scheme: str, address: Address) -> str:
    host, port = address
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
