"""Bodies of requests as plain data: JSON, YAML, and the protobuf of Kubernetes' own kinds.

Refuses what is nested too deep, numbers that no JSON of ours can hold, and what is no object. Repeated keys are found,
because the last one would win silently.
*Source:* RFC 8259; Kubernetes API concepts, "Field validation".
"""

import json
from typing import Any, NamedTuple

import msgspec

from heddle.controlplane.api import protobuf
from heddle.controlplane.api.request import Request
from heddle.controlplane.yamldoc import read_documents
from heddle.wire.kube.status import ApiError, bad_request, unsupported_media

MAX_DEPTH = 100
"""Of objects and lists in each other."""
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
READ = ("application/json", YAML, PROTOBUF)
_MAX_QUOTED = 120
"""How much of a bad body an error repeats."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Body(NamedTuple):
    """What a body says."""

    value: Any
    repeated: list[str]
    """Paths of keys that are given twice."""


def media_type(request: Request) -> str:
    """Of the body, without parameters; JSON where none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() or "application/json"


def read_body(request: Request, expected: str, builtin: bool) -> Body:
    """The object in a body that was read. `expected` is a kind, for errors. Raises ApiError 400 and 415."""
    media = media_type(request)
    if media == "application/json":
        return from_json(request.body, expected)
    if media == YAML:
        return from_yaml(request.body)
    if media == PROTOBUF and builtin:
        return Body(protobuf.decode(request.body), [])
    raise unsupported_media(READ)


def from_json(raw: bytes, expected: str) -> Body:
    """Decoded JSON. Raises ApiError 400."""
    try:
        value = _decode(raw)
        again = _encode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OverflowError, RecursionError) as exc:
        raise _unreadable(raw, expected, exc) from exc
    _check_depth(value, again)
    # What encodes to the same bytes had no key twice: most clients write JSON as compactly as we do.
    repeated = [] if again == raw or again == raw.rstrip() else repeated_keys(raw)
    return Body(value, repeated)


def _unreadable(raw: bytes, expected: str, exc: Exception) -> ApiError:
    if isinstance(exc, RecursionError):
        return bad_request(f"the body is nested deeper than {MAX_DEPTH}")
    reason = "unexpected end of JSON input" if "truncated" in str(exc) else str(exc)
    if isinstance(exc, UnicodeDecodeError):
        reason = "not UTF-8"
    return bad_request(
        f"the object provided is unrecognized (must be of type {expected}): couldn't get version/kind; "
        f"json parse error: {reason} ({_quoted(raw, expected)})"
    )


def _quoted(raw: bytes, expected: str) -> str:
    """The beginning of a body, for an error; of what may be secret, none of it."""
    if expected == "Secret":
        return f"{len(raw)} bytes"
    return raw[:_MAX_QUOTED].decode("utf-8", "replace") + ("..." if len(raw) > _MAX_QUOTED else "")


def _check_depth(value: Any, encoded: bytes) -> None:
    if encoded.count(b"{") + encoded.count(b"[") <= MAX_DEPTH:
        return
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for one in level:
            if type(one) is dict:
                below += [item for item in one.values() if type(item) in (dict, list)]
            elif type(one) is list:
                below += [item for item in one if type(item) in (dict, list)]
        if not below:
            return
        level = below
    raise bad_request(f"the body is nested deeper than {MAX_DEPTH}")


class _Pairs(list[tuple[str, Any]]):
    """An object as its text has it."""


def repeated_keys(raw: bytes) -> list[str]:
    """Paths of keys that stand twice in an object. `raw` is JSON that was decoded before."""
    seen = False

    def pairs(found: list[tuple[str, Any]]) -> _Pairs:
        nonlocal seen
        seen = seen or len({key for key, _ in found}) != len(found)
        return _Pairs(found)

    tree = json.loads(raw, object_pairs_hook=pairs)
    return _repeated(tree, "") if seen else []


def _repeated(value: Any, path: str) -> list[str]:
    found: list[str] = []
    if isinstance(value, _Pairs):
        known: set[str] = set()
        for key, below in value:
            here = f"{path}.{key}" if path else key
            if key in known:
                found.append(here)
            known.add(key)
            found += _repeated(below, here)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            found += _repeated(below, f"{path}[{index}]")
    return found


def from_yaml(raw: bytes) -> Body:
    """One YAML document; JSON is tried first, as it is what most clients send. Raises ApiError 400."""
    if raw.lstrip()[:1] in (b"{", b"["):
        return from_json(raw, "an object")
    try:
        documents, problems = read_documents(raw.decode())
    except (UnicodeDecodeError, RecursionError) as exc:
        raise bad_request("error decoding YAML: not UTF-8, or nested too deep") from exc
    fatal = [one for one in problems if "given twice" not in one.message]
    if fatal:
        first = fatal[0]
        raise bad_request(f"error decoding YAML: line {first.line}: {first.path or 'the document'}: {first.message}")
    if len(documents) != 1:
        raise bad_request(f"error decoding YAML: expected one document, found {len(documents)}")
    return Body(documents[0].value, [one.path for one in problems])


def as_object(body: Body, raw: bytes, expected: str) -> dict[str, Any]:
    """The body as an object that says what kind it is. Raises ApiError 400."""
    if not isinstance(body.value, dict):
        found = type(body.value).__name__.replace("NoneType", "null")
        raise bad_request(f"the object provided is unrecognized (must be of type {expected}): found {found}")
    for field, name in (("kind", "Kind"), ("apiVersion", "apiVersion")):
        if not isinstance(body.value.get(field), str) or not body.value[field]:
            shown = _quoted(raw, expected)
            raise bad_request(
                f"the object provided is unrecognized (must be of type {expected}): "
                f"Object '{name}' is missing in '{shown}' ({shown})"
            )
    return body.value
