"""A virtual server: every method of the protocol, in a form that knows no era.

Owns the way of a request from its name to a target and back: which entry is meant, whether this caller may, what is
sent in its place, and what of the result callers see. What is forbidden is answered like what does not exist.
*Source:* Model Context Protocol 2025-11-25 and 2026-07-28, "Server features".
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from heddle.backends.mcp.contract import NOTHING, Caller, Params, TargetRequest
from heddle.backends.mcp.upstream import Upstream
from heddle.dataplane.mcp.guarding import guarded
from heddle.dataplane.mcp.heads import said
from heddle.dataplane.mcp.lists import Lists
from heddle.dataplane.mcp.policies import McpPolicies
from heddle.dataplane.mcp.protected import Protected
from heddle.dataplane.mcp.reaching import Reaching
from heddle.dataplane.mcp.refusing import each_alone, unknown
from heddle.dataplane.mcp.rewriting import exposed_in
from heddle.dataplane.mcp.showing import Showing
from heddle.dataplane.mcp.surface import Entry, Surface
from heddle.dataplane.mcp.tasks import METHODS, Tasks, named_again, to_target
from heddle.dataplane.mcp.tracing import passed
from heddle.model.mcp import Kind, McpCall
from heddle.model.snapshot_mcp import McpServerSpec
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.wire.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, Message, RpcError
from heddle.wire.mcp.fields import HEADER_MISMATCH
from heddle.wire.mcp.params import contradiction, fields_of
from heddle.wire.mcp.results import ending

_encode = msgspec.json.encode
_LISTED = {"tools/list": "tool", "prompts/list": "prompt", "resources/list": "resource",
           "resources/templates/list": "template"}  # fmt: skip


class Turn(msgspec.Struct, gc=False, eq=False):
    """One request, who makes it, and its entry in the books."""

    message: Message
    caller: Caller
    exchange: Exchange


Answer = Callable[["VirtualServer", Turn], Awaitable[bytes]]


class VirtualServer:
    """One virtual server of a snapshot."""

    def __init__(
        self, spec: McpServerSpec, upstreams: Mapping[str, Upstream], policies: McpPolicies, tools: Tools
    ) -> None:
        self.spec = spec
        self.policies = policies
        self.tasks = Tasks(spec.name, tools.sealing)
        self._showing = Showing(spec, upstreams, tools)
        self._reaching = Reaching(policies)
        self.lists = Lists(policies, spec)
        self.protected: Protected | None = None
        """What it asks of tokens, where it wants any."""
        self.watchers: set[Callable[[str], None]] = set()
        """Told when lists changed: `tools`, `prompts` or `resources`."""

    def targets(self) -> list[tuple[str, Upstream]]:
        """Its targets in order, each with the prefix of its names."""
        return self._showing.targets

    def quiet(self, caller: Caller) -> bool:
        """Whether nothing is said to a caller before the end of a call that did not ask for it."""
        return self._showing.quiet(caller)

    async def set_level(self, params: Params, caller: Caller) -> None:
        """Tell every target of the caller's session what it wants to hear of; those of the newer era are told with
        each call."""
        surface = self._showing.known(caller) or await self._showing.surface(caller)
        told = [
            part.upstream.call(TargetRequest(method="logging/setLevel", params=params), caller)
            for part in surface.parts
            if part.upstream.target.stateful
            and part.catalogue is not None
            and "logging" in part.catalogue.described.capabilities
        ]
        await each_alone(told)

    async def tell(self, method: str, params: Params, caller: Caller) -> None:
        """Tell every target that has a session of this caller."""
        upstreams = [upstream for _, upstream in self.targets() if upstream.target.stateful]
        known = [upstream for upstream in upstreams if await upstream.target.knows(caller)]
        await each_alone(upstream.target.notify(method, params, caller) for upstream in known)

    def changed(self, what: str) -> None:
        """A target's list changed."""
        for watcher in list(self.watchers):
            watcher(what)

    # What there is.

    async def surface(self, caller: Caller) -> Surface:
        """What there is, for this kind of caller. Raises CallError when a target is missing that must not be."""
        return self._showing.known(caller) or await self._showing.surface(caller)

    # Methods.

    def answer(self, message: Message, caller: Caller, exchange: Exchange) -> Awaitable[bytes]:
        """The result of a request. Raises RpcError or CallError."""
        answer = _METHODS.get(message.method)
        if answer is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        return answer(self, Turn(message, caller, exchange))

    async def _list(self, turn: Turn) -> bytes:
        message, exchange = turn.message, turn.exchange
        self.enter(exchange)
        surface = await self.surface(turn.caller)
        return self.lists.page(surface, _LISTED[message.method], message.value.get("cursor"), exchange)

    def enter(self, exchange: Exchange) -> None:
        """Whether the caller may do anything here. Raises CallError."""
        wait = self.policies.check(exchange)
        assert wait is None, "lists are not limited"

    async def _ping(self, turn: Turn) -> bytes:
        del turn
        return NOTHING

    def call_tool(self, turn: Turn) -> Awaitable[bytes]:
        """`tools/call`. Raises RpcError or CallError, also before there is anything to wait for."""
        name, arguments = _text(turn.message, "name"), turn.message.value.get("arguments")
        if arguments is not None and not isinstance(arguments, dict):
            raise RpcError(INVALID_PARAMS, "`arguments` must be an object.")
        surface = self._showing.known(turn.caller)
        if surface is None:
            return self._seek_tool(name, arguments or {}, turn)
        return self._call_tool(surface, name, arguments or {}, turn)

    async def _seek_tool(self, name: str, arguments: dict[str, Any], turn: Turn) -> bytes:
        """The same where what there is has to be asked for."""
        return await self._call_tool(await self._showing.surface(turn.caller), name, arguments, turn)

    def _call_tool(self, surface: Surface, name: str, arguments: dict[str, Any], turn: Turn) -> Awaitable[bytes]:
        search = self.lists.search
        if search is not None and name in search.tools:
            return search.call(self, surface, turn)
        return self._perform(surface.tool(name, turn.caller.key), "tool", name, arguments, turn)

    async def _get_prompt(self, turn: Turn) -> bytes:
        message = turn.message
        name = _text(message, "name")
        surface = await self.surface(turn.caller)
        entry = surface.entries["prompt"].get(name)
        arguments = message.value.get("arguments")
        arguments = arguments if isinstance(arguments, dict) else {}
        return await self._perform(entry, "prompt", name, arguments, turn)

    async def _read(self, turn: Turn) -> bytes:
        uri = _text(turn.message, "uri")
        surface = await self.surface(turn.caller)
        return await self._perform(surface.resource(uri), "resource", uri, {}, turn)

    async def _perform(
        self, entry: Entry | None, kind: Kind, name: str, arguments: dict[str, Any], turn: Turn
    ) -> bytes:
        """Call what `entry` stands for, through the policies."""
        exchange = turn.exchange
        call = exchange.mcp
        assert call is not None
        call.kind, call.name = kind, name
        if entry is None:
            exchange.reason = Reason.NOT_FOUND
            raise unknown(kind, name)
        try:
            self._settle(entry, call, arguments, turn)
            if self.protected is not None and entry.spec is not None and entry.spec.scopes:
                self.protected.check(exchange, entry.spec.scopes)
        except (RpcError, CallError) as error:
            # What is wrong with a call is told only to those who could make a right one.
            if not self.policies.permits(exchange, call):
                raise unknown(kind, name) from error
            raise
        wait = self._check(call, exchange)
        if wait is not None:
            await wait
        guards = self.policies.guarding(exchange, call) if self.policies.guards is not None else None
        if guards is None:
            result = await self._ask(entry, turn, turn.caller)
        else:
            result = await guarded(guards, turn.caller, partial(self._ask, entry, turn))
        call.tool_error, call.asks_back = ending(result)
        result = self.tasks.expose(result, entry.upstream.name, exchange)
        return exposed_in(result, entry.prefix) if entry.prefix else result

    def _guarded(self, turn: Turn, send: Callable[[Caller], Awaitable[bytes]]) -> Awaitable[bytes]:
        """What a target answers, as far as guards let it pass. `send` asks with what the call's params are by then."""
        call = turn.exchange.mcp
        assert call is not None
        guards = self.policies.guarding(turn.exchange, call)
        return send(turn.caller) if guards is None else guarded(guards, turn.caller, send)

    def _settle(self, entry: Entry, call: McpCall, arguments: dict[str, Any], turn: Turn) -> None:
        """Enter what is meant, with the arguments that the target will get: that is what policies judge."""
        message = turn.message
        call.target, call.target_name = entry.upstream.name, entry.key
        if entry.marks and turn.caller.modern:
            wrong = contradiction(entry.marks, arguments, turn.exchange.request.fields())
            if wrong:
                raise RpcError(HEADER_MISMATCH, f"`{wrong}` is not what its argument says.")
        call.arguments, call.params = arguments, message.params
        if entry.shaping is not None:
            call.arguments, call.params = entry.shaping.apply(arguments, message.params)
        if entry.spec is not None:
            call.cost_usd = entry.spec.cost_usd

    def _check(self, call: McpCall, exchange: Exchange) -> Awaitable[None] | None:
        """The policies. What is forbidden is answered like what is not there."""
        try:
            return self.policies.check(exchange)
        except CallError as error:
            if error.reason is not Reason.FORBIDDEN:
                raise
            exchange.reason, exchange.detail = error.reason, error.detail
            raise unknown(call.kind, call.name) from error

    def _request(self, entry: Entry, turn: Turn) -> TargetRequest:
        message, exchange = turn.message, turn.exchange
        call = exchange.mcp
        assert call is not None
        # Guards may have changed what the message said.
        passing = turn.caller.passing if call.params is message.params else None
        params = dict(call.params)
        params.pop("_meta", None)
        member = "uri" if entry.kind == "resource" else "name"
        if entry.key != call.name:
            params[member] = msgspec.Raw(_encode(entry.key))
        return TargetRequest(
            method=message.method,
            params=params,
            meta=passed(exchange, call.params, passing),
            name=entry.key,
            timeout_s=entry.spec.timeout_s if entry.spec is not None else 0.0,
            extra=_param_fields(entry, call, exchange),
        )

    def _ask(self, entry: Entry, turn: Turn, caller: Caller) -> Awaitable[bytes]:
        return self._reaching.ask(entry, self._request(entry, turn), caller, turn.exchange)

    async def _complete(self, turn: Turn) -> bytes:
        message, exchange = turn.message, turn.exchange
        ref = message.value.get("ref")
        if not isinstance(ref, dict):
            raise RpcError(INVALID_PARAMS, "`ref` must be an object.")
        surface = await self.surface(turn.caller)
        if ref.get("type") == "ref/prompt":
            kind: Kind = "prompt"
            entry = surface.entries["prompt"].get(str(ref.get("name")))
        else:
            kind, uri = "resource", str(ref.get("uri"))
            entry = surface.entries["template"].get(uri) or surface.resource(uri)
        name = str(ref.get("name") or ref.get("uri"))
        call = exchange.mcp
        assert call is not None
        call.kind, call.name = kind, name
        if entry is None or not self.policies.permits(exchange, _about(call, entry)):
            raise unknown(kind, name)
        changed = {**ref, ("name" if kind == "prompt" else "uri"): entry.key}
        call.params = {**message.params, "ref": msgspec.Raw(_encode(changed))}
        upstream = entry.upstream

        def send(caller: Caller) -> Awaitable[bytes]:
            told, params = passed(exchange, call.params), dict(call.params)
            params.pop("_meta", None)
            return upstream.call(TargetRequest(method=message.method, params=params, meta=told), caller)

        return await self._guarded(turn, send)

    async def _subscribe(self, turn: Turn) -> bytes:
        """Only sessions subscribe; what becomes of it beyond the target is the front's."""
        message, exchange = turn.message, turn.exchange
        uri = _text(message, "uri")
        surface = await self.surface(turn.caller)
        entry = surface.resource(uri)
        call = exchange.mcp
        assert call is not None
        call.kind, call.name = "resource", uri
        if entry is None or not self.policies.permits(exchange, _about(call, entry)):
            raise unknown("resource", uri)
        if entry.upstream.target.stateful:
            params = {"uri": msgspec.Raw(_encode(entry.key))}
            await self._guarded(turn, partial(entry.upstream.call, TargetRequest(method=message.method, params=params)))
        return NOTHING

    async def _about_task(self, turn: Turn) -> bytes:
        message, exchange = turn.message, turn.exchange
        given = message.value.get("taskId")
        target, ident = self.tasks.find(given, exchange)
        upstream = next((upstream for _, upstream in self.targets() if upstream.name == target), None)
        if upstream is None:
            raise RpcError(INVALID_PARAMS, "Unknown task")
        self.enter(exchange)
        call = exchange.mcp
        assert call is not None
        # Which tool the task is of, nobody remembers: guards of all tools of the target are for its result.
        call.kind, call.target, call.params = "tool", target, message.params

        def send(caller: Caller) -> Awaitable[bytes]:
            told, params = passed(exchange, call.params), to_target(call.params, ident)
            return upstream.call(TargetRequest(method=message.method, params=params, meta=told, name=ident), caller)

        return named_again(await self._guarded(turn, send), str(given))


