"""What policies mean for calls to MCP servers: levels, kinds, names and their forms, arguments, lists, records."""

from typing import Any

import pytest

from heddle.identity.judge_mcp import MAX_NAME_CHARS, REMEMBERED
from heddle.model.call import ModelCall
from heddle.model.mcp import McpCall
from heddle.model.principal import Principal
from heddle.model.snapshot import AuthzRule, MatchSpec, Snapshot
from heddle.model.snapshot_mcp import McpServerSpec, McpSpec, VersionedToolSpec, VersionSpec
from heddle.pipeline.errors import CallError, Reason
from heddle.policies import authz

ALICE = Principal(user="alice", tenant="dev", agent="planner", method="api_key", key_id="key-1")
BOB = Principal(user="bob", tenant="dev", method="api_key", key_id="key-2")
VERSIONED = McpServerSpec(
    name="default",
    path="/mcp",
    versions=(VersionedToolSpec(name="find", versions=(VersionSpec(version="2", target="files", tool="find_new"),)),),
)


def tool(name: str = "fs__read", stable: str = "files/read_file", arguments: Any = None, **fields: Any) -> McpCall:
    target, _, own = stable.partition("/")
    base: dict[str, Any] = {"method": "tools/call", "server": "default", "version": "2025-11-25", "kind": "tool"}
    made = {**base, "name": name, "target": target, "target_name": own, "arguments": arguments or {}, **fields}
    return McpCall(**made)


def prompt(name: str = "fs__ask", stable: str = "files/ask", **fields: Any) -> McpCall:
    return tool(name, stable, **{"method": "prompts/get", "kind": "prompt", **fields})


def resource(uri: str, own: str = "", target: str = "files", **fields: Any) -> McpCall:
    return tool(uri, f"{target}/{own or uri}", **{"method": "resources/read", "kind": "resource", **fields})


def server(method: str = "tools/list", name: str = "default") -> McpCall:
    return McpCall(method=method, server=name, version="2025-11-25")


def allow(name: str = "allow", **fields: Any) -> AuthzRule:
    return AuthzRule(name=name, action="allow", **fields)


def deny(name: str = "deny", **fields: Any) -> AuthzRule:
    return AuthzRule(name=name, action="deny", **fields)


class Court:
    """The policy, and calls before it."""

    def __init__(self, worker: Any, make_exchange: Any, rules: tuple[AuthzRule, ...]) -> None:
        snapshot = Snapshot(version="v", authorization=rules, mcp=McpSpec(servers=(VERSIONED,)))
        self.policy = authz.build(snapshot, worker.tools)
        self.records = worker.records
        self._make = make_exchange

    def exchange(self, call: McpCall, who: Principal = ALICE, *headers: tuple[bytes, bytes], **kw: Any) -> Any:
        exchange = self._make(*headers, principal=who, **{"listener": "tools", **kw})
        exchange.mcp = call
        return exchange

    def refused(self, call: McpCall, who: Principal = ALICE, *headers: tuple[bytes, bytes], **kw: Any) -> str | None:
        """None when it passes, else the policy."""
        exchange = self.exchange(call, who, *headers, **kw)
        try:
            self.policy.check_mcp(exchange)
        except CallError:
            return str(exchange.policy)
        return None

    def passes(self, call: McpCall, who: Principal = ALICE, **kw: Any) -> bool:
        return self.refused(call, who, **kw) is None

    def lists(self, call: McpCall, who: Principal = ALICE) -> bool:
        before = len(self.records)
        possible = self.policy.permits_mcp(self.exchange(call, who), call)
        assert len(self.records) == before
        return bool(possible)


@pytest.fixture
def court(worker: Any, make_exchange: Any) -> Any:
    return lambda *rules: Court(worker, make_exchange, rules)


# Levels


def test_without_rules_every_authenticated_caller_may(court: Any) -> None:
    assert all(court().passes(call) for call in (tool(), prompt(), resource("file:///a"), server("initialize")))


