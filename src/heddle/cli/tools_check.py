"""`heddle tools check`: what the rules find in definitions, without a mesh.

Owns reading definitions out of files (what `tools/list` answers, in the forms that people save it in), and out of the
tool servers of an editor's configuration, which are started for that as the editor would.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from heddle.backends.mcp.build import build_target
from heddle.backends.mcp.catalogue import LISTINGS, read_catalogue
from heddle.backends.mcp.contract import Caller
from heddle.cli.mcp_client import SESSION_S
from heddle.cli.mcp_shown import KINDS
from heddle.cli.options import MCP_CONFIG
from heddle.cli.stdio import StdioHost
from heddle.controlplane.load import load
from heddle.directory.definitions import Definition, Kind, define
from heddle.directory.poisoning import Checker, Finding
from heddle.directory.visible import clipped
from heddle.drivers.counters.memory import MemoryCounters
from heddle.model.snapshot import Snapshot
from heddle.net.client import Client
from heddle.pipeline.assembly import Clock, Tools
from heddle.pipeline.errors import CallError
from heddle.telemetry.metrics import Metrics
from heddle.wire.errors import ProtocolError
from heddle.wire.json import parse_strict
from heddle.wire.jsonrpc import RpcError

MAX_BYTES = 64 * 1024 * 1024
"""Of one file."""
_KINDS: dict[str, Kind] = {"tool": "tool", "prompt": "prompt", "resource": "resource", "template": "template"}
_AROUND = "security: {authentication: {type: none}}\n"
"""Nobody calls: nothing is served, only asked."""
Targets = dict[str, list[Definition]]


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE.json]...")
@MCP_CONFIG
@click.option("--ignore", multiple=True, metavar="RULE", help="A rule that does not count. May be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
def check(files: tuple[str, ...], mcp_json: Path | None, ignore: tuple[str, ...], as_json: bool) -> None:
    """Look for definitions that are there to mislead a model. Needs no mesh.

    A FILE holds what a server answers to tools/list, or a list of definitions; `-` is standard input. Several files are
    several servers, which are looked at for names that shadow each other's. With --mcp-config the servers of an
    editor's configuration are started, asked for their lists, and ended again. Exit status 1 says that something was
    found; remarks (low) do not count.

    \b
    heddle tools check tools.json
    heddle mcp list --url http://127.0.0.1:3000/mcp --json | heddle tools check -
    heddle tools check --mcp-config ~/.cursor/mcp.json
    """
    targets: Targets = {}
    for file in files:
        targets.setdefault(Path(file).stem, []).extend(_read(file))
    if mcp_json is not None:
        targets |= _asked(mcp_json)
    elif not files:
        raise click.UsageError("name files of definitions, or an editor's configuration with --mcp-config")
    found = _findings(targets, ignore)
    counting = sum(finding.counts for _, _, finding in found)
    total = sum(map(len, targets.values()))
    if as_json:
        click.echo(json.dumps([_plain(*one) for one in found], indent=2))
    else:
        for target, one, finding in found:
            name = clipped(f"{target}/{one.name}" if one.name else target, 200)
            text = f"{name} ({one.kind}): {finding}"
            click.echo(click.style(text, fg="red") if finding.counts else text)
        click.echo(f"{total} definitions, {counting or 'no'} findings" + _remarks(len(found) - counting), err=True)
    sys.exit(1 if counting else 0)


def _remarks(count: int) -> str:
    return f", {count} remarks" if count else ""


def _findings(targets: Targets, ignore: tuple[str, ...]) -> list[tuple[str, Definition, Finding]]:
    found = []
    for target, definitions in targets.items():
        checker = Checker(targets, target, ignore)
        found += [(target, one, finding) for one in definitions for finding in checker.check(one)]
    return found


def _plain(target: str, one: Definition, finding: Finding) -> dict[str, str]:
    return {
        "target": target,
        "kind": one.kind,
        "name": one.name,
        "rule": finding.rule,
        "severity": finding.severity,
        "where": finding.where,
        "evidence": finding.evidence,
    }


# Files


def _read(file: str) -> list[Definition]:
    try:
        with click.open_file(file, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise click.ClickException(f"{file}: {exc.strerror}") from exc
    if len(data) > MAX_BYTES:
        raise click.ClickException(f"{file}: larger than {MAX_BYTES} bytes")
    try:
        value = parse_strict(data)
        found = list(_definitions(value))
    except ProtocolError as exc:
        raise click.ClickException(f"{file}: {exc.detail.replace('The request body', 'the file')}") from exc
    if not found:
        raise click.ClickException(f"{file}: no definitions in it; expected what a server answers to tools/list")
    return found


def _definitions(value: Any) -> Iterator[Definition]:
    """Those of a list, of a result, of a whole JSON-RPC answer, or of one definition alone. Raises ProtocolError."""
    if isinstance(value, list):
        for one in value:
            yield define(_kind(one), _bare(one))
        return
    if not isinstance(value, dict):
        return
    if isinstance(value.get("result"), dict):
        yield from _definitions(value["result"])
        return
    lists = [(listing, value[listing.member]) for listing in LISTINGS if isinstance(value.get(listing.member), list)]
    # `heddle mcp list --json` calls templates by their kind.
    lists += [(LISTINGS[3], value["templates"])] if isinstance(value.get("templates"), list) else []
    for listing, members in lists:
        for one in members:
            yield define(_KINDS[listing.kind], _bare(one))
    if isinstance(value.get("instructions"), str) and value["instructions"]:
        yield define("instructions", value["instructions"])
    if not lists and any(listing.key in value for listing in LISTINGS):
        yield define(_kind(value), value)


def _bare(one: Any) -> Any:
    """A definition, also where `heddle mcp list --json` tells more beside it."""
    return one["definition"] if isinstance(one, dict) and isinstance(one.get("definition"), dict) else one


def _kind(one: Any) -> Kind:
    fields: Mapping[str, Any] = _bare(one) if isinstance(_bare(one), dict) else {}
    if "uriTemplate" in fields:
        return "template"
    if "uri" in fields:
        return "resource"
    return "prompt" if "arguments" in fields and "inputSchema" not in fields else "tool"


# Servers


def _asked(mcp_json: Path) -> Targets:
    """What the servers of an editor's configuration list."""
    with tempfile.TemporaryDirectory(prefix="heddle-") as folder:
        around = Path(folder) / "around.yaml"
        around.write_text(_AROUND)
        loaded = load([around], environ=os.environ, mcp_json=mcp_json)
        for problem in loaded.problems:
            if problem.severity == "error":
                click.echo(problem.line_text(), err=True)
        if loaded.snapshot is None:
            raise click.ClickException(f"{mcp_json} has errors; nothing was asked")
        return asyncio.run(_catalogues(loaded.snapshot, Path(folder)))


