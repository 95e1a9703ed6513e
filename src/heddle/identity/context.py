"""What an expression can see of a call: one small function per variable of `identity.cel`.

Owns the values; `cel.VARIABLES` owns the names and types. Credentials are not among them: fields that carry one are
left out of `request.headers`, so that no expression can be made to answer questions about a secret.

*Source:* RFC 9110 section 5.3 (repeated fields).
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from heddle.model.principal import Principal
from heddle.pipeline.exchange import Exchange

SECRET_FIELDS = frozenset(
    {"authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie", "mcp-session-id"}
)
BYTES_PER_TOKEN = 4
"""`call.input_tokens` is an estimate from the size of the request: nobody counts tokens before routing."""
_MAX_QUERY_FIELDS = 100

CALLER: Mapping[str, Callable[[Principal], Any]] = {
    "principal.user": lambda who: who.user,
    "principal.tenant": lambda who: who.tenant,
    "principal.agent": lambda who: who.agent,
    "principal.workload": lambda who: who.workload,
    "principal.method": lambda who: who.method,
    "principal.key_id": lambda who: who.key_id,
    "principal.claims": lambda who: who.claims,
}
"""Known from the caller alone."""


def _max_output_tokens(exchange: Exchange) -> int | None:
    return exchange.call.max_output_tokens if exchange.call else None


def _input_tokens(exchange: Exchange) -> int | None:
    return -(-len(exchange.call.body) // BYTES_PER_TOKEN) if exchange.call else None


def _arguments(exchange: Exchange) -> dict[str, Any] | None:
    return exchange.mcp.arguments if exchange.mcp else None


REQUEST: Mapping[str, Callable[[Exchange, float], Any]] = {
    "call.max_output_tokens": lambda exchange, _: _max_output_tokens(exchange),
    "call.input_tokens": lambda exchange, _: _input_tokens(exchange),
    "call.arguments": lambda exchange, _: _arguments(exchange),
    "request.method": lambda exchange, _: exchange.request.method,
    "request.path": lambda exchange, _: exchange.request.path,
    "request.headers": lambda exchange, _: headers(exchange),
    "request.query": lambda exchange, _: query(exchange.request.query),
    "request.time": lambda _, now_s: datetime.fromtimestamp(now_s, UTC),
    "source.address": lambda exchange, _: exchange.source_address,
}
"""Different for each request (given with the Unix time), and so never part of a remembered decision."""


def request_values(names: Iterable[str], exchange: Exchange, now: Callable[[], float]) -> dict[str, Any]:
    """Values of those of `names` that the request decides; one that cannot be read is left out."""
    values: dict[str, Any] = {}
    for name in names:
        read = REQUEST.get(name)
        if read is not None:
            try:
                values[name] = read(exchange, now())
            except ValueError:
                continue  # the expression that reads it errs
    return values


def headers(exchange: Exchange) -> dict[str, str]:
    """Fields by lower-case name, repeated ones joined by a comma, without credentials."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in exchange.request.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name not in SECRET_FIELDS:
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def query(text: str) -> dict[str, str]:
    """Decoded parameters; ValueError when one is repeated, because readers differ on which of them counts."""
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a query parameter is repeated")
    return fields