@pytest.mark.parametrize("level", ["global", "listener:tools", "server:default", "target:files"])
def test_a_level_that_has_rules_must_allow(court: Any, level: str) -> None:
    assert court(allow(level=level)).passes(tool())
    assert not court(allow(level=level, match=MatchSpec(users=("bob",)))).passes(tool())
    assert not court(deny(level=level, match=MatchSpec(users=("bob",)))).passes(tool())
    assert court(allow(level=level), deny("d", level=level)).refused(tool()) == "d"


@pytest.mark.parametrize("level", ["listener:llm", "server:other", "target:time"])
def test_the_level_of_something_else_is_not_asked(court: Any, level: str) -> None:
    assert court(deny(level=level)).passes(tool())


def test_all_levels_must_agree(court: Any) -> None:
    rules = [allow(str(i), level=level) for i, level in enumerate(("global", "listener:tools", "server:default"))]
    assert court(*rules, allow("t", level="target:files")).passes(tool())
    assert court(*rules, deny("t", level="target:files")).refused(tool()) == "t"
    assert court(*rules, deny("t", level="target:files")).passes(tool("clock", "time/now"))


def test_rules_in_audit_mode_decide_nothing_and_are_recorded(court: Any) -> None:
    judged = court(allow(), deny("trial", mode="audit", resources=("tool:fs__read",)))
    assert judged.passes(tool())
    (record,) = judged.records
    assert (record.outcome, record.policy, record.resource) == ("would_deny", "trial", "tool:fs__read")
    assert judged.passes(tool("fs__list", "files/list"))
    assert len(judged.records) == 1
    assert judged.lists(tool())


# Kinds


def test_a_rule_for_models_is_not_for_tools_but_its_level_counts(court: Any) -> None:
    for rule in (
        allow(resources=("model:*",)),
        allow(match=MatchSpec(models=("*",))),
        allow(when='call.model != "x"'),
        allow(when="call.input_tokens < 10"),
    ):
        assert court(rule).refused(tool()) == ""
        assert court(rule).refused(server("initialize")) == ""
        denied = AuthzRule(name="d", action="deny", match=rule.match, resources=rule.resources, when=rule.when)
        assert court(allow(), denied).passes(tool())


async def test_a_rule_for_tools_is_not_for_models(worker: Any, make_exchange: Any, run: Any) -> None:
    call = ModelCall(operation="chat", dialect="openai_chat", model="gpt", body=b"", entry="gpt", upstream_model="gpt")

    async def judged(*rules: AuthzRule) -> CallError | None:
        policy = authz.build(Snapshot(version="v", authorization=rules), worker.tools)
        return await run(policy, make_exchange(principal=ALICE, call=call))  # type: ignore[no-any-return]

    for when in ('call.tool == "x"', 'call.server == "x"', 'call.method != "x"', 'call.arguments.a == "b"'):
        assert await judged(allow(), deny(when=when)) is None, when
        assert await judged(allow(when=when)) is not None, when


@pytest.mark.parametrize(
    ("when", "kinds"),
    [
        ('call.tool != "x"', "t"),
        ('call.target_tool != "x"', "t"),
        ('call.prompt != "x"', "p"),
        ('call.resource != "x"', "r"),
        ("size(call.arguments) < 9", "tp"),
        ('call.server != "x"', "tprs"),
        ('call.target != "x"', "tpr"),
        ('call.method != "x"', "tprs"),
        ('call.version >= "2025-03-26"', "tprs"),
        ('call.kind == "tool"', "t"),
        ('principal.user == "alice"', "tprs"),
        ('request.path != ""', "tprs"),
    ],
)
def test_an_expression_is_for_the_kinds_that_have_what_it_reads(court: Any, when: str, kinds: str) -> None:
    calls = {"t": tool(), "p": prompt(), "r": resource("file:///a"), "s": server()}
    denying = court(allow(), deny(when=when))
    assert {kind for kind, call in calls.items() if not denying.passes(call)} == set(kinds)
    allowing = court(allow(when=when))
    # Where some call could be allowed, its server must let itself be asked what there is.
    assert {kind for kind, call in calls.items() if allowing.passes(call)} == {*kinds, "s"}


