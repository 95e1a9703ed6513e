"""Whatever a tool server says: what comes out is JSON of the same shape, without what was to be masked."""

import json
from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.guards.treatment import build as build_texts
from heddle.model.mcp import McpCall
from heddle.model.principal import ANONYMOUS
from heddle.model.snapshot import Snapshot
from heddle.model.snapshot_guards import GuardSpec
from heddle.pipeline.errors import CallError
from heddle.policies.guard import Guard
from heddle.policies.guard.mcp import McpWork
from heddle.telemetry.metrics import Metrics
from heddle.telemetry.trace import fresh
from heddle.wire.mcp.slots import _KEPT

MAIL = "joe@example.com"
SPEC = GuardSpec(name="g", recognisers=("email",), action="mask")
METRICS = Metrics.in_memory()
POLICY = Guard(
    Snapshot(version="v", guards=(SPEC,)),
    SimpleNamespace(  # type: ignore[arg-type]
        metrics=METRICS,
        audit=None,
        guards=lambda specs, tools: build_texts(specs, lambda spec: None),  # type: ignore[arg-type, return-value]
    ),
)

words = st.sampled_from(
    ["warp", "weft", MAIL, f"to {MAIL}.", '{"a":"b"}', f'{{"to":"{MAIL}"}}', "[1, 2", "", "\u2028é"]
)
members = st.sampled_from(
    ["content", "text", "type", "structuredContent", "data", "resource", "uri", "blob", "messages", "new", "_meta",
     "isError", "level", "inputRequests", "params", "requestState"]
)  # fmt: skip
leaves = (
    words
    | st.integers(-(10**20), 10**20)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(members | words, inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


def work(**params: Any) -> McpWork:
    exchange: Any = SimpleNamespace(principal=ANONYMOUS, policy="", source_address="", trace=fresh(0.0), guarded={})
    call = McpCall(method="tools/call", server="s", version="v", kind="tool", name="t", target="x", target_name="t")
    call.params = params
    made = POLICY.guard_mcp(exchange, call)
    assert made is not None
    return made


def read(value: Any) -> list[str]:
    """Every text of a result that is no name, place or proof, wherever it stands."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in read(item)]
    if not isinstance(value, dict):
        return []
    skipped = {*_KEPT, "data"} if value.get("type") in ("image", "audio") else _KEPT
    return [text for name, item in value.items() if isinstance(item, (dict, list)) or name not in skipped
            for text in read(item)]  # fmt: skip


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [shape(item) for item in value.values()]
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(members, trees, max_size=6))
async def test_nothing_is_left_and_nothing_else_changes(result: dict[str, Any]) -> None:
    raw = json.dumps(result).encode()
    treated = await work().result(raw)
    got = json.loads(treated)
    assert not [text for text in read(got) if MAIL in text]
    if MAIL not in json.dumps(result):
        assert treated == raw
    # Keys of values of the tool's own form may become one: elsewhere, everything stands where it stood.
    if MAIL not in "".join(key for key in keys(result)):
        assert shape(got) == shape(result)


def keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for item in value.values() for key in keys(item))]
    return [key for item in value for key in keys(item)] if isinstance(value, list) else []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | trees.map(json.dumps).map(str.encode))
async def test_garbage_is_refused_and_never_a_crash(data: bytes) -> None:
    for treat in (work().result, work().answered):
        try:
            passed = await treat(data)
        except CallError:
            continue
        json.loads(passed)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["notifications/progress", "notifications/message", "x"]), st.dictionaries(members, trees))
def test_what_is_said_in_between_is_searched_as_well(method: str, params: dict[str, Any]) -> None:
    said = work().said(method, {name: msgspec.Raw(json.dumps(value).encode()) for name, value in params.items()})
    got = {name: json.loads(bytes(value)) for name, value in (said or {}).items()}
    assert not [text for text in read(got) if MAIL in text]
