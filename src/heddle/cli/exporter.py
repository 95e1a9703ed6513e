"""`heddle exporter`: ships what a gateway of the same state directory records."""

import asyncio
import contextlib
import os
from pathlib import Path

import click

from heddle.cli.state import OBSERVABILITY_FILE, StartError, open_directory
from heddle.cli.up import FILES, STATE, default_state_dir
from heddle.cli.watch import Watch
from heddle.controlplane.load import load
from heddle.dataplane.exporter import Feed, SpecFeed, serve
from heddle.model.snapshot import ObservabilitySpec

POLL_S = 1.0
"""How often configuration files are looked at."""


@click.command()
@FILES
@STATE
def exporter(paths: tuple[Path, ...], state_dir: Path | None) -> None:
    """Start only the exporter of traces and records.

    It ships what a gateway of the same state directory leaves there: spans to the collector, records to every log
    output. With -f it reads the configuration itself, again whenever a file changes or SIGHUP arrives; without, it
    follows what `heddle gateway` leaves in the state directory.

    \b
    heddle gateway -f heddle.yaml --state /var/lib/heddle
    heddle exporter --state /var/lib/heddle
    """
    os.umask(0o077)
    state = (state_dir or default_state_dir()).absolute()
    try:
        open_directory(state)
        feed: Feed = ConfigFeed(paths) if paths else SpecFeed(str(state / OBSERVABILITY_FILE))
    except StartError as exc:
        raise click.ClickException(str(exc)) from exc
    if not paths and not (state / OBSERVABILITY_FILE).exists():
        click.echo(f"waiting for a gateway: there is no {OBSERVABILITY_FILE} in {state} yet", err=True)
    serve(state, feed)


class ConfigFeed:
    """The observability of a configuration that is read here. One that is not valid is reported and skipped."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        """Raises StartError when there is nothing to begin with."""
        self._paths = list(paths)
        self._watch = Watch(paths)
        self.reread = asyncio.Event()
        self._first = self._load()
        if self._first is None:
            raise StartError("the configuration has errors; nothing was started")

    async def next(self) -> ObservabilitySpec:
        """The first configuration at once, then each that is valid."""
        first, self._first = self._first, None
        if first is not None:
            return first
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.reread.wait(), POLL_S)
            if self._watch.changed() or self.reread.is_set():
                self.reread.clear()
                loaded = self._load()
                if loaded is not None:
                    return loaded

    def _load(self) -> ObservabilitySpec | None:
        loaded = load(self._paths, environ=os.environ)
        self._watch.follow(loaded.files)
        for problem in loaded.problems:
            if problem.severity == "error":
                click.echo(problem.line_text(), err=True)
        return loaded.snapshot.observability if loaded.snapshot is not None else None
