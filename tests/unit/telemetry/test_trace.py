"""Trace context, with OpenTelemetry's own propagators as the oracle."""

import os
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace as otel
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from heddle.telemetry import trace
from heddle.telemetry.trace import SpanContext, distrust, extract, fresh, inject

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"

HEX = "0123456789abcdef"
_hex = st.text(alphabet=HEX, min_size=0, max_size=34)
_nearly_traceparent = st.builds(
    lambda version, trace_id, span_id, flags, rest: f"{version}-{trace_id}-{span_id}-{flags}{rest}",
    st.sampled_from(["00", "01", "cc", "ff", "0", "0A", ""]),
    st.one_of(st.just(TRACE), st.just("0" * 32), st.just(TRACE.upper()), _hex),
    st.one_of(st.just(SPAN), st.just("0" * 16), st.just(SPAN.upper()), _hex),
    st.sampled_from(["00", "01", "02", "03", "ff", "1", "0g", ""]),
    st.sampled_from(["", "-", "-extra", "extra", " "]),
)
_garbage = st.text(alphabet=st.characters(min_codepoint=0, max_codepoint=255), max_size=80)


def _read(headers: Mapping[str, str], propagation: tuple[str, ...] = ("w3c", "b3"), ratio: float = 0.0) -> SpanContext:
    fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return extract(dict(fields).get, propagation, ratio, fields)


def _oracle(propagator: object, headers: Mapping[str, str]) -> otel.SpanContext:
    return otel.get_current_span(propagator.extract(dict(headers))).get_span_context()  # type: ignore[attr-defined]


@given(st.one_of(_nearly_traceparent, _garbage))
def test_traceparent_is_read_as_the_sdk_reads_it(value: str) -> None:
    ours = _read({"traceparent": value}, ("w3c",))
    theirs = _oracle(TraceContextTextMapPropagator(), {"traceparent": value})
    # Where the SDK is laxer than the specification (blanks around, text without `-` after the flags), the latter holds.
    strict = trace._TRACEPARENT.fullmatch(value.encode("latin-1", "replace")) is not None
    if theirs.is_valid and strict and not (value.startswith("00") and len(value) != 55):
        assert (ours.trace_id, ours.parent_id) == (f"{theirs.trace_id:032x}", f"{theirs.span_id:016x}")
        assert ours.sampled == bool(theirs.trace_flags & 1)
    else:
        assert ours.parent_id == ""


@pytest.mark.parametrize(
    "value",
    [
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-extra",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01extra",
        f"{VALID}\n",
        VALID * 1000,
        "",
    ],
)
def test_an_invalid_traceparent_is_as_good_as_none(value: str) -> None:
    context = _read({"traceparent": value})
    assert context.parent_id == ""
    assert context.trace_id != TRACE


