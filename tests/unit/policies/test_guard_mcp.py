"""Which guards a call to a tool server has, what they make of everything that is said in it, and what they tell."""

import asyncio
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from heddle.guards.schema import SchemaJudge
from heddle.guards.treatment import build as build_texts
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_guards import GuardSpec, WebhookSpec
from heddle.model.snapshot_match import MatchSpec
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.guarding import GuardUnavailableError, Judged
from heddle.policies.guard import Guard
from heddle.policies.guard.mcp import MAX_SAID_BYTES, McpWork
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.records import AuditRecord
from heddle.telemetry.trace import fresh
from heddle.wire.jsonrpc import RpcError

ALICE = Principal(tenant="dev", user="alice", agent="planner", key_id="key-a")
BOB = Principal(tenant="ops", user="bob", agent="planner", key_id="key-b")
MAIL = "joe@example.com"
CARD = "4111111111111111"
HOOK = WebhookSpec(url="http://127.0.0.1:1/")


class Judge:
    """Says what it is told to."""

    def __init__(self, spec: GuardSpec, verdict: str | Exception) -> None:
        self.spec, self.verdict = spec, verdict
        self.asked: list[tuple[str, list[Judged]]] = []

    async def judge(self, texts: Sequence[Judged], model: str, request: bytes) -> str:
        self.asked.append((model, list(texts)))
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


class World:
    """The policy, and calls through it."""

    def __init__(self, *specs: GuardSpec, verdict: str | Exception = "") -> None:
        self.audited: list[AuditRecord] = []
        self.metrics = Metrics.in_memory()
        self.judges: list[Judge] = []
        self.verdict = verdict
        tools: Any = SimpleNamespace(metrics=self.metrics, audit=self.audited.append, guards=self._guards)
        self.policy = Guard(Snapshot(version="v", guards=specs), tools)
        self.exchange: Any = SimpleNamespace(
            principal=ALICE,
            policy="",
            source_address="::1",
            trace=fresh(0.0),
            guarded={},
            mcp=None,
            request=SimpleNamespace(headers=[]),
        )

    def _guards(self, specs: Sequence[GuardSpec], tools: object) -> Any:
        def judge(spec: GuardSpec) -> Any:
            if spec.schema:
                return SchemaJudge(spec, tools)  # type: ignore[arg-type]
            self.judges.append(Judge(spec, self.verdict))
            return self.judges[-1]

        return build_texts(specs, judge)

    def names(self, call: McpCall, who: Principal = ALICE) -> list[str]:
        """Of the guards that a call has."""
        self.exchange.principal = who
        work = self.policy.guard_mcp(self.exchange, call)
        return [] if work is None else [self.policy.specs[number].name for number in work.numbers]

    def begin(self, call: McpCall) -> McpWork:
        work = self.policy.guard_mcp(self.exchange, call)
        assert work is not None
        return work

    async def sent(self, arguments: Any, **fields: Any) -> Any:
        """Arguments as the tool gets them."""
        self.call = tool(params={"arguments": msgspec.Raw(json.dumps(arguments).encode())}, **fields)
        self.call.arguments = arguments
        self.work = self.begin(self.call)
        await self.work.request()
        arrived = json.loads(bytes(self.call.params["arguments"]))
        assert self.call.arguments == arrived
        return arrived

    async def got(self, result: Any) -> Any:
        """A result as its caller gets it."""
        work = self.begin(tool())
        return json.loads(await work.result(json.dumps(result).encode()))


def tool(name: str = "fs__read", stable: str = "files/read_file", **fields: Any) -> McpCall:
    target, _, own = stable.partition("/")
    base: dict[str, Any] = {"method": "tools/call", "server": "default", "version": "v", "kind": "tool"}
    return McpCall(**{**base, "name": name, "target": target, "target_name": own, **fields})


def resource(uri: str, **fields: Any) -> McpCall:
    return tool(uri, f"files/{uri}", **{"method": "resources/read", "kind": "resource", **fields})


def mask(name: str = "g", **fields: Any) -> GuardSpec:
    return GuardSpec(**{"name": name, "recognisers": ("email",), "action": "mask", **fields})


def refuse(name: str = "g", **fields: Any) -> GuardSpec:
    return mask(name, action="refuse", **fields)


