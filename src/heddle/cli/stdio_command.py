"""`heddle stdio-host`: runs the tool servers of a configuration that speak over stdio, and nothing else."""

import asyncio
import os
import signal
from pathlib import Path

import click
import uvloop

from heddle.cli.state import StartError, StateLock, open_directory
from heddle.cli.stdio import StdioHost, stdio_targets
from heddle.cli.up import FILES, STATE, default_state_dir
from heddle.cli.watch import Watch
from heddle.controlplane.load import load
from heddle.model.snapshot import Snapshot
from heddle.net.unixsocket import STDIO_SOCKET, socket_path

POLL_S = 0.5
"""How often configuration files are looked at."""


@click.command("stdio-host")
@FILES
@STATE
def stdio_host(paths: tuple[Path, ...], state_dir: Path | None) -> None:
    """Start only the host of tool servers that speak over stdio.

    It runs those of the configuration, which is read again whenever a file changes or SIGHUP arrives, and serves them
    on a Unix socket in the state directory. Where `heddle up` runs, one is part of it.

    \b
    heddle stdio-host -f heddle.yaml --state /var/lib/heddle-tools
    """
    os.umask(0o077)
    state = (state_dir or default_state_dir()).absolute()
    try:
        open_directory(state)
        lock = StateLock(state)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_alone(list(paths), state))
        lock.release()
    except StartError as exc:
        raise click.ClickException(str(exc)) from exc


async def _alone(paths: list[Path], state: Path) -> None:
    """Run a host until SIGTERM or SIGINT. Raises StartError."""
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    watch, host = Watch(paths), StdioHost(state, dict(os.environ))
    snapshot = _read(paths, watch)
    if snapshot is None:
        raise StartError("the configuration has errors; nothing was started")
    try:
        await host.apply(snapshot)
    except OSError as exc:
        raise StartError(str(exc)) from exc
    click.echo(f"{len(stdio_targets(snapshot))} tool servers at {socket_path(state, STDIO_SOCKET)}", err=True)
    stopped = asyncio.ensure_future(stop.wait())
    while not stopped.done():
        await asyncio.wait([stopped], timeout=POLL_S)
        host.revive()
        if reload.is_set() or watch.changed():
            reload.clear()
            await _follow(host, _read(paths, watch))
    await host.stop()


async def _follow(host: StdioHost, snapshot: Snapshot | None) -> None:
    """Run a changed configuration, if it is valid."""
    if snapshot is None:
        return
    try:
        await host.apply(snapshot)
    except OSError as exc:
        click.echo(f"the change is not served yet: {exc}", err=True)


def _read(paths: list[Path], watch: Watch) -> Snapshot | None:
    """The configuration; None when it has errors, which are shown."""
    loaded = load(paths, environ=os.environ)
    watch.follow(loaded.files)
    for problem in loaded.problems:
        if problem.severity == "error":
            click.echo(problem.line_text(), err=True)
    return loaded.snapshot