@pytest.mark.parametrize(
    "rule",
    [
        deny(resources=("tool:x",), when='call.prompt == "x"'),
        deny(resources=("tool:x",), when='call.model == "x"'),
        deny(match=MatchSpec(models=("x",), tools=("x",))),
        deny(resources=("model:x",), match=MatchSpec(servers=("x",))),
        deny(resources=("resource:x",), match=MatchSpec(tools=("x",))),
        deny(resources=("sorts:x",)),
    ],
)
def test_a_rule_that_no_call_can_meet_is_refused_and_not_ignored(court: Any, rule: AuthzRule) -> None:
    with pytest.raises(ValueError, match=r"'deny'.*kinds of calls"):
        court(rule)


def test_an_expression_over_two_kinds_is_refused(court: Any) -> None:
    with pytest.raises(ValueError, match=r"'deny'.*one rule for each kind"):
        court(deny(when='call.tool == "a" || call.prompt == "b"'))


# Names


def test_the_names_of_a_tool(court: Any) -> None:
    for pattern in ("fs__read", "fs__*", "*", "files/read_file", "files/*", "*/read_file"):
        assert court(allow(resources=(f"tool:{pattern}",))).passes(tool()), pattern
        assert court(allow(match=MatchSpec(tools=(pattern,)))).passes(tool()), pattern
        assert not court(allow(), deny(resources=(f"tool:{pattern}",))).passes(tool()), pattern
    for pattern in (
        "FS__READ",
        "fs__rea",
        "s__read",
        "read_file",
        "files",
        "fs__read ",
        "time/read_file",
        "files/read",
    ):
        assert not court(allow(resources=(f"tool:{pattern}",))).passes(tool()), pattern
        assert court(allow(), deny(resources=(f"tool:{pattern}",))).passes(tool()), pattern


def test_a_rename_disarms_no_deny_in_stable_names(court: Any) -> None:
    judged = court(allow(), deny("d", resources=("tool:files/delete*",)), deny("e", when='call.target_tool == "wipe"'))
    for name in ("fs__delete", "tidy", "DELETE"):
        assert judged.refused(tool(name, "files/delete_all")) == "d"
        assert judged.refused(tool(name, "files/wipe")) == "e"
        assert judged.passes(tool(name, "files/list"))


def test_a_target_cannot_take_the_stable_name_of_anothers_tool(court: Any) -> None:
    judged = court(allow(resources=("tool:files/read_file",)))
    assert not judged.passes(tool("files/read_file", "evil/files/read_file"))
    assert not judged.passes(tool("files/read_file", "evil/x"))
    # Nor does a target whose own name looks like the beginning of a tool's.
    assert not court(allow(resources=("tool:fs*",))).passes(tool("admin__drop", "fsadmin/drop"))


def test_a_version_is_a_form_of_its_tool(court: Any) -> None:
    one, two = tool("find", "files/find_old"), tool("find@2", "files/find_new")
    assert court(allow(resources=("tool:find",))).passes(two)
    assert court(allow(when='call.tool == "find"')).passes(two)
    assert not court(allow(when='call.tool != "find"')).passes(two)
    assert not court(allow(), deny(resources=("tool:find",))).passes(two)
    assert not court(allow(), deny(when='call.tool == "find"')).passes(two)
    only_two = court(allow(), deny(resources=("tool:find@2",)))
    assert only_two.passes(one)
    assert not only_two.passes(two)
    # What merely looks like a version is a name of its own.
    assert not court(allow(resources=("tool:fs__read",))).passes(tool("fs__read@x", "evil/read@x"))


def test_names_are_of_their_kind(court: Any) -> None:
    judged = court(allow(resources=("tool:same",)))
    assert judged.passes(tool("same"))
    assert not judged.passes(prompt("same"))
    assert not judged.passes(resource("same"))
    judged = court(allow(), deny(resources=("prompt:same", "resource:file:///etc/*")))
    assert judged.passes(tool("same"))
    assert not judged.passes(prompt("same"))
    assert judged.passes(prompt("other"))


def test_a_match_of_servers_and_targets(court: Any) -> None:
    judged = court(allow(match=MatchSpec(servers=("def*",), targets=("files", "time"))))
    assert judged.passes(tool())
    assert judged.passes(resource("file:///a"))
    assert not judged.passes(tool(stable="mail/send"))
    assert not judged.passes(tool(server="other"))
    assert judged.passes(server())
    assert not judged.passes(server(name="other"))