def hook(name: str = "hook", **fields: Any) -> GuardSpec:
    return GuardSpec(**{"name": name, "action": "webhook", "webhook": HOOK, **fields})


def match(**fields: Any) -> MatchSpec:
    return MatchSpec(**fields)


def text(said: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}]}


# Which guards.


def test_a_guard_that_names_models_has_no_say_and_one_that_names_nothing_has():
    world = World(
        mask("models", match=match(models=("gpt",))), mask("all"), mask("ours", match=match(tenants=("dev",)))
    )
    assert world.names(tool()) == ["all", "ours"]
    assert world.names(tool(), BOB) == ["all"]
    assert world.names(tool("", "", kind="server")) == ["all", "ours"]


@pytest.mark.parametrize("pattern", ["fs__read", "fs__*", "files/read_file", "files/*"])
def test_a_tool_is_known_by_both_its_names(pattern: str):
    world = World(mask(match=match(tools=(pattern,))))
    assert world.names(tool())
    assert world.names(tool("fs__read@2"))
    assert not world.names(tool("other", "mail/send"))
    assert not world.names(resource("fs__read")), "a URI that reads like a tool is none"


def test_servers_and_targets():
    world = World(mask("here", match=match(servers=("default",))), mask("there", match=match(targets=("mail",))))
    assert world.names(tool()) == ["here"]
    assert world.names(tool("send", "mail/send", server="other")) == ["there"]


def test_a_task_whose_tool_nobody_knows_has_the_guards_of_every_tool_of_its_target():
    world = World(mask("read", match=match(tools=("fs__read",))), mask("mail", match=match(targets=("mail",))))
    assert world.names(tool("", "files/")) == ["read"]
    assert not World(mask(match=match(tools=("x",)))).names(tool("", "", kind="server"))


def test_what_is_remembered_of_calls_does_not_grow_with_uris():
    world = World(mask())
    for number in range(100):
        assert world.names(resource(f"file:///{number}"))
    assert len(world.policy._of_tools._known) == 1


# Arguments.


async def test_every_string_number_and_key_of_arguments_is_searched():
    world = World(GuardSpec(name="g", recognisers=("email", "card"), action="mask"))
    given = {"to": [MAIL, {"deep": f"a {MAIL} b"}], MAIL: 1, "pay": int(CARD), "n": 1.50, "no": None, "yes": True}
    assert await world.sent(given) == {
        "to": ["[EMAIL]", {"deep": "a [EMAIL] b"}], "[EMAIL]": 1, "pay": "[CARD]", "n": 1.50, "no": None, "yes": True,
    }  # fmt: skip
    assert world.exchange.guarded == {"g:mask:tool_arguments": 4}


async def test_arguments_in_which_nothing_is_found_keep_their_bytes():
    world = World(mask())
    raw = b'{ "a" : 1.50, "b":"\\u0041" }'
    call = tool(params={"arguments": msgspec.Raw(raw), "name": msgspec.Raw(b'"x"')})
    await world.begin(call).request()
    assert bytes(call.params["arguments"]) == raw


async def test_escapes_hide_nothing():
    world = World(mask())
    call = tool(params={"arguments": msgspec.Raw(b'{"a":"joe\\u0040example.com"}')})
    await world.begin(call).request()
    assert bytes(call.params["arguments"]) == b'{"a":"[EMAIL]"}'


async def test_only_the_other_scopes_are_left_alone():
    world = World(mask(scopes=("tool_result",)))
    assert await world.sent({"to": MAIL}) == {"to": MAIL}
    assert await world.got(text(MAIL)) == text("[EMAIL]")
    world = World(mask(scopes=("tool_arguments",), directions=("request",)))
    assert await world.got(text(MAIL)) == text(MAIL)


async def test_what_is_hidden_reversibly_is_put_back_in_the_result_of_the_same_call_only():
    world = World(mask(action="mask_reversible"))
    assert await world.sent({"to": MAIL}) == {"to": "[EMAIL_1]"}
    answer = json.loads(await world.work.result(json.dumps(text("sent to [EMAIL_1]")).encode()))
    assert answer == text(f"sent to {MAIL}")
    assert await world.got(text("sent to [EMAIL_1]")) == text("sent to [EMAIL_1]")