async def _catalogues(snapshot: Snapshot, folder: Path) -> Targets:
    host = StdioHost(folder, os.environ)
    client = Client()
    clock = Clock(time.time, time.monotonic)
    tools = Tools(clock, client, Metrics.in_memory(), MemoryCounters(), lambda _: None, folder)
    found: Targets = {}
    try:
        await host.apply(snapshot)
        for spec in snapshot.mcp.targets:
            found[spec.name] = []
            target = build_target(spec, tools, SESSION_S)
            try:
                async with asyncio.timeout(spec.timeouts.list_s or None):
                    catalogue = await read_catalogue(target, Caller())
            except (CallError, RpcError, TimeoutError) as exc:
                click.echo(f"{spec.name}: not checked: {_why(exc)}", err=True)
                continue
            finally:
                target.close()
            found[spec.name] = [
                define(_KINDS[kind], offer.raw) for kind in KINDS for offer in catalogue.of(kind).values()
            ]
            if catalogue.described.instructions:
                found[spec.name].append(define("instructions", catalogue.described.instructions))
    except OSError as exc:
        raise click.ClickException(f"tool servers cannot be started: {exc}") from exc
    finally:
        await host.stop()
        for close in tools.closers:
            close()
        await client.close()
    return found


def _why(error: BaseException) -> str:
    if isinstance(error, CallError):
        return clipped(error.detail, 300)
    return f"error {error.code}" if isinstance(error, RpcError) else "it did not answer in time"
