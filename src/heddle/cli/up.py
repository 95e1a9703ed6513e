"""`heddle up`, `heddle demo` and the processes that also start alone."""

import asyncio
import os
import secrets
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import click
import uvloop

from heddle.cli.database_options import DATABASES, database_arguments, kept_in
from heddle.cli.mesh import Mesh, Settings
from heddle.cli.options import MCP_CONFIG
from heddle.cli.plane_options import BESIDE, ELSEWHERE, beside, elsewhere
from heddle.cli.source_options import SOURCES, source_arguments
from heddle.cli.state import StartError, open_directory, refusal, write_private

DEMO_KEY_FILE = "demo.key"
FILES = click.option(
    "-f",
    "--file",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="Configuration: a file, or a folder of *.yaml; may be given several times.",
)
STATE = click.option(
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
@FILES
@_WORKERS
@STATE
@_GRACE
@MCP_CONFIG
@SOURCES
@DATABASES
@BESIDE
def up(
    paths: tuple[Path, ...],
    workers: int,
    state_dir: Path | None,
    grace_s: float,
    mcp_json: Path | None,
    **plane: Any,
) -> None:
    """Start the mesh on this machine, and keep it as its configuration says.

    Without -f it runs embedded defaults: an offline model on 127.0.0.1:8080, administration on 127.0.0.1:9090, one
    generated key. With -f it runs yours, and again whenever a file changes or SIGHUP arrives; a change that does not
    validate is reported and the old configuration runs on. Tool servers of --mcp-config are served on 127.0.0.1:8081,
    or on the MCP listener of your configuration.

    With folders only, the control plane starts beside it: kubectl reaches it on 127.0.0.1:9443 (`heddle kubeconfig`),
    gateways of other machines on 127.0.0.1:9444, and what they and the folders say is what runs.

    \b
    heddle up
    heddle up -f heddle.yaml --workers 2
    heddle up -f gateway/ -f secrets.yaml --state /var/lib/heddle
    heddle up -f gateway/ --gateways 0.0.0.0:9444
    heddle up --mcp-config ~/.cursor/mcp.json
    heddle up --git https://git.example/team/mesh.git#main:prod --git-token-file token
    heddle up --kubeconfig ~/.kube/config --context prod
    heddle up -f gateway/ --database postgresql://heddle@db.internal/mesh
    """
    database = database_arguments(plane, os.environ)
    sources = (*source_arguments(plane), *(database.arguments if database.is_shared else ()))
    if sources and not paths:
        settings = Settings([], (state_dir or default_state_dir()).absolute(), workers, grace_s)
    else:
        settings = _settings(paths, workers, state_dir, grace_s)
    settings.mcp_json = mcp_json
    settings.plane = kept_in(database, beside(settings, sources, **plane))
    _run(settings)


@click.command()
@click.option("--print", "print_only", is_flag=True, help="Print the bundled configuration instead of running it.")
@_WORKERS
@STATE
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
@FILES
@_WORKERS
@STATE
@_GRACE
@ELSEWHERE
def gateway(paths: tuple[Path, ...], workers: int, state_dir: Path | None, grace_s: float, **plane: Any) -> None:
    """Start only the gateway: listeners, workers, administration.

    With --control-plane it runs what a control plane on another machine says, and starts from what ran last when that
    is away. Records that must be shipped elsewhere wait in the state directory for `heddle exporter --state DIR`, which
    finds there where to ship them.

    \b
    heddle gateway -f heddle.yaml
    heddle gateway --control-plane mesh.internal:9444 --join TOKEN
    heddle gateway --control-plane one.internal,two.internal --join TOKEN
    """
    state = (state_dir or default_state_dir()).absolute()
    place = elsewhere(state, paths, **plane)
    settings = _settings(paths, workers, state_dir, grace_s) if place is None else Settings([], state, workers, grace_s)
    settings.plane = place
    settings.export = False
    _run(settings)


def _settings(paths: tuple[Path, ...], workers: int, state_dir: Path | None, grace_s: float) -> Settings:
    state = (state_dir or default_state_dir()).absolute()
    settings = Settings(list(paths), state, workers, grace_s)
    if not paths:
        try:
            open_directory(state)
            settings.paths, settings.demo_key = [_embedded(state)], _demo_key(state)
        except StartError as exc:
            raise click.ClickException(str(exc)) from exc
        except OSError as exc:
            raise click.ClickException(str(refusal(state, exc))) from exc
        settings.environ = {**os.environ, "HEDDLE_DEMO_KEY": settings.demo_key}
    return settings


def _bundled() -> Path:
    return Path(str(resources.files("heddle.cli") / "bundled" / "demo.yaml"))


def _embedded(state: Path) -> Path:
    """The embedded configuration as a file in the state directory, where its access log goes too."""
    path = state / "embedded.yaml"
    write_private(path, _bundled().read_bytes())
    return path


def _demo_key(state: Path) -> str:
    """The generated key of the embedded configuration; `heddle chat` of the same user finds it there.

    One that cannot be a key, such as the empty file that a crash left, is replaced.
    """
    path = state / DEMO_KEY_FILE
    try:
        known = path.read_text(errors="replace").strip()
    except FileNotFoundError:
        known = ""
    if known and known.isascii() and known.isprintable():
        return known
    key = f"sk-heddle-{secrets.token_urlsafe(18)}"
    write_private(path, key.encode() + b"\n")
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
