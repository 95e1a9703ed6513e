"""Bearer tokens that a provider's credential is exchanged for: fetched once, renewed before they expire.

Owns the waiting. Calls that come while the first token is being fetched wait for that one fetch; later ones never wait,
as a token is renewed in the background while it is still good. A failure is remembered for a moment, so that a broken
token endpoint is not asked once per call. Neither key nor token is ever logged or part of an error.

*Source:* RFC 6749 section 5.1 (`expires_in`); RFC 6750 section 2.1.
"""

import asyncio
import logging
from urllib.parse import urlsplit

from heddle.identity.fetch import check_url
from heddle.model.provider import Fields, Tokened
from heddle.model.snapshot import ProviderSpec, TimeoutSpec
from heddle.net.client import OutboundRequest
from heddle.net.errors import NetError
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.wire.errors import ProtocolError

_log = logging.getLogger("heddle.backends")

TIMEOUTS = TimeoutSpec(connect_s=5.0, first_byte_s=10.0, idle_s=10.0, total_s=15.0)
MAX_ANSWER_BYTES = 64 * 1024
RENEW_S = 300.0
"""How long before its expiry a token is renewed; one that lives shorter than twice as long, at half its life."""
SPENT_S = 10.0
"""How long before its expiry a token is no longer sent: it has to be good when it arrives."""
REST_S = 2.0
"""How long a failure holds before the endpoint is asked again."""


class Credentials:
    """The tokens of one provider. Raises ValueError when its token endpoint may not be asked."""

    __slots__ = (
        "_client",
        "_failed",
        "_fetching",
        "_fields",
        "_now",
        "_origin",
        "_provider",
        "_renew_at_s",
        "_rests_until_s",
        "_spec",
        "_spent_at_s",
        "_target",
        "_url",
    )

    def __init__(self, spec: ProviderSpec, provider: Tokened, tools: Tools) -> None:
        self._spec = spec
        self._provider = provider
        self._client = tools.client
        self._now = tools.clock.now
        self._url = provider.token_request(self._now()).url
        check_url(self._url)
        parts = urlsplit(self._url)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._origin = tools.client.origin(
            f"{parts.scheme}://{parts.netloc}", ca_file=spec.ca_file, proxy=spec.proxy, owner=spec.name
        )
        self._fields: Fields = []
        self._renew_at_s = 0.0
        self._spent_at_s = 0.0
        self._fetching: asyncio.Task[None] | None = None
        self._failed = ""
        self._rests_until_s = 0.0
        tools.closers.append(self.close)

    def __repr__(self) -> str:
        return f"Credentials({self._spec.name})"

    def close(self) -> None:
        """The snapshot is gone: renew no more."""
        if self._fetching is not None:
            self._fetching.cancel()
        self._client.discard(self._origin)

    def ready(self) -> Fields | None:
        """The field to send now, without waiting; None when `fields` must be awaited. Starts a renewal in time."""
        now = self._now()
        if now < self._renew_at_s:
            return self._fields
        if now >= self._spent_at_s:
            return None
        self._start()
        return self._fields

    async def fields(self) -> Fields:
        """The field to send. Raises CallError (PROVIDER_UNCONFIGURED) when no token can be had."""
        while (ready := self.ready()) is None:
            fetching = self._start()
            if fetching is None:
                detail = f"The provider `{self._spec.name}` is not usable: {self._failed}"
                raise CallError(Reason.PROVIDER_UNCONFIGURED, detail)
            # Shielded: a caller who leaves must not take the token from those who wait with it.
            await asyncio.shield(fetching)
        return ready

    def _start(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, begun if there is none; None while a failure holds."""
        if self._fetching is None:
            if self._failed and self._now() < self._rests_until_s:
                return None
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        """One new token, or the reason why there is none in `_failed`."""
        try:
            self._failed = await self._ask()
        finally:
            self._fetching = None
        if self._failed:
            self._rests_until_s = self._now() + REST_S
            _log.warning("provider %s: %s", self._spec.name, self._failed)

    async def _ask(self) -> str:
        """Why there is no new token; empty when there is."""
        asked = self._provider.token_request(self._now())
        request = OutboundRequest("POST", self._target.encode("ascii"), asked.fields, asked.body)
        try:
            answer = await self._client.send(self._origin, request, TIMEOUTS)
            try:
                body = await answer.body.read(MAX_ANSWER_BYTES)
            finally:
                answer.close()
        except NetError as exc:
            return f"its token endpoint could not be asked ({type(exc).__name__})."
        if answer.status != 200:
            return f"its token endpoint refused the credential (status {answer.status})."
        now = self._now()
        try:
            token, expires_s = self._provider.read_token(body, now)
        except ProtocolError as exc:
            return f"{exc.detail[:1].lower()}{exc.detail[1:]}"
        if expires_s - now <= 2 * SPENT_S:
            return "its token endpoint grants tokens that expire at once."
        self._renew_at_s = max(expires_s - RENEW_S, (now + expires_s) / 2)
        self._spent_at_s = expires_s - SPENT_S
        self._fields = [(b"authorization", b"Bearer " + token.encode("ascii"))]
        return ""