def test_a_server_as_a_resource_covers_all_that_is_on_it(court: Any) -> None:
    calls = [tool(), prompt(), resource("file:///a"), server(), server("initialize")]
    opened, closed = court(allow(resources=("server:default",))), court(allow(), deny(resources=("server:def*",)))
    either = court(allow(resources=("server:other", "tool:fs__read")))
    for call in calls:
        assert opened.passes(call)
        assert opened.lists(call)
        assert not closed.passes(call)
        assert not closed.lists(call)
        assert either.passes(call) is (call.kind in {"tool", "server"})
    assert not opened.passes(tool(server="other"))
    assert closed.passes(tool(server="other"))


@pytest.mark.parametrize(
    "uri",
    [
        "file:///data/../etc/passwd",
        "file:///data/%2e%2e/etc/passwd",
        "file:///data/%2E%2e%2Fetc/passwd",
        "file:///data/%252e%252e/etc/passwd",
        "file:///data\\..\\..\\etc/passwd",
        "file:///data/x?/../../etc/passwd",
        "file:///data/%25252525252e%2e/etc/passwd",
        "file:///data/a/./../../etc/passwd",
    ],
)
def test_no_spelling_of_a_uri_leads_out_of_what_is_allowed(court: Any, uri: str) -> None:
    assert not court(allow(resources=("resource:file:///data/*",))).passes(resource(uri))
    assert court(allow(resources=("resource:*",))).passes(resource(uri))
    assert court(allow()).passes(resource(uri))


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "file:///data/../etc/passwd",
        "file:///%65tc/passwd",
        "file:///./etc/passwd",
        "file:///data/%252e%252e/etc/passwd",
        "file:///%25252525252525",
    ],
)
def test_no_spelling_of_a_uri_leads_around_a_deny(court: Any, uri: str) -> None:
    denied = court(allow(), deny(resources=("resource:file:///etc/*",)))
    assert not denied.passes(resource(uri))
    assert not denied.passes(resource(f"files+{uri}", uri))
    assert court(allow(), deny(resources=("resource:FILE:///etc/*",))).refused(resource("file:///etc/a")) == "deny"


def test_the_uris_of_a_resource(court: Any) -> None:
    seen, own = "files+file:///data/a b", "file:///data/a b"
    for pattern in ("files+file:///data/*", "file:///data/a b", "*"):
        assert court(allow(resources=(f"resource:{pattern}",))).passes(resource(seen, own)), pattern
    assert court(allow(resources=("resource:memo://Team/*",))).passes(resource("memo://Team/Notes%20x"))
    assert not court(allow(resources=("resource:memo://team/*",))).passes(resource("memo://Team/x"))


# Arguments


def test_arguments_decide(court: Any) -> None:
    judged = court(allow(when='call.tool == "fs__read" && under(call.arguments.path, "/data")'))
    for path in ("/data", "/data/x", "/data/./a//b", "/x/../data/y"):
        assert judged.passes(tool(arguments={"path": path})), path
    for path in (
        "/data/../etc",
        "/database",
        "/DATA/x",
        "data/x",
        "",
        "/data/%2e%2e/etc",
        "/data\\..\\x",
        3,
        None,
        ["/data"],
    ):
        assert not judged.passes(tool(arguments={"path": path})), path
    assert not judged.passes(tool(arguments={}))
    assert not judged.passes(tool("fs__list", "files/list", arguments={"path": "/data"}))
    assert judged.policy.reads_arguments
    assert not court(allow(when='call.tool == "x"')).policy.reads_arguments


def test_a_deny_that_cannot_read_its_argument_denies(court: Any) -> None:
    judged = court(allow(), deny("d", when='call.tool == "fs__read" && !under(call.arguments.path, "/data")'))
    assert judged.passes(tool(arguments={"path": "/data/x"}))
    for arguments in ({}, {"path": 3}, {"path": "/data/a\0b"}, {"path": "/etc"}):
        assert judged.refused(tool(arguments=arguments)) == "d"
    assert judged.passes(tool("fs__list", "files/list", arguments={"path": 3}))


