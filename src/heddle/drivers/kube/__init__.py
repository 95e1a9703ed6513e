"""A Kubernetes API server, as a client reaches it: ours or a cluster's, there is no difference.

Owns where a server is and how a client proves who it is (`Reach`, `Credentials`), and the REST conventions of lists,
watches and server-side apply (`client`). It knows no kinds and decides nothing.
"""

import msgspec


class Exec(msgspec.Struct, frozen=True):
    """A program that prints a credential."""

    command: tuple[str, ...]
    api_version: str
    """`client.authentication.k8s.io/v1` or `/v1beta1`."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables it gets besides our own."""
    folder: str = ""
    """What a relative command is relative to."""
    hint: str = ""
    """What to do when there is no such program."""

    def __repr__(self) -> str:
        return f"Exec({self.command[0]!r})"


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Where an API server is, and as whom it is asked."""

    server: str
    """`https://host:port`, perhaps with a path before `/api`."""
    ca: str = ""
    """PEM; empty trusts the system's."""
    certificate: str = ""
    """PEM of the client's certificate."""
    key: str = ""
    """PEM of its key."""
    token: str = ""
    token_file: str = ""
    """Read again for every request: what is in it is rotated."""
    program: Exec | None = None
    """What is asked for a credential when it is needed."""
    namespace: str = "default"
    """Namespace of what names none."""

    def __repr__(self) -> str:
        return f"Reach({self.server!r})"