def test_versions_of_the_future_are_read_as_far_as_they_are_known() -> None:
    for value in (f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"):
        context = _read({"traceparent": value})
        assert (context.trace_id, context.parent_id, context.sampled) == (TRACE, SPAN, True)


def test_a_repeated_traceparent_starts_a_new_trace() -> None:
    fields = [(b"traceparent", VALID.encode()), (b"traceparent", VALID.replace("4b", "5b").encode())]
    assert extract(dict(fields).get, ("w3c",), 0.0, fields).parent_id == ""


def test_repeated_tracestate_is_one_list() -> None:
    fields = [(b"traceparent", VALID.encode()), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    assert extract(dict(fields).get, ("w3c",), 0.0, fields).state == "a=1,b=2"


@pytest.mark.parametrize(
    ("given_state", "kept"),
    [
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        (" rojo=1 ,\t, congo=2", "rojo=1,congo=2"),
        ("t@v=1", "t@v=1"),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("a=\x07", ""),
        ("a=é", ""),
        ("a", ""),
        (",".join(f"k{n}=v" for n in range(33)), ""),
        ("x" * 100_000, ""),
    ],
)
def test_tracestate_travels_whole_or_not_at_all(given_state: str, kept: str) -> None:
    assert _read({"traceparent": VALID, "tracestate": given_state}).state == kept


def test_tracestate_is_bounded_and_never_cut_inside_an_entry() -> None:
    entries = [f"big={'x' * 200}"] + [f"k{n}={'y' * 40}" for n in range(20)]
    state = _read({"traceparent": VALID, "tracestate": ",".join(entries)}).state
    assert 400 < len(state) <= trace.MAX_STATE_CHARS
    assert set(state.split(",")) < set(entries[1:])


@given(
    st.sampled_from([TRACE, TRACE[16:], TRACE.upper(), "0" * 32, "xyz", ""]),
    st.sampled_from([SPAN, SPAN.upper(), "0" * 16, "12"]),
    st.sampled_from(["", "-1", "-0", "-d", "-x", "-1-00f067aa0ba90200"]),
)
def test_b3_single_is_read_as_the_propagator_reads_it(trace_id: str, span_id: str, rest: str) -> None:
    headers = {"b3": f"{trace_id}-{span_id}{rest}"}
    ours, theirs = _read(headers), _oracle(B3SingleFormat(), headers)
    if ours.parent_id:
        assert (ours.trace_id, ours.parent_id) == (f"{theirs.trace_id:032x}", f"{theirs.span_id:016x}")
        # No decision means that it is deferred to us; the propagator takes it for a yes.
        assert ours.sampled == (bool(rest) and bool(theirs.trace_flags & 1))
    else:  # ours is stricter: a malformed decision voids the header
        assert not theirs.is_valid or rest == "-x"


@given(
    st.sampled_from([TRACE, TRACE[16:], "0" * 32, "xyz", None]),
    st.sampled_from([SPAN, "0" * 16, "12", None]),
    st.sampled_from(["1", "0", "true", "false", None]),
    st.sampled_from(["1", "0", None]),
)
def test_b3_multi_is_read_as_the_propagator_reads_it(
    trace_id: str | None, span_id: str | None, sampled: str | None, flags: str | None
) -> None:
    headers = {"x-b3-traceid": trace_id, "x-b3-spanid": span_id, "x-b3-sampled": sampled, "x-b3-flags": flags}
    present = {name: value for name, value in headers.items() if value is not None}
    ours, theirs = _read(present), _oracle(B3MultiFormat(), present)
    assert bool(ours.parent_id) == theirs.is_valid
    if theirs.is_valid:
        assert (ours.trace_id, ours.parent_id) == (f"{theirs.trace_id:032x}", f"{theirs.span_id:016x}")
        assert ours.sampled == bool(theirs.trace_flags & 1)


def test_w3c_is_preferred_and_b3_read_where_it_is_broken() -> None:
    b3 = f"{TRACE[::-1]}-{SPAN}-0"
    assert _read({"traceparent": VALID, "b3": b3}).trace_id == TRACE
    assert _read({"traceparent": "00-broken", "b3": b3}).trace_id == TRACE[::-1]
    assert _read({"traceparent": VALID, "b3": b3}, ("b3",)).trace_id == TRACE[::-1]
    assert _read({"traceparent": VALID, "b3": b3}, ()).parent_id == ""


@pytest.mark.parametrize(
    ("headers", "sampled"), [({"b3": "0"}, False), ({"b3": "1"}, True), ({"x-b3-sampled": "0"}, False)]
)
def test_a_decision_without_a_trace_holds_for_the_new_one(headers: dict[str, str], sampled: bool) -> None:
    assert _read(headers, ratio=0.0 if sampled else 1.0).sampled is sampled


def test_the_callers_decision_wins_over_the_ratio() -> None:
    assert _read({"traceparent": VALID}, ratio=0.0).sampled
    assert not _read({"traceparent": VALID[:-1] + "0"}, ratio=1.0).sampled


@given(st.integers(min_value=1, max_value=(1 << 128) - 1), st.floats(min_value=0.0, max_value=1.0))
def test_the_ratio_keeps_the_traces_that_an_sdk_keeps(number: int, ratio: float) -> None:
    theirs = TraceIdRatioBased(ratio).should_sample(None, number, "x").decision.is_sampled()
    headers = {"b3": f"{number:032x}-{SPAN}"}
    assert _read(headers, ratio=ratio).sampled == theirs


def test_new_traces_follow_the_ratio() -> None:
    share = sum(fresh(0.2).sampled for _ in range(20_000)) / 20_000
    assert 0.18 < share < 0.22
    assert not any(fresh(0.0).sampled for _ in range(1000))
    assert all(fresh(1.0).sampled for _ in range(1000))


def test_what_is_injected_is_what_others_read() -> None:
    for context in (fresh(1.0), fresh(0.0), _read({"traceparent": VALID, "tracestate": "a=1"})):
        fields: list[tuple[bytes, bytes]] = []
        inject(context, fields)
        headers = {name.decode(): value.decode() for name, value in fields}
        for propagator in (TraceContextTextMapPropagator(), B3SingleFormat()):
            theirs = _oracle(propagator, headers)
            assert f"{theirs.trace_id:032x}" == context.trace_id
            assert f"{theirs.span_id:016x}" == (context.upstream_id or context.span_id)
            assert bool(theirs.trace_flags & 1) == context.sampled
        assert headers.get("tracestate", "") == context.state
        assert {name for name, _ in fields} <= trace.FIELDS


def test_each_attempt_of_a_sampled_call_is_a_span_of_its_own() -> None:
    context = fresh(1.0)
    seen = set()
    for _ in range(3):
        fields: list[tuple[bytes, bytes]] = []
        inject(context, fields, ("w3c",))
        assert context.upstream_id in fields[0][1].decode()
        seen.add(context.upstream_id)
    assert len(seen) == 3
    assert context.span_id not in seen


def test_ids_differ_after_a_fork() -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, fresh().trace_id.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 64).decode() != fresh().trace_id
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, None),
        ({b"traceparent": b"00-" + b"1" * 32 + b"-00f067aa0ba902b7-01"}, True),
        ({b"traceparent": b"00-" + b"1" * 32 + b"-00f067aa0ba902b7-00"}, False),
        ({b"b3": b"0"}, False),
        ({b"b3": b"1"}, True),
        ({b"b3": b"1" * 32 + b"-00f067aa0ba902b7"}, False),
    ],
)
def test_whose_decision_it_is_can_be_told(fields: dict[bytes, bytes], wanted: bool | None) -> None:
    """Without a flag the trace id decides, and that is the caller's choice too."""
    assert extract(fields.get, ratio=0.0).wanted is wanted


def test_of_strangers_the_share_is_by_an_id_they_do_not_choose() -> None:
    taken = 0
    for _ in range(2_000):
        context = extract({b"traceparent": b"00-" + b"1" + b"0" * 31 + b"-00f067aa0ba902b7-01"}.get)
        distrust(context, 0.25)
        taken += context.sampled
    assert 350 < taken < 650