async def test_a_refusal_says_which_guard_it_was_and_never_the_text():
    world = World(refuse())
    with pytest.raises(CallError) as refused:
        await world.sent({"to": MAIL})
    assert (refused.value.reason, refused.value.answer.jsonrpc) == (Reason.GUARDED, -32006)
    assert refused.value.detail == "Refused by guard 'g' for arguments of a tool: it has what 'email' looks for."
    (record,) = world.audited
    assert (record.kind, record.resource, record.entry) == ("guard", "tool:fs__read", "default:tool:files/read_file")
    assert world.exchange.policy == "g"
    labels = {"guard": "g", "action": "refuse", "scope": "tool_arguments", "direction": "request"}
    assert world.metrics.counter(names.GUARD_DECISIONS, **labels).value == 1
    assert MAIL not in repr((record, refused.value, world.exchange.guarded))


async def test_answers_that_come_with_the_next_request_are_arguments():
    world = World(mask())
    answers = {"q1": {"action": "accept", "content": {"email": MAIL, "age": 7}}}
    call = tool(params={"inputResponses": msgspec.Raw(json.dumps(answers).encode())})
    await world.begin(call).request()
    assert json.loads(bytes(call.params["inputResponses"]))["q1"]["content"] == {"email": "[EMAIL]", "age": 7}


async def test_a_uri_is_refused_but_never_changed():
    world = World(mask(action="mask"))
    call = resource(f"mail://{MAIL}")
    await world.begin(call).request()
    assert (call.name, world.exchange.guarded) == (f"mail://{MAIL}", {})
    for uri in (f"mail://{MAIL}", "mail://joe%40example.com"):
        with pytest.raises(CallError, match="arguments of a tool"):
            await World(refuse()).begin(resource(uri)).request()


async def test_what_comes_beside_arguments_is_searched_as_well():
    world = World(mask())
    beside = {"own": {"note": MAIL}, "progressToken": MAIL, "io.modelcontextprotocol/clientInfo": {"name": MAIL}}
    params = {"name": MAIL, "arguments": {}, "new": [MAIL], "_meta": beside, "requestState": MAIL}
    call = tool(params={name: msgspec.Raw(json.dumps(value).encode()) for name, value in params.items()})
    await world.begin(call).request()
    left = {name: json.loads(bytes(value)) for name, value in call.params.items()}
    assert (left["name"], left["requestState"], left["new"]) == (MAIL, MAIL, ["[EMAIL]"])
    assert left["_meta"] == {"own": {"note": "[EMAIL]"}, "progressToken": MAIL}


async def test_fields_beside_arguments_are_refused_but_never_changed():
    hidden = b"=?base64?am9lQGV4YW1wbGUuY29t?="
    for value in (MAIL.encode(), hidden):
        world = World(refuse())
        world.exchange.request.headers.append((b"mcp-param-to", value))
        with pytest.raises(CallError, match="arguments of a tool"):
            await world.sent({"a": "b"})
    world = World(mask())
    world.exchange.request.headers.append((b"mcp-param-to", hidden))
    assert await world.sent({"a": "b"}) == {"a": "b"}


# Results.


async def test_texts_of_every_kind_of_result_are_searched():
    world = World(mask())
    hidden = "[EMAIL]"

    def result(mail: str) -> dict[str, Any]:
        return {
            "content": [
                {"type": "text", "text": f"to {mail}", "annotations": {"audience": ["user"]}},
                {"type": "resource", "resource": {"uri": "a://b", "text": mail}},
                {"type": "resource_link", "uri": "a://b", "name": mail, "description": mail},
            ],
            "structuredContent": {"list": [{mail: mail}]},
            "contents": [{"uri": "a://b", "mimeType": "text/plain", "text": mail}],
            "messages": [{"role": "user", "content": {"type": "text", "text": mail}}],
            "description": mail,
            "inputRequests": {"q": {"method": "elicitation/create", "params": {"message": mail}}},
            "completion": {"values": [mail]},
            "something-new": {"said": [mail]},
            "isError": True,
        }

    assert await world.got(result(MAIL)) == result(hidden)


