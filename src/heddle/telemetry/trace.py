"""Trace context: which trace a call belongs to, whether it is recorded, and the headers that say so.

Owns reading and writing of `traceparent`, `tracestate` and both B3 forms. It records nothing and never
fails: a header that does not parse is as good as absent, because a trace must not decide a call.
*Source:* W3C Trace Context level 1 (Recommendation, 2021-11), sections 3.2 and 3.3; openzipkin/b3-propagation;
OpenTelemetry specification, "TraceIdRatioBased".
"""

import os
import random
import re
from collections.abc import Callable, Sequence
from typing import Final

HeaderGetter = Callable[[bytes], bytes | None]
"""Lower-case field name -> value, or None: `Request.header`."""

FIELDS: Final = frozenset(
    b"traceparent tracestate b3 x-b3-traceid x-b3-spanid x-b3-parentspanid x-b3-sampled x-b3-flags".split()
)
"""Fields that `inject` replaces; whoever forwards a caller's headers drops these first."""

MAX_STATE_CHARS: Final = 512

_SPACE: Final = float(1 << 64)
_LOW: Final = (1 << 64) - 1
_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_B3: Final = re.compile(rb"([0-9a-fA-F]{32}|[0-9a-fA-F]{16})-([0-9a-fA-F]{16})(?:-([01d])(?:-[0-9a-fA-F]{16})?)?")
_B3_TRACE: Final = re.compile(rb"[0-9a-fA-F]{32}|[0-9a-fA-F]{16}")
_B3_SPAN: Final = re.compile(rb"[0-9a-fA-F]{16}")
_B3_SAMPLED: Final = {b"1": True, b"d": True, b"true": True, b"0": False, b"false": False}
# Section 3.3.1.3: key, or tenant@system; the value is printable ASCII without `,` and `=`, not ending in a space.
_MEMBER: Final = re.compile(
    r"((?:[a-z][a-z0-9_*/-]{0,255})|(?:[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}))"
    r"=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_hex48, _hex16 = "%048x", "%016x"  # half the price of an f-string
_NO_TRACE: Final = b"0" * 32
_NO_SPAN: Final = b"0" * 16

# Ids are unique, not secret: a Mersenne twister seeded by the system costs a tenth of os.urandom per call.
_random: Final = random.Random()  # noqa: S311
_bits: Final = _random.getrandbits
os.register_at_fork(after_in_child=_random.seed)


class SpanContext:
    """The place of one call in a trace."""

    __slots__ = ("parent_id", "sampled", "span_id", "state", "trace_id", "upstream_id", "wanted")

    def __init__(
        self,
        trace_id: str,
        span_id: str,
        parent_id: str = "",
        sampled: bool = False,
        state: str = "",
        wanted: bool | None = None,
    ) -> None:
        self.trace_id = trace_id
        """32 lower-case hex digits."""
        self.span_id = span_id
        """This gateway's span: 16 lower-case hex digits."""
        self.parent_id = parent_id
        """The caller's span; empty for a root."""
        self.sampled = sampled
        self.state = state
        """`tracestate` as received, at most 512 characters."""
        self.wanted = wanted
        """The caller's own decision to record; None when it has none. It counts once it is known who the caller is."""
        self.upstream_id = ""
        """Id of the client span of the last upstream attempt: `inject` sets it on sampled calls."""

    def __repr__(self) -> str:
        return f"SpanContext({self.trace_id}-{self.span_id}, sampled={self.sampled})"


def fresh(ratio: float = 1.0) -> SpanContext:
    """A new root; `ratio` is the share of traces that are recorded, decided by the trace id."""
    number = _bits(192)
    digits = _hex48 % number
    # An id of all zeros is invalid, and would come once in 2^64 spans.
    return SpanContext(digits[16:], digits[:16], "", (number & _LOW) < ratio * _SPACE)


def extract(
    header: HeaderGetter,
    propagation: tuple[str, ...] = ("w3c", "b3"),
    ratio: float = 1.0,
    fields: Sequence[tuple[bytes, bytes]] = (),
) -> SpanContext:
    """The context a call arrives with, or a new root when its headers carry none that is valid.

    W3C is read first, then B3 single, then B3 multi, as far as `propagation` (`w3c`, `b3`) names them. The
    caller's sampling decision wins; without one `ratio` decides. `fields`, all header fields in order, lets
    repeated ones be seen: two `traceparent` void each other, several `tracestate` are joined.
    """
    if "w3c" in propagation:
        value = header(b"traceparent")
        if value is not None:
            context = _from_w3c(value, header, fields)
            if context is not None:
                return context
    if "b3" in propagation:
        value = header(b"b3")
        context = _from_b3(value, ratio) if value is not None else None
        if context is None and (header(b"x-b3-traceid") or header(b"x-b3-sampled")):
            context = _from_b3_multi(header, ratio)
        if context is not None:
            return context
    return fresh(ratio)


def beside(context: SpanContext) -> SpanContext:
    """The place of another call that came with the same caller's span: of several messages in one request."""
    at = context
    return SpanContext(at.trace_id, _hex16 % _bits(64), at.parent_id, at.sampled, at.state, at.wanted)


def distrust(context: SpanContext, ratio: float) -> None:
    """Decide anew by `ratio`, until the caller has proven who it is: strangers must not choose what is recorded.

    By our own random id: the trace's is the caller's choice too.
    """
    context.sampled = int(context.span_id, 16) < ratio * _SPACE


def inject(
    context: SpanContext, headers: list[tuple[bytes, bytes]], propagation: tuple[str, ...] = ("w3c", "b3")
) -> None:
    """Append the fields that make the upstream's spans children of this call.

    Each injection into a sampled call begins a client span: it gets a new `upstream_id`, which the upstream sees.
    """
    if context.sampled:
        span_id = context.upstream_id = _hex16 % _bits(64)
        flags, b3 = "-01", "-1"
    else:
        span_id = context.span_id
        flags, b3 = "-00", "-0"
    if "w3c" in propagation:
        headers.append((b"traceparent", f"00-{context.trace_id}-{span_id}{flags}".encode()))
        if context.state:
            headers.append((b"tracestate", context.state.encode()))
    if "b3" in propagation:
        headers.append((b"b3", f"{context.trace_id}-{span_id}{b3}".encode()))


def begin_client(context: SpanContext) -> None:
    """Begin the client span of a call that names it in its message, before any header fields are written."""
    if context.sampled:
        context.upstream_id = _hex16 % _bits(64)


def traceparent(context: SpanContext) -> str:
    """The field's value, for a call whose client span has begun."""
    if context.sampled:
        return f"00-{context.trace_id}-{context.upstream_id}-01"
    return f"00-{context.trace_id}-{context.span_id}-00"


def inject_lines(context: SpanContext, propagation: tuple[str, ...], *, begun: bool = False) -> bytes:
    """What `inject` appends, as finished header lines, each with the line end before it.

    `begun`: a client span that began already is the one that is meant.
    """
    if context.sampled:
        if not (begun and context.upstream_id):
            begin_client(context)
        span_id, flag = context.upstream_id, 1
    else:
        span_id, flag = context.span_id, 0
    trace_id, lines = context.trace_id, ""
    if "w3c" in propagation:
        lines = f"\r\ntraceparent: 00-{trace_id}-{span_id}-0{flag}"
        if context.state:
            lines += f"\r\ntracestate: {context.state}"
    if "b3" in propagation:
        lines += f"\r\nb3: {trace_id}-{span_id}-{flag}"
    return lines.encode()


def _chosen(trace_id: str, ratio: float) -> bool:
    # The low 64 bits, as OpenTelemetry's SDKs do, so that every service with the same ratio keeps the same traces.
    return int(trace_id[16:], 16) < ratio * _SPACE


def _child(trace_id: str, parent_id: str, sampled: bool, state: str = "") -> SpanContext:
    return SpanContext(trace_id, _hex16 % _bits(64), parent_id, sampled, state, sampled)


def _from_w3c(value: bytes, header: HeaderGetter, fields: Sequence[tuple[bytes, bytes]]) -> SpanContext | None:
    found = _TRACEPARENT.fullmatch(value)
    if found is None:
        return None
    version, trace_id, parent_id, flags, rest = found.groups()
    # 3.2.2.1: version ff is forbidden. 3.2.2.2: version 00 ends after the flags; later ones may add `-...`.
    if version == b"ff" or (version == b"00" and rest is not None):
        return None
    if trace_id == _NO_TRACE or parent_id == _NO_SPAN:
        return None
    state = header(b"tracestate")
    if fields:
        if sum(name == b"traceparent" for name, _ in fields) > 1:
            return None  # 3.2: a repeated field is not a traceparent
        state = b",".join([text for name, text in fields if name == b"tracestate"])
    kept = _state(state.decode("latin-1")) if state else ""
    return _child(trace_id.decode(), parent_id.decode(), bool(int(flags, 16) & 1), kept)


def _state(text: str) -> str:
    """The list members that may travel on; "" when any is malformed (3.3.1: then the whole field is discarded)."""
    if len(text) > 8 * MAX_STATE_CHARS:
        return ""
    members = [member.strip(" \t") for member in text.split(",")]
    members = [member for member in members if member]
    keys = set()
    for member in members:
        found = _MEMBER.fullmatch(member)
        if found is None or found[1] in keys:
            return ""
        keys.add(found[1])
    if len(members) > 32:
        return ""
    # 3.3.1.5: entries over 128 characters go first, then those at the end; never half an entry.
    if len(",".join(members)) > MAX_STATE_CHARS:
        members = [member for member in members if len(member) <= 128]
    while len(kept := ",".join(members)) > MAX_STATE_CHARS:
        members.pop()
    return kept


def _from_b3(value: bytes, ratio: float) -> SpanContext | None:
    if value in _B3_SAMPLED:  # a decision without a trace
        return _decided(_B3_SAMPLED[value])
    found = _B3.fullmatch(value)
    if found is None:
        return None
    trace_id, span_id, sampled = found.groups()
    return _joined(trace_id, span_id, _B3_SAMPLED.get(sampled), ratio)


def _from_b3_multi(header: HeaderGetter, ratio: float) -> SpanContext | None:
    sampled = _B3_SAMPLED.get(header(b"x-b3-sampled") or b"")
    if header(b"x-b3-flags") == b"1":  # debug implies a decision to record
        sampled = True
    trace_id, span_id = header(b"x-b3-traceid"), header(b"x-b3-spanid")
    if trace_id is None and span_id is None and sampled is not None:
        return _decided(sampled)
    if not trace_id or not span_id or not _B3_TRACE.fullmatch(trace_id) or not _B3_SPAN.fullmatch(span_id):
        return None
    return _joined(trace_id, span_id, sampled, ratio)


def _decided(sampled: bool) -> SpanContext:
    context = fresh(0.0)
    context.sampled = context.wanted = sampled
    return context


def _joined(trace_id: bytes, span_id: bytes, sampled: bool | None, ratio: float) -> SpanContext | None:
    trace = trace_id.decode().lower().rjust(32, "0")
    parent = span_id.decode().lower()
    if int(trace, 16) == 0 or int(parent, 16) == 0:
        return None
    return _child(trace, parent, _chosen(trace, ratio) if sampled is None else sampled)
