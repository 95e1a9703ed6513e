"""Options that say which control plane a gateway follows: one beside it, one elsewhere, or none.

Owns what follows from what was not said: the control plane starts beside a mesh whose configuration is folders.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from heddle.cli.mesh import Settings
from heddle.cli.plane import IDENTITY_FILE, Beside, Elsewhere
from heddle.dataplane.subscription.reaching import Place
from heddle.model.formats import complaint, duration_s

API_PORT = 9443
GATEWAYS_PORT = 9444


class _PlaceType(click.ParamType[Place]):
    """`HOST:PORT`, of which the port may be left out."""

    name = "HOST:PORT"

    def __init__(self, port: int) -> None:
        self._port = port

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        if isinstance(value, tuple):
            return value
        text = str(value)
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, port = text, str(self._port)
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
            self.fail(f"`{text}` is no HOST:PORT, such as mesh.internal:{self._port}", param, ctx)
        return host, int(port)


class _PlacesType(click.ParamType[tuple[Place, ...]]):
    """Several of them, with commas between."""

    name = "HOST:PORT"

    def __init__(self, port: int) -> None:
        self._one = _PlaceType(port)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Place, ...]:
        return tuple(self._one.convert(one.strip(), param, ctx) for one in str(value).split(","))


def _flat(ctx: click.Context, param: click.Parameter, value: tuple[tuple[Place, ...], ...]) -> tuple[Place, ...]:
    del ctx, param
    return tuple(dict.fromkeys(place for several in value for place in several))


def together(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Several options as one decorator."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


APIS = together(
    click.option(
        "--api",
        type=_PlaceType(API_PORT),
        default=("127.0.0.1", API_PORT),
        metavar="HOST:PORT",
        help="Where the control plane serves its API, to kubectl for example. [default: 127.0.0.1:9443]",
    ),
    click.option(
        "--gateways",
        type=_PlaceType(GATEWAYS_PORT),
        default=("127.0.0.1", GATEWAYS_PORT),
        metavar="HOST:PORT",
        help="Where gateways of other machines reach it. [default: 127.0.0.1:9444]",
    ),
)
BESIDE = together(
    click.option(
        "--control-plane/--no-control-plane",
        "wanted",
        default=None,
        help="Run the control plane beside the gateway. [default: when every -f is a folder]",
    ),
    APIS,
    click.option(
        "--keep-found",
        default="7d",
        show_default=True,
        metavar="DURATION",
        help="How long the directory keeps what was found once what declared it is gone.",
    ),
)

ELSEWHERE = together(
    click.option(
        "--control-plane",
        "places",
        multiple=True,
        type=_PlacesType(GATEWAYS_PORT),
        metavar="HOST:PORT[,...]",
        callback=_flat,
        help="Run what this control plane says; several are replicas of one, asked in turn.",
    ),
    click.option(
        "--join",
        "token",
        default="",
        envvar="HEDDLE_JOIN",
        metavar="TOKEN",
        help="A token of `heddle gateway-token`, for the first start; later ones know who they are.",
    ),
    click.option(
        "--identity",
        type=click.Path(path_type=Path, dir_okay=False),
        default=None,
        metavar="FILE",
        help="Where the gateway's certificate and key are. [default: gateway.pem in the state directory]",
    ),
)


def beside(
    settings: Settings,
    sources: tuple[str, ...],
    *,
    wanted: bool | None,
    api: Place,
    gateways: Place,
    keep_found: str = "7d",
) -> Beside | None:
    """The control plane that `heddle up` runs, or None. `sources` is what it is told besides folders.

    Raises click.UsageError.
    """
    folders = [path for path in settings.paths if path.is_dir()]
    only = len(folders) == len(settings.paths) and settings.mcp_json is None
    if wanted is None:
        wanted = bool(sources) or (bool(folders) and only)
    if not wanted:
        if sources:
            raise click.UsageError("what follows Git or a cluster is the control plane; leave --no-control-plane out")
        return None
    if not only or not (settings.paths or sources):
        raise click.UsageError("--control-plane takes its configuration from folders: give each as -f DIR")
    if complaint("period", keep_found):
        raise click.BadParameter("expected a duration, such as 12h or 30d", param_hint="--keep-found")
    told = (*sources, "--keep-found", f"{duration_s(keep_found):g}")
    return Beside(folders, api, gateways, settings.environ, told)


def elsewhere(
    state: Path, paths: tuple[Path, ...], *, places: tuple[Place, ...], token: str, identity: Path | None
) -> Elsewhere | None:
    """The control plane that `heddle gateway` follows, or None. Raises click.UsageError."""
    if not places:
        if token or identity:
            raise click.UsageError("--join and --identity are for a gateway that follows a --control-plane HOST:PORT")
        return None
    if paths:
        raise click.UsageError("a gateway runs either files (-f) or what a control plane says, not both")
    return Elsewhere(list(places), (identity or state / IDENTITY_FILE).absolute(), token.strip())