async def test_bytes_uris_and_what_peers_know_messages_by_stay():
    world = World(mask(), GuardSpec(name="w", phrases=("word",), action="mask"))
    result = {
        "content": [
            {"type": "image", "data": "word", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": f"mail://{MAIL}", "blob": "word"}},
        ],
        "resultType": "word", "requestState": MAIL, "nextCursor": "word", "taskId": "word",
        "_meta": {"progressToken": "word", "io.modelcontextprotocol/subscriptionId": "word"},
    }  # fmt: skip
    assert await world.got(result) == result
    assert await world.got({"_meta": {"own": "word"}}) == {"_meta": {"own": "[PHRASE]"}}


async def test_json_inside_of_a_text_stays_json():
    world = World(GuardSpec(name="g", recognisers=("card",), action="mask"))
    got = await world.got(text(json.dumps({"card": int(CARD)})))
    assert json.loads(got["content"][0]["text"]) == {"card": "[CARD]"}


async def test_a_result_that_no_guard_can_read_is_not_passed_on():
    work = World(mask()).begin(tool())
    for broken in (b'{"content":', b'{"structuredContent":%b%b}' % (b"[" * 5_000, b"]" * 5_000)):
        with pytest.raises(CallError) as failed:
            await work.result(broken)
        assert failed.value.reason is Reason.UPSTREAM_BROKEN


async def test_a_field_that_is_said_twice_is_passed_on_as_it_was_read():
    work = World(mask()).begin(tool())
    raw = b'{"content":[{"type":"text","text":"%b"}],"content":[]}' % MAIL.encode()
    assert json.loads(await work.result(raw)) == {"content": []}
    assert MAIL.encode() not in await work.result(raw)


@pytest.mark.parametrize("result", [text(f"warp and weft, {MAIL}. " * 40_000),
                                    {"content": [{"type": "text", "text": MAIL}] * 20_000}])  # fmt: skip
async def test_a_large_result_leaves_others_their_turns(result: dict[str, Any]):
    raw = json.dumps(result).encode()
    work = World(mask()).begin(tool())
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(others())
    try:
        assert MAIL.encode() not in await work.result(raw)
    finally:
        task.cancel()
    assert turns > 20


async def test_errors_of_a_server_are_searched_and_others_are_the_same_error():
    work = World(mask()).begin(tool())
    passed = await work.error(RpcError(-32000, f"no {MAIL}", json.dumps({"why": MAIL, "url": "a://b"}).encode()))
    assert (passed.code, passed.message) == (-32000, "no [EMAIL]")
    assert json.loads(passed.data) == {"why": "[EMAIL]", "url": "a://b"}
    same = RpcError(-32000, "no")
    assert await work.error(same) is same


# What is said and asked in between.


def raw(**fields: Any) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}


def plain(params: dict[str, msgspec.Raw] | None) -> Any:
    return None if params is None else {name: json.loads(bytes(value)) for name, value in params.items()}


def test_progress_and_messages_are_masked():
    work = World(mask()).begin(tool())
    progress = raw(progressToken=MAIL, progress=0.5, message=f"asked {MAIL}")
    said = {"progressToken": MAIL, "progress": 0.5, "message": "asked [EMAIL]"}
    assert plain(work.said("notifications/progress", progress)) == said
    logged = raw(level="info", logger="x", data={"to": [MAIL, 1]})
    assert plain(work.said("notifications/message", logged))["data"] == {"to": ["[EMAIL]", 1]}
    assert plain(work.said("notifications/message", raw(level="info", data=MAIL)))["data"] == "[EMAIL]"


def test_what_is_refused_of_progress_is_its_text_and_of_messages_everything():
    world = World(refuse())
    work = world.begin(tool())
    progress = raw(progressToken="p", progress=1, total=MAIL, message=MAIL)
    assert plain(work.said("notifications/progress", progress)) == {"progressToken": "p", "progress": 1}
    assert work.said("notifications/message", raw(level="info", data=MAIL)) is None
    assert [record.kind for record in world.audited] == ["guard", "guard"]
    assert work.said("notifications/tools/list_changed", {}) == {}


