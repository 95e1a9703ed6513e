"""Which trace a message belongs to, and what its target is told of it."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from heddle.dataplane.mcp.tracing import adopt, passed
from heddle.model.principal import ANONYMOUS, Principal
from heddle.telemetry.trace import FIELDS, SpanContext, extract, fresh, inject_lines
from heddle.wire.jsonrpc import Message, decode

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
ALICE = Principal(tenant="dev", user="alice", key_id="k")


def message(**meta: Any) -> Message:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x", "_meta": meta}}
    return decode(json.dumps(asked).encode())


def exchange(trace: SpanContext | None = None, who: Principal = ALICE) -> Any:
    return SimpleNamespace(trace=trace or fresh(0.0), principal=who)


def told(made: Any, asked: Message) -> dict[str, Any]:
    return {name: json.loads(bytes(value)) for name, value in passed(made, asked.params).items()}


def test_a_message_names_its_trace() -> None:
    made = exchange()
    adopt(made, message(traceparent=f"00-{TRACE}-{SPAN}-01", tracestate="rojo=1"))
    assert (made.trace.trace_id, made.trace.parent_id, made.trace.state) == (TRACE, SPAN, "rojo=1")
    assert made.trace.sampled
    assert made.trace.span_id != SPAN


def test_http_fields_come_first() -> None:
    given = extract({b"traceparent": f"00-{'a' * 32}-{SPAN}-00".encode()}.get)
    made = exchange(given)
    adopt(made, message(traceparent=f"00-{TRACE}-{SPAN}-01"))
    assert made.trace is given


@pytest.mark.parametrize("own", [True, False])
def test_a_stranger_does_not_decide_what_is_recorded(own: bool) -> None:
    made = exchange(fresh(1.0 if own else 0.0), ANONYMOUS)
    adopt(made, message(traceparent=f"00-{TRACE}-{SPAN}-0{int(not own)}"))
    assert (made.trace.trace_id, made.trace.sampled) == (TRACE, own)


@pytest.mark.parametrize(
    "odd", [7, None, "", "x" * 10_000, f"00-{TRACE}-{SPAN}-01\r\nx: y", f"00-{'0' * 32}-{SPAN}-01", ["00"], "\u2028"]
)
def test_what_is_no_context_is_as_good_as_none_and_goes_no_further(odd: Any) -> None:
    made = exchange()
    before = made.trace
    adopt(made, message(traceparent=odd, tracestate=odd))
    assert made.trace is before
    assert told(made, message(traceparent=odd, tracestate=odd)) == {
        "traceparent": f"00-{before.trace_id}-{before.span_id}-00"
    }


def test_a_target_is_told_the_same_span_in_the_message_and_in_fields() -> None:
    made = exchange()
    asked = message(traceparent=f"00-{TRACE}-{SPAN}-01", tracestate="rojo=1", baggage="a=b", own=[1])
    adopt(made, asked)
    said = told(made, asked)
    lines = inject_lines(made.trace, ("w3c",), begun=True)
    assert f"traceparent: {said['traceparent']}".encode() in lines
    assert said["traceparent"] == f"00-{TRACE}-{made.trace.upstream_id}-01"
    assert made.trace.upstream_id not in (SPAN, made.trace.span_id)
    assert {name: said[name] for name in ("tracestate", "baggage", "own")} == {
        "tracestate": "rojo=1", "baggage": "a=b", "own": [1],
    }  # fmt: skip
    assert b"traceparent" in FIELDS


def test_without_a_trace_nothing_is_added() -> None:
    assert told(exchange(), message(own=1)) == {"own": 1}
    assert "traceparent" in told(exchange(fresh(1.0)), message(own=1))