def test_arguments_that_nobody_parsed_count_against_the_caller(court: Any) -> None:
    call = tool()
    call.arguments = None
    assert not court(allow(when="size(call.arguments) < 9")).passes(call)
    assert not court(allow(), deny(when="size(call.arguments) > 9")).passes(call)


def test_one_decision_serves_calls_with_different_arguments(court: Any) -> None:
    judged = court(allow(when="call.arguments.n < 10"))
    assert [judged.passes(tool(arguments={"n": n})) for n in (1, 10, 2, 11)] == [True, False, True, False]


def test_the_request_decides(court: Any) -> None:
    judged = court(allow(when='request.headers["x-team"] == "a"'))
    assert judged.refused(tool(), ALICE, (b"x-team", b"a")) is None
    assert judged.refused(tool(), ALICE, (b"x-team", b"b")) == ""
    assert judged.lists(tool())
    secret = court(allow(when='request.headers["mcp-session-id"] == "s"'))
    assert secret.refused(tool(), ALICE, (b"mcp-session-id", b"s")) == ""


# Servers, and lists


def test_a_server_can_be_asked_where_something_on_it_could_be_allowed(court: Any) -> None:
    for rule in (
        allow(resources=("tool:x",)),
        allow(when='call.arguments.a == "b"'),
        allow(when='call.tool == "x"'),
        allow(match=MatchSpec(targets=("files",))),
        allow(when='call.target == "files"'),
        allow(when='call.method == "tools/call"'),
        allow(when='request.headers["mcp-name"] == "x"'),
    ):
        assert court(rule).passes(server("initialize"))
        assert court(rule).passes(server("tools/list"))
    for rule in (
        allow(resources=("tool:x",), match=MatchSpec(users=("bob",))),
        allow(when='principal.user == "bob" && call.tool == "x"'),
        allow(when="principal.claims.level > 3"),
        allow(match=MatchSpec(servers=("other",), tools=("x",))),
    ):
        assert court(rule).refused(server("initialize")) == ""


def test_a_deny_is_judged_on_a_call_to_a_server_as_it_stands(court: Any) -> None:
    judged = court(allow(), deny(when='call.method == "logging/setLevel"'))
    assert judged.refused(server("logging/setLevel")) == "deny"
    assert judged.passes(server("tools/list"))
    assert court(allow(), deny(when='source.address == "192.0.2.7"')).refused(server()) == "deny"
    assert court(allow(), deny(when='source.address == "192.0.2.8"')).passes(server())
    assert court(allow(), deny(when='call.target == "files"')).passes(server())
    assert court(allow(), deny(resources=("tool:*",))).passes(server())


def test_lists_show_what_some_arguments_could_allow(court: Any) -> None:
    judged = court(
        allow(when='call.tool == "fs__read" && under(call.arguments.path, "/data")'),
        allow("bobs", match=MatchSpec(users=("bob",)), resources=("tool:mail__*",)),
        deny("d", when='call.tool == "fs__read" && call.arguments.path == "/data/secret"'),
        deny("e", resources=("tool:mail__delete",)),
    )
    assert judged.lists(tool())
    assert not judged.lists(tool("fs__list", "files/list"))
    assert not judged.lists(tool("mail__send", "mail/send"))
    assert judged.lists(tool("mail__send", "mail/send"), BOB)
    assert not judged.lists(tool("mail__delete", "mail/delete"), BOB)


def test_a_list_judges_the_calls_that_will_follow(court: Any) -> None:
    judged = court(allow(when='call.method == "tools/call"'))
    assert judged.lists(tool(method="tools/list"))
    assert not judged.lists(prompt(method="prompts/list"))


def test_a_list_that_knows_no_version_hides_nothing_for_it(court: Any) -> None:
    judged = court(allow(when='call.version == "2026-07-28"'))
    assert not judged.lists(tool())
    assert judged.lists(tool(version=""))
    assert not judged.passes(tool(version=""))


