"""Connections to a control plane, one message at a time; and the short conversation by which a process joins.

Owns the socket, TLS, and the bounds of a conversation. A token says by its digest which authority is the right one:
before that is known, nothing is said but the question for it, and the answer is compared before the token is shown.

Refuses, as `ReachError`: who cannot be reached, is not the control plane of the authority, or speaks something else.
"""

import asyncio
import hashlib
import hmac
import ssl
from collections import deque
from pathlib import Path

from heddle.dataplane.subscription.identity import (
    SERVER_NAME,
    Identity,
    IdentityError,
    new_request,
    server_context,
    write_identity,
)
from heddle.wire.delta import (
    HEARTBEAT_S,
    Authority,
    DeltaError,
    FromGateway,
    Join,
    Joined,
    Refused,
    ToGateway,
    Who,
    encode,
    frames_to_gateway,
)

CONNECT_S = 15.0
"""For the connection and its handshake; a thousand gateways may come back at once."""
SILENT_S = 3 * HEARTBEAT_S
WRITE_S = 30.0
CLOSE_S = 2.0
MAX_TOKEN_CHARS = 4_096

Place = tuple[str, int]


class ReachError(Exception):
    """No conversation came about, or it broke; the message says why, safely."""


class Connection:
    """A connection to a control plane."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = frames_to_gateway()
        self._waiting: deque[FromGateway | ToGateway] = deque()

    async def send(self, message: FromGateway) -> None:
        """Say something. Raises ReachError."""
        try:
            self._writer.write(encode(message))
            async with asyncio.timeout(WRITE_S):
                await self._writer.drain()
        except (OSError, TimeoutError) as exc:
            raise ReachError(_why(exc)) from exc

    async def receive(self) -> FromGateway | ToGateway:
        """The next thing that is said. Raises ReachError at the end, and after a long silence; DeltaError."""
        while not self._waiting:
            try:
                async with asyncio.timeout(SILENT_S):
                    data = await self._reader.read(1 << 18)
            except TimeoutError as exc:
                raise ReachError(f"nothing was heard for {SILENT_S:g} s") from exc
            except OSError as exc:
                raise ReachError(_why(exc)) from exc
            if not data:
                raise ReachError("the connection was closed")
            self._waiting.extend(self._frames.feed(data))
        return self._waiting.popleft()

    async def close(self) -> None:
        """End it."""
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()


async def reach(place: Place, context: ssl.SSLContext) -> Connection:
    """Connect. Raises ReachError."""
    try:
        async with asyncio.timeout(CONNECT_S):
            opened = await asyncio.open_connection(*place, ssl=context, server_hostname=SERVER_NAME)
    except ssl.SSLCertVerificationError as exc:
        raise ReachError(
            "it is not the control plane of this gateway's authority, or its certificate has ended"
        ) from exc
    except (OSError, TimeoutError) as exc:
        raise ReachError(_why(exc)) from exc
    return Connection(*opened)


async def join(place: Place, token: str, path: Path) -> Identity:
    """Become a gateway by a token, and keep who we are in `path`. Raises ReachError, IdentityError."""
    fingerprint = token.strip().partition(".")[2]
    if len(token) > MAX_TOKEN_CHARS or len(fingerprint) != 64:
        raise IdentityError("this is no token of a control plane; it makes one with `heddle gateway-token NAME`")
    bundle = await _authority(place)
    if not hmac.compare_digest(hashlib.sha256(bundle).hexdigest(), fingerprint):
        raise IdentityError(f"the control plane at {place[0]}:{place[1]} is not the one that made this token")
    key, request = new_request()
    answer = await _ask(place, server_context(bundle.decode("ascii", "replace")), Join(token.strip(), request))
    if not isinstance(answer, Joined):
        raise ReachError("it did not answer with a certificate")
    try:
        return write_identity(path, answer.name, answer.interest, key, answer.certificate, answer.authority)
    except OSError as exc:
        raise IdentityError(f"{path}: {exc.strerror or exc}") from exc


async def _authority(place: Place) -> bytes:
    """What the other side says its authority is; anybody could say so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # What it says is compared with the token's digest; until then nothing else is said.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    answer = await _ask(place, context, Who())
    if not isinstance(answer, Authority):
        raise ReachError("it does not say which authority it is of")
    return answer.bundle


async def _ask(place: Place, context: ssl.SSLContext, question: Who | Join) -> FromGateway | ToGateway:
    connection = await reach(place, context)
    try:
        await connection.send(question)
        async with asyncio.timeout(CONNECT_S):
            answer = await connection.receive()
    except TimeoutError as exc:
        raise ReachError("it does not answer") from exc
    except DeltaError as exc:
        raise ReachError(str(exc)) from exc
    finally:
        await connection.close()
    if isinstance(answer, Refused):
        raise IdentityError(answer.message)
    return answer


def _why(exc: OSError | TimeoutError) -> str:
    if isinstance(exc, TimeoutError):
        return "it does not answer in time"
    if isinstance(exc, ssl.SSLError):
        # An alert by name, such as TLSV13_ALERT_CERTIFICATE_REQUIRED.
        return f"TLS: {(exc.reason or 'failed').lower().replace('_', ' ')}"
    return exc.strerror or str(exc) or type(exc).__name__
