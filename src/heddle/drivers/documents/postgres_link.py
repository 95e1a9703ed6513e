"""Connections to PostgreSQL: how one is made, what can go wrong with it, and how it is let go.

Owns the one import of asyncpg, which is an extra, and the DSN, which may hold a password: it is shown nowhere, in no
error either.

*Source:* asyncpg, "API Reference"; PostgreSQL 15, "Client Connection Defaults", "Connections and Authentication".
"""

import asyncio
import contextlib
import importlib
from typing import Any
from urllib.parse import urlsplit

CONNECT_S = 5.0
COMMAND_S = 5.0
"""After so long an answer is not waited for any more."""
CLOSE_S = 2.0
EXTRA = "PostgreSQL needs an extra: pip install 'heddle-mesh[postgres]'"
_SESSION = {
    "application_name": "heddle",
    # Compiling a statement takes a hundred times as long as any of ours.
    "jit": "off",
    # A replica whose machine is gone must not keep the sequence locked.
    "idle_in_transaction_session_timeout": "5000",
    "lock_timeout": "4000",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
# Tables that were empty when a statement was planned grow: what is looked up by key is found by its index.
_WRITER = {**_SESSION, "enable_seqscan": "off"}


class Link:
    """Makes connections to one database."""

    def __init__(self, dsn: str) -> None:
        """Touches nothing. Raises ValueError where the extra is not installed."""
        try:
            self._asyncpg: Any = importlib.import_module("asyncpg")
        except ImportError:
            raise ValueError(EXTRA) from None
        self._dsn = dsn
        self.errors: tuple[type[BaseException], ...] = (
            self._asyncpg.PostgresError,
            self._asyncpg.InterfaceError,
            self._asyncpg.InternalClientError,
            OSError,
            TimeoutError,
        )
        """What a connection may raise."""

    def __repr__(self) -> str:
        return f"Link({_shown(self._dsn)!r})"

    async def connect(self, timeout_s: float, *, writes: bool = False) -> Any:
        """A connection. Raises one of `errors`; ValueError for a DSN that is none."""
        settings = _WRITER if writes else _SESSION
        try:
            return await self._asyncpg.connect(
                self._dsn, timeout=timeout_s, command_timeout=COMMAND_S, server_settings=settings
            )
        except ValueError as exc:
            if isinstance(exc, OSError):
                # A certificate that is not trusted is both.
                raise
            raise _unusable(exc) from None

    async def pool(self, size: int) -> Any:
        """Connections that are shared, each made when it is first needed. Raises nothing."""
        # None is kept open by the pool itself: it would complain with a trace while the server is away.
        return await self._asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=size,
            timeout=CONNECT_S,
            command_timeout=COMMAND_S,
            server_settings=_SESSION,
        )

    async def end(self, opened: Any) -> None:
        """Close a connection or a pool, in good order if that is possible in time; None is none."""
        if opened is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await opened.close()
        except self.errors:
            with contextlib.suppress(*self.errors):
                opened.terminate()


def reason(error: BaseException) -> str:
    """What went wrong, for an operator."""
    if isinstance(error, TimeoutError) and not str(error):
        return "it does not answer"
    return str(error).partition("\n")[0] or type(error).__name__


def _unusable(error: ValueError) -> ValueError:
    """The parser quotes what it could not read, which may be a password with an odd character."""
    said = str(error)
    about_tls = said if "ssl" in said or "certificate" in said else "is it postgres://USER:PASSWORD@HOST:PORT/NAME?"
    return ValueError(f"the address of PostgreSQL cannot be used: {about_tls}")


def _shown(dsn: str) -> str:
    """Host, port and name."""
    try:
        parts = urlsplit(dsn)
        return f"{parts.hostname}:{parts.port or 5432}{parts.path}" if parts.hostname else ""
    except ValueError:
        return ""
