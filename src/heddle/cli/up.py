"""`heddle up`, `heddle demo` and the processes that also start alone."""

import asyncio
import os
import secrets
import sys
from importlib import resources
from pathlib import Path

import click
import uvloop

from heddle.cli.mesh import Mesh, Settings, StartError

DEMO_KEY_FILE = "demo.key"
_FILES = click.option(
    "-f",
    "--file",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="Configuration: a file, or a folder of *.yaml; may be given several times.",
)
_STATE = click.option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="HEDDLE_STATE",
    default=None,
    metavar="DIR",
    help="Where limits, records and credentials live. [default: ~/.local/state/heddle]",
)
_WORKERS = click.option(
    "--workers",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="Gateway processes on the same listeners.",
)
_GRACE = click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(0),
    default=20.0,
    show_default=True,
    help="Seconds that calls under way get at the end.",
)


def default_state_dir() -> Path:
    """`$XDG_STATE_HOME/heddle`, or `~/.local/state/heddle`."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "heddle"


@click.command()
@_FILES
@_WORKERS
@_STATE
@_GRACE
def up(paths: tuple[Path, ...], workers: int, state_dir: Path | None, grace_s: float) -> None:
    """Start the mesh on this machine, and keep it as its configuration says.

    Without -f it runs embedded defaults: an offline model on 127.0.0.1:8080, administration on 127.0.0.1:9090, one
    generated key. With -f it runs yours, and again whenever a file changes or SIGHUP arrives; a change that does not
    validate is reported and the old configuration runs on.

    \b
    heddle up
    heddle up -f heddle.yaml --workers 2
    heddle up -f gateway/ -f secrets.yaml --state /var/lib/heddle
    """
    _run(_settings(paths, workers, state_dir, grace_s))


@click.command()
@click.option("--print", "print_only", is_flag=True, help="Print the bundled configuration instead of running it.")
@_WORKERS
@_STATE
@_GRACE
def demo(print_only: bool, workers: int, state_dir: Path | None, grace_s: float) -> None:
    """Start the mesh with an offline model, and show what to try next.

    \b
    heddle demo
    heddle demo --print > heddle.yaml     a configuration to start from
    """
    if print_only:
        click.echo(_bundled().read_text(), nl=False)
        return
    settings = _settings((), workers, state_dir, grace_s)
    settings.tour = True
    _run(settings)


@click.command()
@_FILES
@_WORKERS
@_STATE
@_GRACE
def gateway(paths: tuple[Path, ...], workers: int, state_dir: Path | None, grace_s: float) -> None:
    """Start only the gateway: listeners, workers, administration.

    Records that must be shipped elsewhere wait in the state directory for `heddle exporter --state DIR`.
    """
    settings = _settings(paths, workers, state_dir, grace_s)
    settings.export = False
    _run(settings)


def _settings(paths: tuple[Path, ...], workers: int, state_dir: Path | None, grace_s: float) -> Settings:
    state = (state_dir or default_state_dir()).absolute()
    settings = Settings(list(paths), state, workers, grace_s)
    if not paths:
        settings.paths = [_embedded(state)]
        settings.environ = {**os.environ, "HEDDLE_DEMO_KEY": _demo_key(state)}
        settings.demo_key = settings.environ["HEDDLE_DEMO_KEY"]
    return settings


def _bundled() -> Path:
    return Path(str(resources.files("heddle.cli") / "bundled" / "demo.yaml"))


def _embedded(state: Path) -> Path:
    """The embedded configuration as a file in the state directory, where its access log goes too."""
    path = state / "embedded.yaml"
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(_bundled().read_text())
    except OSError as exc:
        raise click.ClickException(f"state directory {state}: {exc.strerror}; choose another with --state") from exc
    return path


def _demo_key(state: Path) -> str:
    """The generated key of the embedded configuration; `heddle chat` of the same user finds it there."""
    path = state / DEMO_KEY_FILE
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    key = f"sk-heddle-{secrets.token_urlsafe(18)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
    return key


def _run(settings: Settings) -> None:
    os.umask(0o077)

    async def run() -> int:
        return await Mesh(settings, lambda text: click.echo(text, err=True)).run()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            status = runner.run(run())
    except StartError as exc:
        raise click.ClickException(str(exc)) from exc
    sys.exit(status)
