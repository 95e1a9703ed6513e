"""Guards around a call to a tool server: its arguments and its result, and everything that is said and asked between.

Owns which guards such a call has, and what becomes of their findings where nothing can be masked: a URI must lead where
it led, and a field of HTTP is not ours to write, so only refusals count for them. Results are judged whole. What a
server says while it works waits for nobody, so it is searched at once; guards that need the whole have nobody to ask
then, and its text is left out.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec

from heddle.model.match import MatchIndex, about_models, about_tools
from heddle.model.match_mcp import Subjects, tool_names
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot_guards import Direction, GuardSpec
from heddle.model.snapshot_match import MatchSpec
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange
from heddle.pipeline.guard_texts import treat_body
from heddle.pipeline.guarding import GuardRefusalError, Judge, Judged
from heddle.policies.guard.judging import Guards, Subject, Work, treated
from heddle.wire.jsonrpc import RpcError, encode_members
from heddle.wire.llm.slots import Slot
from heddle.wire.mcp import fields, meta
from heddle.wire.mcp.slots import answer_slots, argument_slots, result_slots, said_slots

MAX_KNOWN = 16_384
MAX_SAID_BYTES = 4 * 1024
"""Largest message of a server that is searched: it is searched in one turn of the loop."""
Params = dict[str, msgspec.Raw]
SlotsOf = Callable[[Any], Any]
_NAMING = frozenset(("name", "uri", "ref", "taskId", "requestState"))
_OF_MESSAGES = frozenset((meta.PROGRESS_TOKEN, *meta.TRACE))
_PROGRESS, _LOG = "notifications/progress", "notifications/message"
_SUBSCRIPTIONS = "notifications/subscriptions/"
_MASKS = ("mask", "mask_reversible")
_NUMBER = tuple(b"-0123456789"[at : at + 1] for at in range(11))
_decode_members = msgspec.json.Decoder(Params).decode
_encode = msgspec.json.encode


class McpMatches:
    """Which guards of a snapshot are for a call to a tool server."""

    __slots__ = ("_index", "_known")

    def __init__(self, specs: Sequence[GuardSpec]) -> None:
        self._index: MatchIndex[tuple[int, Subjects]] = MatchIndex()
        for number, spec in enumerate(specs):
            match = spec.match
            # What a schema says of answers is about one tool or none: all of them never have the same form.
            if not about_models(match) and (not spec.schema or about_tools(match)):
                who = MatchSpec(tenants=match.tenants, users=match.users, agents=match.agents)
                self._index.add(who, (number, Subjects.of(match)))
        self._known: dict[tuple[str, ...], tuple[int, ...]] = {}

    def find(self, principal: Principal, call: McpCall) -> tuple[int, ...]:
        """Numbers of the guards, as they were declared."""
        # URIs are the caller's own invention, and no guard is for one of them.
        name = call.name if call.kind != "resource" else ""
        who = (principal.tenant, principal.user, principal.agent)
        key = (*who, call.server, call.kind, name, call.target, call.target_name if name else "")
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[key] = self._find(principal, call)
        return known

    def _find(self, principal: Principal, call: McpCall) -> tuple[int, ...]:
        names = tool_names(call)
        unnamed = call.kind == "tool" and not call.name
        found = self._index.find(principal, "")
        return tuple(
            number for number, subjects in found
            if (subjects._replace(tools=None) if unnamed else subjects).match(call, names)
        )  # fmt: skip


class McpWork(Work):
    """The guards of one call to a tool server."""

    __slots__ = ("_call",)

    def __init__(self, guards: Guards, exchange: Exchange, call: McpCall, numbers: tuple[int, ...]) -> None:
        super().__init__(guards, exchange, numbers, encode_members(_given(call.params)))
        self._call = call

    @property
    def subject(self) -> Subject:
        """The tool, prompt or resource. URIs are the caller's own invention: repeats are told apart by their target."""
        call = self._call
        stable = call.target if call.kind == "resource" else call.stable_name or call.target
        return Subject(call.resource, f"{call.server}:{call.kind}:{stable}", call.resource, b"{}")

    async def request(self) -> None:
        """Treat what the caller sends, in place: `params`, and `arguments` as they are then. Raises CallError."""
        call = self._call
        await self._fixed([call.name] if call.kind == "resource" else [])
        given = _given(call.params)
        if not given:
            return
        before = encode_members(given)
        after = await self._treated(before, argument_slots, "request")
        if after != before:
            call.params = {**call.params, **_decode_members(after)}
            if call.arguments is not None and "arguments" in given:
                call.arguments = msgspec.json.decode(call.params["arguments"])

    async def result(self, result: bytes) -> bytes:
        """What becomes of a result. Raises CallError."""
        return await self._treated(result, result_slots, "response", final=True)

    async def error(self, error: RpcError) -> RpcError:
        """What becomes of an error of the server. Raises CallError."""
        said = {"message": msgspec.Raw(_encode(error.message))}
        if error.data:
            said["data"] = msgspec.Raw(error.data)
        before = encode_members(said)
        after = await self._treated(before, said_slots, "response")
        if after == before:
            return error
        passed = _decode_members(after)
        return RpcError(error.code, msgspec.json.decode(passed["message"], type=str), bytes(passed.get("data", b"")))

    def said(self, method: str, params: Params) -> Params | None:
        """What becomes of a notification of the server; None is not passed on."""
        if not params or method.startswith(_SUBSCRIPTIONS):
            return params  # nothing but URIs, and there may be many
        before = encode_members(params)
        if len(before) > MAX_SAID_BYTES or (method in (_PROGRESS, _LOG) and self._final_judges()):
            return _without_text(method, params)
        try:
            after = treat_body(before, said_slots, self.treatment(self.lanes("response")), [])
        except GuardRefusalError as refusal:
            self.refused(refusal.decision)
            return _without_text(method, params)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return _without_text(method, params)
        return _decode_members(after)

    async def asked(self, params: Params) -> Params:
        """What becomes of a question of the server. Raises CallError."""
        return (
            _decode_members(await self._treated(encode_members(params), said_slots, "response")) if params else params
        )

    async def answered(self, result: bytes) -> bytes:
        """What becomes of the caller's answer to it. Raises CallError."""
        return await self._treated(result, answer_slots, "request")

    async def _treated(self, body: bytes, slots_of: SlotsOf, direction: Direction, *, final: bool = False) -> bytes:
        """`final`: this is the result, of which schemas speak too. Raises CallError."""
        lanes = self.lanes(direction)
        judges = [judge for judge in self.judges(direction) if final or not judge.spec.schema]
        if lanes is None and not judges:
            return body
        texts: list[Judged] = []
        try:
            body = await treated(body, slots_of, self.treatment(lanes), texts)
        except GuardRefusalError as refusal:
            raise self.refused(refusal.decision) from refusal
        except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
            raise _unreadable(direction) from exc
        await self.ask(direction, texts, judges)
        return body

    async def _fixed(self, uris: list[str]) -> None:
        """Search what must stay as it is: URIs, as they are written and as they read, and fields. Raises CallError."""
        given = [value for name, value in self.exchange.request.headers if name.startswith(fields.PARAM_PREFIX)]
        said = [*uris, *map(unquote, uris), *(fields.decode_value(value) or "" for value in given)]
        if not said:
            return
        specs = self.guards.specs
        numbers = tuple(number for number in self.numbers if specs[number].action not in _MASKS)
        lanes = self.guards.set.lanes(numbers, "request", False)
        texts: list[Judged] = []
        try:
            await treated(_encode(list(dict.fromkeys(said))), _each, self.treatment(lanes), texts)
        except GuardRefusalError as refusal:
            raise self.refused(refusal.decision) from refusal
        await self.ask("request", texts, [judge for judge in self.judges("request") if uris])

    def _final_judges(self) -> list[Judge]:
        return [judge for judge in self.judges("response") if "tool_result" in judge.spec.scopes]


def _each(texts: list[str]) -> list[Slot]:
    return [Slot("tool_arguments", texts, index) for index in range(len(texts))]


def _given(params: Params) -> Params:
    """What of a request's params is the caller's words: all but what names things, and what each connection says."""
    given = {name: value for name, value in params.items() if name not in _NAMING}
    if "_meta" in given:
        own = meta.of_caller(meta.read_meta(params))
        given["_meta"] = msgspec.Raw(encode_members(own))
        if own.keys() <= _OF_MESSAGES:
            del given["_meta"]
    return given


def _without_text(method: str, params: Params) -> Params | None:
    """Progress is a number even where its text must not pass; a message is nothing but its text."""
    if method != _PROGRESS:
        return None
    numbers = {name: params[name] for name in ("progress", "total") if bytes(params.get(name, b""))[:1] in _NUMBER}
    return {name: params[name] for name in ("progressToken",) if name in params} | numbers


def _unreadable(direction: Direction) -> CallError:
    if direction == "request":
        return CallError(Reason.BAD_REQUEST, "The request is nested too deep for its guards.")
    return CallError(Reason.UPSTREAM_BROKEN, "The tool server sent what guards cannot read.")
