"""The exact cache: an answer that was given before is given again to the same question, to who may have it.

Owns which calls may be answered so, what is kept, and that identical calls at the same time ask once. It stands inside
of authentication, authorization, limits and guards, so that an answer out of the cache has passed all of them, and
outside of what changes a call for its provider. What it costs is nothing: the call is counted, its usage is zero.

*Bypassed:* calls with tools, or with a temperature above zero or not stated, unless the rule asks for them; more than
one choice; bodies of more than 1 MiB; answers that the vendor keeps; callers who send `cache-control: no-cache` or
`no-store`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

from heddle.model.call import ModelCall, Usage
from heddle.model.match import MatchIndex, about_tools
from heddle.model.principal import Principal
from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_caching import CacheSpec
from heddle.net.body import Sink
from heddle.net.message import Headers, Reply
from heddle.pipeline.assembly import Tools
from heddle.pipeline.exchange import Exchange, Handler, Phase
from heddle.policies.cache.kept import VERSION, Entry, Listener, is_fit, read, stream_of, streams, write
from heddle.policies.cache.question import canonical, digest, partition, read_traits, settings
from heddle.telemetry import names
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codecs import CODECS

OPERATIONS = frozenset({"chat", "completions", "embeddings"})
FIELD = b"x-heddle-cache"
NOTES_FIELD = b"x-heddle-translation"
WAIT_S = 5.0
"""How long a call waits for the answer to an identical one before it asks by itself."""
MAX_ASKED_BYTES = 1024 * 1024
"""Largest body that is compared: reading a larger one takes longer than others should wait."""
MAX_KNOWN = 16_384

_JSON = (b"content-type", b"application/json")
_Flight = asyncio.Future[Entry | None]


def build(snapshot: Snapshot, tools: Tools) -> "Cache | None":
    """The policy of a snapshot's caching; None when it has none."""
    return Cache(snapshot, tools) if snapshot.caching else None


class Cache:
    """All rules of a snapshot, as one policy."""

    phase = Phase.CACHE

    def __init__(self, snapshot: Snapshot, tools: Tools) -> None:
        self.now = tools.clock.now
        self.kv = tools.kv("answers")
        self.flights: dict[bytes, _Flight] = {}
        self._metrics = tools.metrics
        self._index: MatchIndex[tuple[int, CacheSpec]] = MatchIndex()
        for number, spec in enumerate(snapshot.caching):
            if not about_tools(spec.match):
                self._index.add(spec.match, (number, spec))
        self._known: dict[tuple[str, ...], CacheSpec | None] = {}
        self._models = {model.name: model for model in snapshot.models}
        self._providers = {provider.name: provider for provider in snapshot.providers}
        self._settings: dict[tuple[str, str], bytes] = {}

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:  # noqa: ARG002
        """A cache hides no model."""
        return True

    def wrap(self, handler: Handler) -> Handler:
        """Answer from what is kept, or let `handler` answer and keep that."""

        def cached(exchange: Exchange) -> Awaitable[Reply]:
            call = exchange.call
            if call is None or call.operation not in OPERATIONS:
                return handler(exchange)
            spec = self._rule(exchange.principal, call)
            if spec is None:
                return handler(exchange)
            if _is_unwanted(exchange) or not self._may_keep(spec, call):
                return self.bypass(exchange, call, spec, handler)
            return Lookup(self, exchange, call, spec).answer(handler)

        return cached

    def _rule(self, principal: Principal, call: ModelCall) -> CacheSpec | None:
        """The first rule that matches the call by any name of its model."""
        models = {call.entry, call.model, call.upstream_model} - {""}
        key = (principal.tenant, principal.user, principal.agent, *sorted(models))
        if key in self._known:
            return self._known[key]
        found = [one for model in models for one in self._index.find(principal, model)]
        spec = min(found, key=lambda one: one[0])[1] if found else None
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[key] = spec
        return spec

    def _may_keep(self, spec: CacheSpec, call: ModelCall) -> bool:
        if len(call.body) > MAX_ASKED_BYTES or (call.stream and not streams(call)):
            return False
        traits = read_traits(call)
        if traits is None or traits.kept_by_vendor or (traits.tools and not spec.tools):
            return False
        return spec.temperature_above_zero or self._temperature(call, traits.temperature) == 0

    def _temperature(self, call: ModelCall, stated: float | None) -> object:
        """What the provider will be told; None where nobody says, and it takes its own default."""
        model = self._models.get(call.entry)
        if model is None:
            return stated
        usual = model.defaults.get("temperature") if stated is None else stated
        return model.overrides.get("temperature", usual)

    async def bypass(self, exchange: Exchange, call: ModelCall, spec: CacheSpec, handler: Handler) -> Reply:
        """Let `handler` answer, and say that nothing was kept."""
        self.tell(exchange, call, spec, "bypass")
        reply = await handler(exchange)
        reply.headers = [*reply.headers, (FIELD, b"bypass")]
        return reply

    def key(self, exchange: Exchange, call: ModelCall, spec: CacheSpec, asked: bytes) -> bytes:
        """What the answer to `asked` is kept under, at the place that the call goes to."""
        at = (call.entry, call.provider)
        added = self._settings.get(at)
        if added is None:
            added = settings(self._models.get(call.entry), self._providers.get(call.provider))
            self._settings[at] = added
        return digest(call, asked, partition(exchange.principal, spec.key), added, exchange.request.fields())

    def tell(self, exchange: Exchange, call: ModelCall, spec: CacheSpec, result: str) -> None:
        """Write down what became of a call."""
        exchange.cache = result
        self._metrics.counter(names.CACHE_CALLS, cache=spec.name, model=call.entry, result=result).add()

    def tell_saved(self, call: ModelCall, spec: CacheSpec, entry: Entry) -> None:
        """Count what a hit did not use."""
        labels = {"cache": spec.name, "model": call.entry}
        self._metrics.counter(names.CACHE_SAVED_TOKENS, type="input", **labels).add(entry.input_tokens)
        self._metrics.counter(names.CACHE_SAVED_TOKENS, type="output", **labels).add(entry.output_tokens)


