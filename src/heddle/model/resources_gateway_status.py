"""heddle.dev/v1alpha1: GatewayStatus, which version of what was declared each connected gateway runs.

Made by the control plane and read by everybody else. There is one for each gateway process that ever subscribed, named
after it, in the namespace of the Gateway it serves; it stays when the process is away.
"""

from typing import Annotated, ClassVar, Literal

from heddle.model.config_base import Part
from heddle.model.kube import AGE, Served, column, form
from heddle.model.meta import Resource
from heddle.model.resources_status import Conditions

Time = Annotated[str, form("date-time")]


class Rejection(Part, frozen=True, kw_only=True):
    """Why a gateway kept what it had."""

    version: str
    """The version it rejected."""
    path: str
    """What in it."""
    message: str
    """What is wrong with it."""


class GatewayReport(Part, frozen=True, kw_only=True):
    """What a gateway says of itself."""

    gateway: str = ""
    """Name of the Gateway it serves."""
    connected: bool
    """It is subscribed now."""
    sent_version: str = ""
    """Version that was last sent to it."""
    version: str = ""
    """Version that it runs."""
    current: bool = False
    """It runs what was last sent."""
    rejected: Rejection | None = None
    """What it rejected, until it accepts something newer."""
    applied_at: Annotated[str | None, form("date-time")] = None
    """When it began to run its version."""
    last_seen: Annotated[str | None, form("date-time")] = None
    """When it was last heard of."""
    address: str = ""
    """Address it connects from."""
    software: str = ""
    """Version of its program."""
    conditions: Conditions = ()
    """What is said of it."""


class GatewayStatus(Resource, frozen=True, kw_only=True):
    """Which version of what was declared a gateway runs."""

    SERVED: ClassVar = Served(
        "gatewaystatuses",
        short_names=("gws",),
        categories=("heddle", "directory"),
        columns=(
            column("Gateway", ".status.gateway"),
            column("Connected", ".status.connected", "boolean"),
            column("Version", ".status.version"),
            column("Current", ".status.current", "boolean"),
            column("Rejected", ".status.rejected.path", priority=1),
            column("Software", ".status.software", priority=1),
            column("Last Seen", ".status.lastSeen", "date"),
            AGE,
        ),
        generated=True,
    )
    api_version: Literal["heddle.dev/v1alpha1"]
    """API group and version."""
    kind: Literal["GatewayStatus"]
    """Kind."""
    status: GatewayReport
    """What it says of itself."""
