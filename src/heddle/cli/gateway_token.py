"""`heddle gateway-token`: what another machine joins with, as a gateway of this control plane.

Works where the control plane's state is, and asks nobody: whoever reads that directory may make any gateway anyway.
"""

import time
from pathlib import Path

import click

from heddle.cli.up import STATE, default_state_dir
from heddle.controlplane.access.authority import Authority, AuthorityError
from heddle.controlplane.distribution.joining import MAX_TOKEN_TTL_S, TOKEN_TTL_S, Joining
from heddle.wire.delta import Interest


@click.command("gateway-token")
@click.argument("name")
@click.option(
    "--gateway",
    default="",
    metavar="NAMESPACE/NAME",
    help="The Gateway that it serves. [default: the Gateway NAME of namespace default]",
)
@click.option(
    "--minutes",
    type=click.IntRange(1, int(MAX_TOKEN_TTL_S // 60)),
    default=int(TOKEN_TTL_S // 60),
    show_default=True,
    help="How long the token is good for. It is good once.",
)
@STATE
def gateway_token(name: str, gateway: str, minutes: int, state_dir: Path | None) -> None:
    """Make a token with which the gateway NAME joins.

    \b
    heddle gateway-token edge-1 --gateway default/edge
    heddle gateway --control-plane mesh.internal:9444 --join TOKEN     on the other machine
    """
    served = gateway or f"default/{name}"
    namespace, slash, rest = served.partition("/")
    if not namespace or not slash or not rest or "/" in rest:
        raise click.UsageError("--gateway is NAMESPACE/NAME, such as default/edge")
    try:
        authority = Authority((state_dir or default_state_dir()).absolute(), time.time)
        token = Joining(authority.folder.parent, authority).token(name, Interest(served), minutes * 60.0)
    except (ValueError, OSError, AuthorityError) as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(token)