def test_what_is_too_large_or_has_to_be_judged_is_not_said():
    large = raw(progressToken="p", progress=1, message="x" * MAX_SAID_BYTES)
    assert plain(World(mask()).begin(tool()).said("notifications/progress", large)) == {
        "progressToken": "p", "progress": 1,
    }  # fmt: skip
    work = World(hook()).begin(tool())
    assert work.said("notifications/message", raw(level="info", data="harmless")) is None
    changed = raw(uri="a://b")
    assert work.said("notifications/resources/updated", changed) == changed
    many = raw(notifications={"resourceSubscriptions": ["a://b"] * MAX_SAID_BYTES})
    assert work.said("notifications/subscriptions/acknowledged", many) is many
    about_users = World(hook(scopes=("user",))).begin(tool())
    assert about_users.said("notifications/message", raw(level="info", data="harmless")) is not None


async def test_questions_are_results_and_their_answers_arguments():
    world = World(mask(action="mask_reversible"), GuardSpec(name="w", phrases=("red alert",), action="refuse"))
    work = world.begin(tool())
    sampling = {
        "messages": [{"role": "user", "content": {"type": "text", "text": f"write to {MAIL}"}}],
        "systemPrompt": MAIL, "maxTokens": 10,
    }  # fmt: skip
    asked = plain(await work.asked(raw(**sampling)))
    assert asked["messages"][0]["content"]["text"] == "write to [EMAIL]"
    assert (asked["systemPrompt"], asked["maxTokens"]) == ("[EMAIL]", 10)
    said = {"role": "assistant", "model": "m", "content": {"type": "text", "text": f"dear {MAIL}"}}
    assert json.loads(await work.answered(json.dumps(said).encode()))["content"]["text"] == "dear [EMAIL_1]"
    # What people filled in is put back where the same call's result names it.
    assert json.loads(await work.result(json.dumps(text("to [EMAIL_1]")).encode())) == text(f"to {MAIL}")
    with pytest.raises(CallError, match="'phrase'"):
        await work.asked(raw(message="red alert"))
    assert await work.asked({}) == {}


# Guards that need the whole.


async def test_a_webhook_is_told_what_is_asked_for_and_what_masks_left():
    world = World(mask(), hook())
    await world.sent({"to": MAIL})
    await world.work.result(json.dumps(text(f"sent to {MAIL}")).encode())
    (asked,) = world.judges
    (first, arguments), (second, result) = asked.asked
    assert first == second == "tool:fs__read"
    assert [one.scope for one in arguments + result] == ["tool_arguments", "tool_result"]
    assert [one.text for one in arguments + result] == ['{"to":"[EMAIL]"}', "sent to [EMAIL]"]


async def test_a_webhook_refuses_and_one_that_fails_does_as_it_is_told():
    with pytest.raises(CallError, match="not today"):
        await World(hook(), verdict="not today").sent({"a": "b"})
    broken = GuardUnavailableError("away")
    with pytest.raises(CallError) as failed:
        await World(hook(), verdict=broken).sent({"a": "b"})
    assert failed.value.reason is Reason.GUARD_UNAVAILABLE
    assert await World(hook(on_error="allow"), verdict=broken).sent({"a": "b"}) == {"a": "b"}


SCHEMA = json.dumps({"type": "object", "required": ["sum"]})


def schema(**fields: Any) -> GuardSpec:
    made = {"name": "s", "schema": SCHEMA, "directions": ("response",), "action": "refuse", **fields}
    return GuardSpec(**made)


async def test_a_schema_is_for_the_results_of_tools_that_it_names():
    assert not World(schema()).names(tool()), "a schema for answers of models says nothing of tools"
    world = World(schema(match=match(tools=("fs__read",))))
    beside = {"content": [{"type": "text", "text": "not JSON"}], "structuredContent": {"sum": 3}}
    assert await world.got(beside) == beside
    assert await world.got(text('{"sum": 3}')) == text('{"sum": 3}')
    failed = {"content": [{"type": "text", "text": "no"}], "isError": True}
    assert await world.got(failed) == failed
    for wrong in (text("no JSON"), {"content": [], "structuredContent": {"total": 3}}):
        with pytest.raises(CallError, match="schema"):
            await world.got(wrong)
    work = world.begin(tool())
    assert plain(await work.asked(raw(message="Who are you?"))) == {"message": "Who are you?"}
