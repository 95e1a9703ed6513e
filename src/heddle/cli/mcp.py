"""`heddle mcp`: a virtual server of the running mesh, or any MCP server, from the terminal.

Owns the commands. They have no way around the gateway: what they show is what this key may see, what they call is
judged, limited, guarded and recorded like any agent's call.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from heddle.backends.mcp.catalogue import Catalogue
from heddle.cli import mcp_inspect
from heddle.cli.asking import ADMIN, STATE, Mesh
from heddle.cli.chat import LOOPBACK, Gateway
from heddle.cli.mcp_arguments import MAX_BYTES, arguments_json, arguments_of, strings_of
from heddle.cli.mcp_asking import Terminal
from heddle.cli.mcp_client import Door, McpFailure, ToolClient, connected
from heddle.cli.mcp_places import Served, door_of
from heddle.cli.mcp_shown import (
    KINDS,
    Attachments,
    as_json,
    columns,
    listing,
    prompt_text,
    resource_text,
    show_result,
)
from heddle.directory.visible import clipped
from heddle.wire.mcp.meta import LEVELS

_INTERRUPTED = 128 + signal.SIGINT
"""What shells expect of a program that Ctrl-C ended."""
_T = TypeVar("_T")
_RAW = click.option("--raw", is_flag=True, help="Print the whole result as JSON.")
_SAVE = click.option("--save", type=click.Path(path_type=Path, file_okay=False), default=None, metavar="DIR",
                     help="Keep pictures, sounds and other bytes of the result as files here.")  # fmt: skip
_LOG = click.option("--log", "log_level", type=click.Choice(LEVELS), default="info", show_default=True,
                    metavar="LEVEL", help="Least severe log message of the server to show.")  # fmt: skip


class Place:
    """The server that a command is about."""

    def __init__(self, served: Served | None, door: Door) -> None:
        self.served, self.door = served, door

    def client(self, person: Terminal | None = None, log_level: str = "") -> AbstractAsyncContextManager[ToolClient]:
        """A client of it."""
        return connected(self.door, person or Terminal(self.door.url), log_level)

    def terminal(self, model: str) -> Terminal:
        """The person at the terminal, with a model of the mesh to ask, if one is named."""
        if not model:
            return Terminal(self.door.url)
        if self.served is None:
            raise click.UsageError("--model names a model of the running mesh; there is none with --url")
        return Terminal(self.door.url, model, Gateway(self.served.models_url(), self.door.key, self.door.timeout_s))

    def origins(self) -> dict[tuple[str, str], str]:
        """Stable names, where they can be known."""
        return self.served.origins() if self.served is not None else {}


def _about_a_server(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which server, and as whom; the command gets it as `place`."""

    @click.option("--server", "server", default="", metavar="NAME", help="Virtual server of the running mesh.")
    @click.option("--url", default="", envvar="HEDDLE_MCP_URL", help="Any MCP server instead, of any protocol version.")
    @click.option("--key", default="", envvar="HEDDLE_KEY",
                  help="API key. Default: the demo's, from the state directory.")  # fmt: skip
    @click.option("--ca-file", default="", metavar="FILE", help="Certificates to trust, instead of the system's.")
    @click.option("--timeout", "timeout_s", default=300.0, show_default=True, help="Seconds of silence to bear.")
    @ADMIN
    @STATE
    @wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        server, url, key = options.pop("server"), options.pop("url"), options.pop("key")
        timeout_s, ca_file = options.pop("timeout_s"), options.pop("ca_file")
        admin, state_dir = options.pop("admin"), options.pop("state_dir")
        if url and server:
            raise click.UsageError("--server is of the running mesh, --url is any; give one")
        key = _key_for(url, key)
        served = None if url else Served(Mesh(admin, state_dir), server)
        door = door_of(url or (served.url if served is not None else ""), key, state_dir, timeout_s, ca_file)
        command(*arguments, place=Place(served, door), **options)

    return wrapped


def _key_for(url: str, key: str) -> str:
    """The key, unless it is the environment's and the URL is somebody else's: then it was not meant for them."""
    source = click.get_current_context().get_parameter_source
    if not url or source("key") is not ParameterSource.ENVIRONMENT or source("url") is ParameterSource.ENVIRONMENT:
        return key
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if host in LOOPBACK:
        return key
    click.echo(f"HEDDLE_KEY is not sent to {clipped(host or url, 100)}; give --key if it is for that server", err=True)
    return ""


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


@click.group()
def mcp() -> None:
    """Use tools, prompts and resources from the terminal.

    By default of the running mesh: its only virtual server, or the one called default; --server names another, --url
    any MCP server at all. Results go to standard output; progress, log messages and questions of servers to standard
    error.

    \b
    heddle mcp list
    heddle mcp call fs__read_file path=/data/notes.txt
    heddle mcp inspect fs__read_file
    heddle mcp list --url http://127.0.0.1:3000/mcp

    Exit status: 0, 1 when a tool says that it failed, 2 when there was no result.
    """