_METHODS: dict[str, Answer] = {
    **dict.fromkeys(METHODS, VirtualServer._about_task),
    **dict.fromkeys(_LISTED, VirtualServer._list),
    "ping": VirtualServer._ping,
    "tools/call": VirtualServer.call_tool,
    "prompts/get": VirtualServer._get_prompt,
    "resources/read": VirtualServer._read,
    "completion/complete": VirtualServer._complete,
    "resources/subscribe": VirtualServer._subscribe,
    "resources/unsubscribe": VirtualServer._subscribe,
}
OPERATIONS = frozenset(_METHODS)


def _param_fields(entry: Entry, call: McpCall, exchange: Exchange) -> list[tuple[bytes, bytes]]:
    """The fields that repeat arguments: made anew from those that are sent; what nobody here knows passes."""
    given = said(exchange.request).params
    if not (given or entry.marks):
        return []
    known = frozenset(entry.marks.values())
    return [*(field for field in given if field[0] not in known), *fields_of(entry.marks, call.arguments or {})]


def _about(call: McpCall, entry: Entry) -> McpCall:
    call.target, call.target_name = entry.upstream.name, entry.key
    return call


def _text(message: Message, member: str) -> str:
    value = message.value.get(member)
    if not isinstance(value, str) or not value:
        raise RpcError(INVALID_PARAMS, f"`{member}` must be text.")
    return value