class Lookup:
    """One call that may be answered from the cache."""

    __slots__ = ("_asked", "_cache", "_call", "_exchange", "_flight", "_key", "_spec")

    def __init__(self, cache: Cache, exchange: Exchange, call: ModelCall, spec: CacheSpec) -> None:
        self._cache, self._exchange, self._call, self._spec = cache, exchange, call, spec
        self._key = self._asked = b""
        self._flight: _Flight | None = None

    async def answer(self, handler: Handler) -> Reply:
        """The answer, kept or new."""
        cache = self._cache
        try:
            # Kept for the end: what stands inside may write another body.
            self._asked = canonical(self._call.body)
        except (ValueError, RecursionError):
            return await cache.bypass(self._exchange, self._call, self._spec, handler)
        self._key = cache.key(self._exchange, self._call, self._spec, self._asked)
        try:
            entry = await self._find(self._key)
            hit = self._hit(entry) if entry is not None else None
            if hit is not None:
                self.land(entry)
                return hit
            return await self._miss(handler)
        except BaseException:
            self.land(None)
            raise

    async def _find(self, key: bytes) -> Entry | None:
        """What is kept, or what an identical call under way is about to keep."""
        flights = self._cache.flights
        flying = flights.get(key)
        if flying is not None:
            done, _ = await asyncio.wait((flying,), timeout=WAIT_S)
            entry = flying.result() if done else None
            if not done and flights.get(key) is flying:
                # Whoever was waited for may never land: the next may lead.
                del flights[key]
            if entry is not None or key in flights:
                return entry
        if key not in flights:
            self._flight = flights[key] = asyncio.get_running_loop().create_future()
        value = await self._cache.kv.get(key)
        entry = read(value) if value is not None else None
        # Also the time is looked at: the rule may have become stricter since.
        return entry if entry is not None and self._cache.now() - entry.put_s < self._spec.ttl_s else None

    def _hit(self, entry: Entry) -> Reply | None:
        """The reply; None when the entry cannot be read, and so is none."""
        cache, exchange, call = self._cache, self._exchange, self._call
        headers: Headers = [_JSON]
        body: bytes | AsyncIterator[bytes] = entry.body
        if call.stream:
            headers = [(b"content-type", CODECS[call.dialect].STREAM_TYPE), (b"cache-control", b"no-cache")]
            try:
                body = _Replayed(stream_of(entry, call))
            except ProtocolError:
                return None
        cache.tell(exchange, call, self._spec, "hit")
        cache.tell_saved(call, self._spec, entry)
        exchange.usage = Usage()
        age_s = max(0, int(cache.now() - entry.put_s))
        headers += [(FIELD, b"hit"), (b"age", b"%d" % age_s)]
        if entry.notes:
            headers.append((NOTES_FIELD, entry.notes))
        return Reply(200, headers, body)

    async def _miss(self, handler: Handler) -> Reply:
        self._cache.tell(self._exchange, self._call, self._spec, "miss")
        reply = await handler(self._exchange)
        body, notes = reply.body, dict(reply.headers).get(NOTES_FIELD, b"")
        reply.headers = [*reply.headers, (FIELD, b"miss")]
        if reply.status != 200:
            self.land(None)
        elif isinstance(body, bytes):
            self.land(self._keep(body, notes) if is_fit(self._call, body) else None)
        else:
            reply.body = _Overheard(body, Listener(self._call, self._spec.max_bytes), self, notes)
        return reply

    def keep_stream(self, listener: Listener, notes: bytes) -> None:
        """A stream has ended: keep what it said, if that was all of it."""
        exchange = self._exchange
        whole = listener.whole(exchange.usage, int(self._cache.now())) if exchange.reason is None else None
        self.land(self._keep(whole, notes) if whole is not None else None)

    def _keep(self, body: bytes, notes: bytes) -> Entry | None:
        """Keep a whole answer under the place where it came from, which after a failure is not where it was sent."""
        cache, exchange, usage = self._cache, self._exchange, self._exchange.usage or Usage()
        if len(body) > self._spec.max_bytes:
            return None
        entry = Entry(
            version=VERSION,
            put_s=cache.now(),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            notes=notes,
            body=body,
        )
        key = cache.key(exchange, self._call, self._spec, self._asked)
        cache.kv.put(key, write(entry), self._spec.ttl_s)
        return entry if key == self._key else None

    def land(self, entry: Entry | None) -> None:
        """Tell those who wait for this call's answer; a second time does nothing."""
        flight, self._flight = self._flight, None
        if flight is not None:
            if self._cache.flights.get(self._key) is flight:
                del self._cache.flights[self._key]
            flight.set_result(entry)