@mcp.command("list")
@_about_a_server
@click.option("--json", "as_json_", is_flag=True, help="Print definitions as JSON.")
def list_offers(place: Place, as_json_: bool) -> None:
    """List what this key may see: tools, prompts, resources and templates.

    \b
    heddle mcp list --server research
    heddle mcp list --json | jq -r '.tools[].definition.name'
    """

    async def read() -> Catalogue:
        async with place.client() as client:
            return await client.catalogue()

    catalogue = _run(read())
    origins = place.origins()
    if not as_json_:
        click.echo(columns(listing(catalogue, origins)))
        return
    shown: dict[str, Any] = {"url": place.door.url, "version": catalogue.described.version}
    shown["instructions"] = catalogue.described.instructions
    for kind in KINDS:
        shown[f"{kind}s"] = [
            {"stable_name": origins.get((kind, name)), "definition": offer.value}
            for name, offer in catalogue.of(kind).items()
        ]
    click.echo(as_json(shown))


@mcp.command()
@click.argument("tool")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE | KEY:=JSON | -]...")
@click.option("--json", "arguments_text", default="", metavar="JSON", help="All arguments, as one JSON object.")
@click.option("--model", default="", help="Model of the mesh that answers when the tool asks for one.")
@_RAW
@_SAVE
@_LOG
@_about_a_server
def call(tool: str, arguments: tuple[str, ...], arguments_text: str, place: Place, **options: Any) -> None:
    """Call a tool and print what it answers.

    KEY=VALUE is read as the tool's schema says, KEY:=JSON always as JSON; `-` reads all arguments as one JSON object
    from standard input. When the tool asks for something, its questions appear here.

    \b
    heddle mcp call echo text=hello
    heddle mcp call search query=looms limit=5 tags:='["wool", "silk"]'
    heddle mcp call search --json '{"query": "looms"}'
    jq -n '{query: "looms"}' | heddle mcp call search -
    heddle mcp call draw --save pictures/
    """
    given = _given(arguments, arguments_text)
    terminal = place.terminal(options["model"])

    async def work() -> dict[str, Any]:
        async with place.client(terminal, options["log_level"]) as client:
            definition = await client.definition(tool, await client.catalogue())
            meant = given if given is not None else arguments_of(arguments, definition.get("inputSchema"))
            await client.log_from(options["log_level"])
            return await client.call_tool(tool, meant, definition)

    result = _run(work())
    if options["raw"]:
        click.echo(as_json(result))
    else:
        show_result(result, Attachments(options["save"]))
    if result.get("isError"):
        click.echo(f"{clipped(tool, 80)} says that it failed", err=True)
        sys.exit(1)


def _given(arguments: tuple[str, ...], text: str) -> dict[str, Any] | None:
    """Arguments that are given as a whole; None when they are given one by one."""
    if text:
        if arguments:
            raise click.UsageError("--json is all arguments; give nothing beside it")
        return arguments_json(text)
    if arguments != ("-",):
        return None
    return arguments_json(sys.stdin.read(MAX_BYTES + 1))


@mcp.command()
@click.argument("name", metavar="TOOL|PROMPT|URI")
@click.option("--json", "as_json_", is_flag=True, help="Print it as JSON.")
@_about_a_server
def inspect(name: str, as_json_: bool, place: Place) -> None:
    """Show everything about a tool, a prompt or a resource.

    Its definition as callers see it, which tool server it comes from and under which stable name, who approved it and
    when, what the checks of definitions find in it, and which policies say who may call it.

    \b
    heddle mcp inspect fs__read_file
    heddle mcp inspect files+file:///data/notes.txt --server research
    """

    async def read() -> tuple[Catalogue, dict[str, Any]]:
        async with place.client() as client:
            catalogue = await client.catalogue()
            return catalogue, await client.definition(name, catalogue)

    catalogue, tool = _run(read())
    found = [("tool", tool)] if tool else []
    found += [(kind, catalogue.of(kind)[name].value) for kind in KINDS[1:] if name in catalogue.of(kind)]
    if not found:
        raise McpFailure(mcp_inspect.missing(name, catalogue, place.served))
    shown = [mcp_inspect.facts(kind, name, value, place.served) for kind, value in found]
    click.echo(as_json(shown) if as_json_ else "\n\n".join(map(mcp_inspect.written, shown)))


@mcp.command("get-prompt")
@click.argument("prompt")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@_RAW
@_SAVE
@_about_a_server
def get_prompt(prompt: str, arguments: tuple[str, ...], raw: bool, save: Path | None, place: Place) -> None:
    """Print the messages of a prompt.

    \b
    heddle mcp get-prompt review language=python
    """
    given = strings_of(arguments)

    async def work() -> dict[str, Any]:
        async with place.client() as client:
            return await client.get_prompt(prompt, given)

    result = _run(work())
    click.echo(as_json(result) if raw else prompt_text(result, Attachments(save)))


@mcp.command()
@click.argument("uri")
@_RAW
@_SAVE
@_about_a_server
def read(uri: str, raw: bool, save: Path | None, place: Place) -> None:
    """Print the contents of a resource.

    \b
    heddle mcp read file:///data/notes.txt
    heddle mcp read docs+test://picture --save pictures/
    """

    async def work() -> dict[str, Any]:
        async with place.client() as client:
            return await client.read(uri)

    result = _run(work())
    contents = result.get("contents")
    if raw or not isinstance(contents, list):
        click.echo(as_json(result))
        return
    attachments = Attachments(save)
    for one in contents:
        if isinstance(one, dict):
            click.echo(resource_text(one, attachments))
