"""What a call asks, as a key: equal for equal questions, different for everything that could change the answer.

Owns the partition (whose answers are whose) and the canonical form of a body, in which the order of fields and white
space do not matter. Inside of JSON schemas order does matter: models write fields in the schema's order. Whether the
answer is streamed is no part of the question.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from heddle.model.call import ModelCall
from heddle.model.principal import Principal
from heddle.model.snapshot import ModelSpec, ProviderSpec
from heddle.wire.canonical.request import ChatRequest
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codecs import DIALECTS

CALLER_FIELDS = (b"anthropic-beta", b"anthropic-version", b"openai-beta")
"""Fields of a request that providers are sent and that change what they answer."""

_ABOUT_TRAVEL = ("stream", "stream_options")
"""Top-level fields of a body that say how the answer travels."""

_SCHEMAS = (
    "schema",
    "parameters",
    "input_schema",
    "inputSchema",
    "parametersJsonSchema",
    "parameters_json_schema",
    "responseSchema",
    "response_schema",
    "responseJsonSchema",
    "response_json_schema",
)
_HAS_SCHEMA = re.compile(rb'"(?:%b)"' % "|".join(_SCHEMAS).encode())
_DECODE = msgspec.json.Decoder(dict[str, Any]).decode
_ENCODE = msgspec.json.Encoder(order="deterministic").encode
_AS_WRITTEN = msgspec.json.Encoder().encode


def partition(principal: Principal, key: tuple[str, ...]) -> list[str]:
    """Whose answers a caller may get. Who is not authenticated shares with nobody who is, and who has no tenant with
    nobody at all."""
    if principal.method == "none":
        return ["anonymous"]
    if not principal.tenant:
        return ["caller", principal.method, principal.user, principal.agent, principal.key_id, principal.workload]
    values = {"user": principal.user, "agent": principal.agent, "key": principal.key_id}
    return ["tenant", principal.tenant, *(f"{part}={values[part]}" for part in sorted(key))]


def settings(model: ModelSpec | None, provider: ProviderSpec | None) -> bytes:
    """Digest of what configuration adds to every call of a model: with it changed, answers are others."""
    said = [
        [model.defaults, model.overrides, model.system] if model is not None else [],
        [provider.type, provider.base_url, provider.options] if provider is not None else [],
    ]
    return hashlib.sha256(_ENCODE(said)).digest()


def canonical(body: bytes) -> bytes:
    """One form for all bodies that say the same. Raises ValueError when a body cannot be compared."""
    value = _DECODE(body)
    for name in _ABOUT_TRAVEL:
        value.pop(name, None)
    if _HAS_SCHEMA.search(body):
        return _ENCODE(_with_schemas(value))
    return _ENCODE(value)


def _with_schemas(value: Any) -> Any:
    """`value`, with schemas as they were written."""
    if isinstance(value, dict):
        return {
            name: msgspec.Raw(_AS_WRITTEN(inner))
            if name in _SCHEMAS and isinstance(inner, dict)
            else _with_schemas(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_with_schemas(inner) for inner in value]
    return value


def digest(call: ModelCall, asked: bytes, whose: list[str], settings: bytes, fields: Mapping[bytes, bytes]) -> bytes:
    """The key of a call whose canonical body is `asked`."""
    parts: list[object] = [
        whose,
        [call.operation, call.dialect, call.entry, call.model, call.provider, call.upstream_model],
        settings,
        [fields.get(name, b"") for name in CALLER_FIELDS],
        asked,
    ]
    return hashlib.sha256(msgspec.msgpack.encode(parts)).digest()


class Traits(msgspec.Struct, frozen=True):
    """What of a question decides whether its answer may be kept."""

    tools: bool = False
    temperature: float | None = None
    """None where the caller did not say."""
    kept_by_vendor: bool = False
    """The vendor keeps the answer, and somebody may go on from it."""


def read_traits(call: ModelCall) -> Traits | None:
    """None when the answer can be no other question's: more than one choice, or state on the vendor's side."""
    if call.operation == "embeddings":
        return Traits(temperature=0.0)
    if call.choices > 1 or call.dialect not in DIALECTS:
        return None
    try:
        request: ChatRequest = DIALECTS[call.dialect].decode_chat(call.body, call)
    except ProtocolError:
        # Also for what cannot be translated: it is the vendor's own, its state above all.
        return None
    return Traits(bool(request.tools or request.hosted_tools), request.temperature, _is_kept(call))


class _Store(msgspec.Struct):
    store: bool | None = None


def _is_kept(call: ModelCall) -> bool:
    if call.dialect not in ("openai_responses", "openai_chat"):
        return False
    stated = msgspec.json.decode(call.body, type=_Store).store
    # The default of the one API is to keep, of the other not to.
    return stated is not False if call.dialect == "openai_responses" else bool(stated)