def test_a_template_is_listed_for_what_it_may_stand_for(court: Any) -> None:
    templates = {text: resource(text, method="") for text in ("file:///{path}", "file:///data/{+name}", "note://{id}")}
    judged = court(allow(resources=("resource:file:///data/*",)))
    assert [judged.lists(call) for call in templates.values()] == [True, True, False]
    judged = court(allow(), deny(resources=("resource:file:///data/*",)))
    assert [judged.lists(call) for call in templates.values()] == [True, False, True]
    assert court(allow(when='call.resource == "file:///data/a"')).lists(templates["file:///{path}"])
    # A call is never read as a template: whoever wrote one would be judged by what it overlaps.
    assert not court(allow(resources=("resource:file:///data/*",))).passes(templates["file:///{path}"])
    assert not judged.lists(resource("file:///data/" + "{a}" * 9999, method=""))
    for method in ("resources/read", "resources/subscribe"):
        written = resource("file:///data/{a}/../../etc", method=method)
        assert not court(allow(resources=("resource:file:///data/*",))).lists(written)


# What is written down, and remembered


def test_a_refusal_says_why_in_the_record_only(court: Any) -> None:
    judged = court(allow(), deny("no-wipe", resources=("tool:files/wipe",)))
    exchange = judged.exchange(tool("tidy", "files/wipe", arguments={"token": "hunter2"}))
    with pytest.raises(CallError) as caught:
        judged.policy.check_mcp(exchange)
    assert caught.value.reason is Reason.FORBIDDEN
    assert "no-wipe" not in caught.value.detail
    assert exchange.policy == "no-wipe"
    (record,) = judged.records
    assert (record.kind, record.outcome, record.resource, record.policy) == ("authz", "deny", "tool:tidy", "no-wipe")
    assert "files/wipe" in record.detail
    assert "hunter2" not in repr(record)
    judged.refused(tool("fs__read"), BOB)
    assert len(judged.records) == 1


def test_repeats_of_refused_resources_are_told_apart_by_target_only(court: Any) -> None:
    judged = court(deny())
    for number in range(3):
        judged.refused(resource(f"file:///{number}"))
    assert len({record.entry for record in judged.records}) == 1
    assert judged.refused(tool()) == "deny"
    assert len({record.entry for record in judged.records}) == 2


def test_callers_and_levels_are_remembered_apart(court: Any) -> None:
    judged = court(allow(match=MatchSpec(users=("alice",))), allow("l", level="listener:tools"), deny(level="server:b"))
    for _ in range(2):
        assert judged.passes(tool())
        assert not judged.passes(tool(), BOB)
        assert not judged.passes(tool(server="b"))
        assert judged.passes(tool(), listener="other")
    by_method = court(allow(), deny(when='call.method == "resources/subscribe"'))
    for _ in range(2):
        assert by_method.passes(resource("a:b"))
        assert not by_method.passes(resource("a:b", method="resources/subscribe"))


def test_the_memory_is_bounded(court: Any) -> None:
    judged = court(allow())
    memory = judged.policy._calls._memory
    assert judged.passes(resource("a:" + "x" * MAX_NAME_CHARS))
    assert not memory
    for number in range(REMEMBERED + 10):
        judged.passes(resource(f"a:{number}"))
    assert len(memory) == REMEMBERED


def test_a_known_call_that_passes_evaluates_nothing(court: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = court(allow(when='call.tool == "fs__read" || under(call.arguments.path, "/data")'))
    assert judged.passes(tool())
    monkeypatch.setattr("heddle.identity.cel.Expression.evaluate", None)
    assert judged.passes(tool(arguments={"path": "/etc"}))


def test_another_target_for_the_same_call_is_judged_and_not_recorded(court: Any) -> None:
    judged = court(allow(), allow("near", level="target:spare", when="call.arguments.n < 10"))
    for n, allowed in ((1, True), (11, False)):
        exchange = judged.exchange(tool(arguments={"n": n}))
        assert judged.policy.allows_mcp(exchange, tool(stable="spare/read_file")) is allowed
        assert judged.policy.allows_mcp(exchange, exchange.mcp)
    assert not judged.records


def test_a_model_call_is_none_of_its_business(court: Any, make_exchange: Any) -> None:
    court(deny()).policy.check_mcp(make_exchange(principal=ALICE))
