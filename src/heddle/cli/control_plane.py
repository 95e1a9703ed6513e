"""`heddle control-plane`: the control plane alone, for a machine without a gateway, or one of several replicas.

Owns the options of it. What runs is `heddle.controlplane.whole`, as beside a mesh, in this process.
"""

import os
from pathlib import Path
from typing import Any

import click

from heddle.cli.database_options import DATABASES, database_arguments
from heddle.cli.plane_options import APIS
from heddle.cli.source_options import SOURCES, source_arguments
from heddle.cli.state import StartError, StateLock
from heddle.cli.up import STATE, default_state_dir


def _make_key(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    del param
    if value is None or ctx.resilient_parsing:
        return
    from heddle.controlplane.replicas.keys import make_key_file  # noqa: PLC0415 - loads cryptography

    try:
        make_key_file(value)
    except FileExistsError:
        raise click.ClickException(f"{value} is there; a key that is in use must not be replaced") from None
    except OSError as exc:
        raise click.ClickException(f"{value}: {exc.strerror}") from exc
    click.echo(value)
    ctx.exit()


@click.command("control-plane")
@click.option("-f", "--folder", "folders", multiple=True, metavar="DIR",
              type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
              help="Watched folder of YAML. May be repeated.")  # fmt: skip
@STATE
@APIS
@click.option("--name", "names", multiple=True, metavar="HOST",
              help="Name or address that clients reach it by, for its certificate. May be repeated.")  # fmt: skip
@click.option(
    "--grace", "grace_s", type=click.FloatRange(0), default=10.0, show_default=True,
    help="Seconds that requests under way get at the end.",
)  # fmt: skip
@SOURCES
@DATABASES
@click.option("--make-key", type=click.Path(path_type=Path, dir_okay=False), callback=_make_key, is_eager=True,
              expose_value=False, metavar="FILE", help="Make a key for replicas to share, and end.")  # fmt: skip
def control_plane(
    folders: tuple[Path, ...], state_dir: Path | None, names: tuple[str, ...], grace_s: float, **given: Any
) -> None:
    """Start only the control plane: the resource API, and what gateways follow.

    Alone it keeps resources in a file of the state directory. Replicas share a PostgreSQL database: whatever is written
    at one is seen at all of them, kubectl and gateways may ask any, and one of them follows folders and branches. Make
    a key once, give it to each of them, and they have the same authority:

    \b
    heddle control-plane -f declared/
    heddle control-plane --make-key replicas.key
    heddle control-plane --database postgresql://heddle@db/mesh --key-file replicas.key \\
        --api 0.0.0.0:9443 --gateways 0.0.0.0:9444 --name mesh.internal
    heddle gateway --control-plane one.internal,two.internal --join TOKEN
    """
    state = (state_dir or default_state_dir()).absolute()
    api, gateways = given.pop("api"), given.pop("gateways")
    database = database_arguments(given, os.environ)
    arguments = ["--state", str(state), "--host", api[0], "--port", str(api[1])]
    arguments += ["--gateways-host", gateways[0], "--gateways-port", str(gateways[1]), "--grace", f"{grace_s:g}"]
    arguments += [f"--name={one}" for one in names] + [f"--folder={one}" for one in folders]
    arguments += [*source_arguments(given), *database.arguments]
    try:
        lock = StateLock(state)
    except StartError as exc:
        raise click.ClickException(str(exc)) from exc
    from heddle.controlplane import whole  # noqa: PLC0415 - loads everything

    os.environ.update(database.environ)
    try:
        whole.main(arguments)
    finally:
        lock.release()
