"""What is written down about calls: the access record of each, the audit record of each decision.

Owns the fields, their order and their encoding as one JSON line. Whatever a caller can choose is clipped and
escaped here, so no line can be forged, split, or made to move a terminal's cursor. It ships nothing: `spool` keeps
the lines, `drivers.sinks` sends them.
*Source:* RFC 8259 section 7 (string escapes); RFC 3339 section 5.6 (time); CWE-117.
"""

from collections.abc import Callable

import msgspec

from heddle.model.principal import ANONYMOUS, Principal

MAX_TEXT_CHARS = 256
"""Longest string of a caller that a record keeps."""
MAX_LISTED = 64
"""Most groups, and most changed fields, that a record keeps."""
MAX_BODY_CHARS = 65_536
"""Longest prompt or completion that a record keeps, where bodies are recorded at all."""


class AccessRecord(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One call, after it ended. Only what is known is written; times are milliseconds, tokens and bytes are counts."""

    time: str
    """When the call began, from `timestamp`."""
    trace_id: str = ""
    span_id: str = ""
    listener: str = ""
    operation: str = ""
    """`chat`, `embeddings`, `models`, a method of MCP such as `tools/call`, or `unknown`."""
    method: str = ""
    path: str = ""
    """Without the query, which may carry secrets."""
    status: int = 0
    """Status sent, or 499 when the caller had gone."""
    reason: str = ""
    """Value of `Reason`; empty when the call succeeded."""
    duration_ms: float = 0.0
    upstream_ms: float = 0.0
    """From sending the upstream request to the end of its answer."""
    ttft_ms: float = 0.0
    """From the start of the call to the first byte of the upstream's answer."""
    workload: str = ""
    user: str = ""
    tenant: str = ""
    agent: str = ""
    key_id: str = ""
    authn: str = ""
    """How the caller was authenticated: `Principal.method`."""
    source: str = ""
    """Address of the caller, after trusted proxies."""
    model: str = ""
    """As the caller wrote it."""
    model_entry: str = ""
    """The configured name that it matched."""
    upstream_model: str = ""
    provider: str = ""
    stream: bool = False
    cache: str = ""
    """`hit`, `miss` or `bypass`, where a cache was asked."""
    server: str = ""
    """The virtual MCP server."""
    target: str = ""
    """The tool server that answered for it."""
    tool: str = ""
    """As the caller wrote it."""
    target_tool: str = ""
    """What the target calls it: stable, whatever callers see."""
    prompt: str = ""
    """As the caller wrote it."""
    resource: str = ""
    """URI, as the caller wrote it."""
    tool_error: bool = False
    """The tool answered that it failed."""
    protocol_version: str = ""
    """Version of MCP that the caller speaks."""
    session: str = ""
    """Id of the MCP session; it opens nothing."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """The provider never reported usage: the tokens are counted from what was seen."""
    cost_usd: float | None = None
    """Absent when no price is known."""
    bytes_in: int = 0
    bytes_out: int = 0
    policy: str = ""
    """The policy or limit that decided, where one refused."""
    guards: str = ""
    """What guards found, as `guard:action:scope=times`; only where a span or bodies are recorded."""
    request_body: str | None = None
    """The prompt; only with `logging.bodies`."""
    response_body: str | None = None

    def __repr__(self) -> str:
        return f"AccessRecord({self.time}, trace_id={self.trace_id}, status={self.status})"


class AccessFacts(msgspec.Struct, omit_defaults=True, gc=False):
    """The fields of an access record that differ from call to call of one kind; all of the gateway's own making."""

    time: str
    trace_id: str
    span_id: str
    duration_ms: float
    upstream_ms: float = 0.0
    ttft_ms: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cost_usd: float | None = None
    session: str = ""


class AuditRecord(msgspec.Struct, kw_only=True):
    """One decision that somebody may have to answer for. `id` and `time` are filled in when it is written."""

    kind: str
    """`authn`, `authz`, `limit`, `guard`, `budget`, `ledger`, `config`, `admin`, `key`, `definition`, or `api`: a
    request of the resource API."""
    outcome: str
    """`allow`, `deny`, `would_deny` (a policy in audit mode), `applied`, `rejected`, or `error`; of a key
    what was done to it."""
    principal: Principal = ANONYMOUS
    """Whom it is about. Its claims are not written."""
    source: str = ""
    """Address of the caller, or the file a configuration came from."""
    resource: str = ""
    """What was asked for, e.g. `model:gpt-4o-mini`."""
    entry: str = ""
    """The configured name behind a `resource` that a caller chose; tells repeats apart, and is not written."""
    policy: str = ""
    """What decided: a rule, a limit, a kind of credential."""
    detail: str = ""
    groups: tuple[str, ...] = ()
    """Of a caller of the resource API."""
    verb: str = ""
    code: int = 0
    """Status that the resource API answered with; 0 elsewhere."""
    changes: tuple[str, ...] = ()
    """Paths of the fields that were changed, never their values."""
    trace_id: str = ""
    count: int = 1
    """How many equal decisions this line stands for; repeats of a refusal are written together."""
    time: str = ""
    id: str = ""


class _AuditLine(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """An audit record as it is written, flat so that every sink can index it."""

    time: str
    id: str
    audit: str
    outcome: str
    workload: str = ""
    user: str = ""
    tenant: str = ""
    agent: str = ""
    key_id: str = ""
    authn: str = ""
    source: str = ""
    resource: str = ""
    policy: str = ""
    detail: str = ""
    groups: tuple[str, ...] = ()
    verb: str = ""
    code: int = 0
    changes: tuple[str, ...] = ()
    trace_id: str = ""
    count: int = 1


_encode = msgspec.json.Encoder().encode
# Code points that JSON lets stand raw but that change what a reader sees: C1 controls (one is CSI), line separators
# and bidirectional overrides.
_UNSAFE_CODES = (*range(0x7F, 0xA0), 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_UNSAFE = {code: f"\\u{code:04x}" for code in _UNSAFE_CODES}
_WHO = ("workload", "user", "tenant", "agent", "key_id", "source")
_SUBJECTS = ("model", "upstream_model", "tool", "target_tool", "prompt", "resource")
_CALLERS_FIELDS = ("method", "path", *_SUBJECTS, *_WHO)
"""What of an access record a caller chose, or a tool server, or whoever issued the caller's credential."""


def clip(text: str, limit: int = MAX_TEXT_CHARS) -> str:
    """`text`, or its first `limit` characters with an ellipsis as the last."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def encode_access(record: AccessRecord) -> bytes:
    """The record as one JSON line with its newline. Clips the caller's strings in place."""
    bound(record)
    return _line(record)


def access_tail(record: AccessRecord) -> bytes:
    """The end of every line that has the fields of `record` and facts of its own; encoded once per kind of call."""
    record.time = ""
    return encode_access(record).removeprefix(b'{"time":""')


def bound(record: AccessRecord) -> None:
    """Clip, in place, every string that a caller chose."""
    limit = MAX_TEXT_CHARS
    who = len(record.user) > limit or len(record.agent) > limit
    what = len(record.path) > limit or len(record.model) > limit or len(record.tool) > limit
    if who or what or len(record.target_tool) > limit or len(record.resource) + len(record.prompt) > limit:
        _clip_access(record)
    if record.request_body is not None or record.response_body is not None:
        _clip_bodies(record)


def encode_audit(record: AuditRecord) -> bytes:
    """The record as one JSON line with its newline; the principal's claims stay out."""
    who = record.principal
    return _line(
        _AuditLine(
            time=record.time,
            id=record.id,
            audit=record.kind,
            outcome=record.outcome,
            workload=clip(who.workload),
            user=clip(who.user),
            tenant=clip(who.tenant),
            agent=clip(who.agent),
            key_id=clip(who.key_id),
            authn=who.method,
            source=clip(record.source),
            resource=clip(record.resource),
            policy=clip(record.policy),
            detail=clip(record.detail),
            groups=tuple(map(clip, record.groups[:MAX_LISTED])),
            verb=clip(record.verb),
            code=record.code,
            changes=tuple(map(clip, record.changes[:MAX_LISTED])),
            trace_id=clip(record.trace_id),
            count=record.count,
        )
    )


def encode_line(record: msgspec.Struct) -> bytes:
    """Any struct as one safe JSON line with its newline."""
    return _line(record)


def _clip_access(record: AccessRecord) -> None:
    for name in _CALLERS_FIELDS:
        setattr(record, name, clip(getattr(record, name)))


def _clip_bodies(record: AccessRecord) -> None:
    for name in ("request_body", "response_body"):
        body = getattr(record, name)
        if body is not None:
            setattr(record, name, clip(body, MAX_BODY_CHARS))


def _line(record: msgspec.Struct, encode: Callable[[object], bytes] = _encode) -> bytes:
    try:
        line = encode(record)
    except UnicodeEncodeError:  # a lone surrogate: JSON text cannot carry it
        line = encode(_scrubbed(record))
    if not line.isascii() or b"\x7f" in line:  # DEL is ASCII, and JSON lets it stand
        line = line.decode().translate(_UNSAFE).encode()
    return line + b"\n"


def _scrubbed(record: msgspec.Struct) -> msgspec.Struct:
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return type(record)(**{name: _printable(value) for name, value in fields.items()})


def _printable(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_printable, value))
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