class _Replayed:
    """A stream out of memory."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


class _Overheard:
    """A new stream on its way to the caller, of which is kept what it said. It must be `aclose()`d."""

    __slots__ = ("_body", "_listener", "_lookup", "_notes")

    def __init__(self, body: AsyncIterator[bytes], listener: Listener, lookup: Lookup, notes: bytes) -> None:
        self._body, self._listener, self._lookup, self._notes = body, listener, lookup, notes

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            data = await self._body.__anext__()
        except StopAsyncIteration:
            self._lookup.keep_stream(self._listener, self._notes)
            raise
        self._listener.feed(data)
        return data

    async def pour(self, write: Sink) -> None:
        """Write every piece as it arrives. Raises what the stream raises."""
        pour = getattr(self._body, "pour", None)
        if pour is None:
            async for piece in self:
                full = write(piece)
                if full is not None:
                    await full
            return
        feed = self._listener.feed

        def forward(data: bytes) -> "asyncio.Future[None] | None":
            feed(data)
            return write(data)

        await pour(forward)
        self._lookup.keep_stream(self._listener, self._notes)

    async def aclose(self) -> None:
        """The caller left, or has everything."""
        self._lookup.land(None)
        close: Any = getattr(self._body, "aclose", None)
        if close is not None:
            await close()


def _is_unwanted(exchange: Exchange) -> bool:
    """RFC 9111 5.2.1: the caller wants no answer that was kept, or wants none to be kept."""
    said = exchange.request.header(b"cache-control")
    if not said:
        return False
    directives = {one.strip().partition(b"=")[0] for one in said.lower().split(b",")}
    return not directives.isdisjoint((b"no-cache", b"no-store"))
