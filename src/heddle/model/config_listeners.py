"""The short form's `listeners` and `admin`: where this mesh is reached, and how much it takes.

*Source:* RFC 9110 section 7.2 (Host), RFC 6454 (Origin), RFC 7239 section 8.1 (why `X-Forwarded-For` is believed
from proxies only).
"""

from typing import Annotated, Literal

import msgspec

from heddle.model.config_base import Address, Count, File, Hostname, Name, Network, Origin, Part, Period, Port

Protocol = Literal["HTTP", "MCP", "A2A"]


class Tls(Part, frozen=True, kw_only=True):
    """TLS of a listener. Files are read again on each reload, so that certificates can be renewed in place."""

    cert_file: File
    """PEM file with the certificate and its chain. Relative to the configuration file."""
    key_file: File
    """PEM file with the private key, not encrypted. Relative to the configuration file."""
    client_ca_file: File = ""
    """PEM bundle that client certificates must chain to. Unset asks for no client certificate."""


class Limits(Part, frozen=True, kw_only=True):
    """Bounds on what a listener accepts, so that no caller can exhaust the gateway. They cannot be turned off."""

    max_connections: Count = 10_000
    """Open connections in total, per worker. More are closed at once; fewer where too few files may be open."""
    max_connections_per_address: Count = 2_000
    """Open connections from one address, per worker. High, because a proxy in front is one address."""
    head_timeout: Period = "10s"
    """From the first byte (or the accept) to the end of the request head. Short: a slow head is an attack."""
    body_timeout: Period = "60s"
    """From the end of the head to the end of the request body."""
    idle_timeout: Period = "60s"
    """How long a kept connection may wait for its next request."""
    write_timeout: Period = "30s"
    """How long a reader may leave a full write buffer untouched before it counts as stalled."""
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1, le=2**32)] = 16 * 1024 * 1024
    """Largest request body, in bytes; larger ones are answered 413."""


class ListenerSettings(Part, frozen=True, kw_only=True):
    """What the Gateway API has no field for."""

    tls: Tls | None = None
    """Serve TLS with these files. Unset serves plain HTTP."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks whose `X-Forwarded-For` is believed. Empty believes nobody: the caller is whoever connected."""
    hostnames: tuple[Hostname, ...] = ()
    """Host names that requests may name. Empty accepts any, but on a loopback address only loopback names (DNS
    rebinding)."""
    origins: tuple[Origin, ...] = ()
    """Origins that browsers may call from. Empty accepts none, but on a loopback address loopback ones."""
    limits: Limits = Limits()
    """Bounds on connections, times and sizes."""


class Listener(ListenerSettings, frozen=True, kw_only=True):
    """One listening socket."""

    name: Name
    """Unique; policies and metrics name the listener by it."""
    address: Address = "127.0.0.1"
    """Address to bind. Loopback by default; `0.0.0.0` or `::` is every address, and then policies are required."""
    port: Port
    """TCP port; 0 lets the system choose a free one."""
    protocol: Protocol = "HTTP"
    """`HTTP` serves the model dialects, `MCP` the virtual servers of `mcp`; `A2A` is checked but not bound yet."""


class Admin(Part, frozen=True, kw_only=True):
    """Where /healthz, /readyz, /metrics and /config are served. A change holds from the next start."""

    address: Address = "127.0.0.1"
    """Address to bind. On other than loopback addresses /metrics asks for the admin credential too."""
    port: Port = 9090
    """TCP port; 0 lets the system choose a free one."""
