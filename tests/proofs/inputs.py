"""Hostile input for the model listener, deterministic: good requests, and every way we know to spoil one.

Four tenths are spoiled in the body only, so that they reach the decoders; the others are spoiled in the head, in the
framing, or byte by byte. A few are left good, so that "refuses everything" would be noticed.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

KEY = "sk-test-123"

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e308, 2**31, 2**63, 2**64, 10**30,
    "", "x", "\x00", "\U0001d573", "\ud800", "[[", "*", [], {}, [[]],
    [None], {"role": "user"}, {"type": "text", "text": "a"}, "a" * 5000, ["a"] * 300, {"a": {"b": {"c": {}}}},
)  # fmt: skip
LITERALS = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"01", b"1" * 500, b"0." + b"1" * 500, b'"\\ud800"',
    b'"\\udc00x"',
    b'"\\u0000"', b"\xff", b'"\xc0\xaf"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}", b"tru", b"'a'", b"/**/1", b"[1,]",
    b"{,}",
    b"[" * 250 + b"]" * 250, b'{"a":' * 220 + b"1" + b"}" * 220, b"\x00", b"\x1f", b'"\t"', b"",
)  # fmt: skip
PIECES = (
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b"\xff", b" ", b"\t", b":", b",", b"0\r\n\r\n", b"HTTP/1.1",
    b"GET ", b"{",
    b"}", b'"', b"\\", b"\x0b", b"\x80", b"chunked", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"%00",
    b"../", b"host: evil\r\n", b"\r\n ", b"1;", b"A" * 300, b"\x16\x03\x01",
)  # fmt: skip
FIELDS = (
    b"content-length: 0", b"content-length: -1", b"content-length: 1, 2", b"content-length: 99999999999999999999",
    b"content-length: 0x10", b"content-length: +5", b"content-length:", b"transfer-encoding: chunked",
    b"transfer-encoding: gzip, chunked", b"transfer-encoding: chunked, chunked", b"transfer-encoding: identity",
    b"transfer-encoding:\x0bchunked", b"host: a, b", b"host:", b"host: [::1", b"host: user@localhost",
    b"expect: 100-continue",
    b"expect: 200-ok", b"content-encoding: gzip", b"content-encoding: br, gzip, deflate", b"content-encoding: zzz",
    b"content-type: text/plain", b"content-type: application/json; charset=utf-16",
    b"content-type: multipart/form-data",
    b"connection: upgrade", b"upgrade: h2c", b"upgrade: websocket", b"te: trailers", b"trailer: x",
    b"authorization: Basic eDp5",
    b"authorization: Bearer", b"authorization: Bearer " + b"a" * 9000, b"authorization: Bearer e30.e30.AA",
    b"x-api-key: other", b"bad field: 1", b"bad\x00field: 1", b" folded: 1", b": empty", b"nocolon", b"x: \x00",
    b"x: \x7f",
    b"traceparent: 00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"b3: zz", b"tracestate: " + b"a=b," * 300,
    b"origin: https://evil.example", b"origin: null", b"x-forwarded-for: " + b"1.2.3.4," * 200, b"range: bytes=0-",
    b"cookie: " + b"c" * 4000, b"x-long: " + b"v" * 70000,
)  # fmt: skip
METHODS = (
    b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"post", b"P\x00ST", b"", b"PRI",
    b"A" * 200, b"POST POST", b"M-SEARCH", b"\xf0\x9f\x98\x80",
)  # fmt: skip
TARGETS = (
    b"/v1/models", b"/v1/models/gpt-4o-mini", b"/v1/models/%00", b"/v1/models/" + b"m" * 9000, b"/", b"", b"*", b"//",
    b"/v1/../v1/models", b"/v1/chat/completions/", b"/v1/chat/completions?x=%zz", b"http://localhost/v1/models",
    b"/%ff%fe",
    b"http://evil/v1/models", b"/v1/models#f", b"/v1/ models", b"/v1/\x00", b"/v1/embeddings",
    b"/v1/models/\xc3\xa9", b"localhost:80",
)  # fmt: skip


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello there"}], **more}


BODIES: tuple[dict[str, Any], ...] = (
    chat(),
    chat(stream=True, max_tokens=8),
    chat(stream=True, stream_options={"include_usage": True}, n=2),
    chat(temperature=0.5, tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]),
    chat(
        messages=[{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        response_format={"type": "json_object"},
    ),
    {"model": "text-embedding-3-small", "input": ["warp", "weft"], "dimensions": 8},
)


def request(body: bytes, *, target: bytes = b"/v1/chat/completions", fields: tuple[bytes, ...] = ()) -> bytes:
    """A good request around any body."""
    lines = [
        b"POST " + target + b" HTTP/1.1",
        b"host: localhost",
        b"content-type: application/json",
        b"authorization: Bearer " + KEY.encode(),
        b"content-length: %d" % len(body),
        *fields,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from places(inner)


def spoil_value(rng: random.Random, _: bytes) -> bytes:
    """Values of wrong types, missing and unknown fields."""
    body = json.loads(json.dumps(rng.choice(BODIES)))
    for _ in range(rng.randint(1, 3)):
        where = list(places(body))
        if not where:
            break
        container, key = rng.choice(where)
        if rng.random() < 0.3:
            del container[key]
        else:
            container[key] = copy.deepcopy(rng.choice(VALUES))
    return request(
        json.dumps(body, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass"), target=_target(body)
    )


def spoil_text(rng: random.Random, _: bytes) -> bytes:
    """Text that is no JSON, or JSON that two readers read differently."""
    body = rng.choice(BODIES)
    text = json.dumps(body).encode()
    choice = rng.randrange(5)
    if choice == 0:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(LITERALS) + text[at + rng.randrange(3) :]
    elif choice == 1:
        name = rng.choice(list(body)).encode()
        text = b'{"' + name + b'": ' + (rng.choice(LITERALS) or b"1") + b", " + text[1:]
    elif choice == 2:
        text = text[: rng.randrange(len(text))]
    elif choice == 3:
        text = rng.choice(LITERALS)
    else:
        text = flip(rng, text)
    return request(text, target=_target(body))


def spoil_fields(rng: random.Random, good: bytes) -> bytes:
    """Field lines added, removed, repeated, swapped."""
    head, _, body = good.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    for _ in range(rng.randint(1, 3)):
        choice = rng.randrange(4)
        if choice == 0 or len(lines) < 2:
            lines.insert(rng.randint(1, len(lines)), rng.choice(FIELDS))
        elif choice == 1:
            del lines[rng.randrange(1, len(lines))]
        elif choice == 2:
            lines.insert(1, rng.choice(lines[1:]))
        else:
            at = rng.randrange(1, len(lines))
            lines[at] = flip(rng, lines[at])
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def spoil_start(rng: random.Random, good: bytes) -> bytes:
    """The request line."""
    start, _, rest = good.partition(b"\r\n")
    method, target, version = start.split(b" ", 2)
    choice = rng.randrange(4)
    if choice == 0:
        method = rng.choice(METHODS)
    elif choice == 1:
        target = rng.choice(TARGETS)
    elif choice == 2:
        version = rng.choice((b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"HTTP/1.1 ", b"http/1.1", b"HTTP/11", b"", b"X"))
    else:
        return flip(rng, start) + b"\r\n" + rest
    return b" ".join((method, target, version)) + b"\r\n" + rest


def spoil_chunks(rng: random.Random, good: bytes) -> bytes:
    """A chunked body, its framing bent."""
    head, _, body = good.partition(b"\r\n\r\n")
    head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"content-length"))
    pieces, at = [], 0
    while at < len(body):
        size = rng.randint(1, 60)
        pieces.append(b"%x\r\n" % len(body[at : at + size]) + body[at : at + size] + b"\r\n")
        at += size
    pieces.append(b"0\r\n\r\n")
    if rng.random() < 0.8:
        where = rng.randrange(len(pieces))
        pieces[where] = rng.choice(
            (flip(rng, pieces[where]), b"-1\r\n", b"fffffffffffffffff\r\n", b"1;" + b"e" * 5000 + b"\r\n",
            b"0\r\nx: y\r\n\r\n",
             b" 5\r\nhello\r\n", b"5\nhello\n", b"0x5\r\nhello\r\n", b"")
        )  # fmt: skip
    return head + b"\r\ntransfer-encoding: chunked\r\n\r\n" + b"".join(pieces)


def spoil_bytes(rng: random.Random, good: bytes) -> bytes:
    """Any byte anywhere."""
    for _ in range(rng.randint(1, 6)):
        good = flip(rng, good)
    return good


def spoil_count(rng: random.Random, good: bytes) -> bytes:
    """Less or more than one request."""
    choice = rng.randrange(4)
    if choice == 0:
        return good[: rng.randrange(len(good))]
    if choice == 1:
        return good + spoil_fields(rng, good)
    if choice == 2:
        return good * rng.randint(2, 5)
    return rng.choice(
        (b"", b"\r\n" * rng.randint(1, 50) + good, rng.randbytes(rng.randint(1, 400)), good + rng.randbytes(50))
    )


def keep(_: random.Random, good: bytes) -> bytes:
    """Nothing spoiled."""
    return good


WAYS: tuple[tuple[Callable[[random.Random, bytes], bytes], int], ...] = (
    (spoil_value, 25), (spoil_text, 15), (spoil_fields, 18), (spoil_start, 10), (spoil_chunks, 10), (spoil_bytes, 12),
    (spoil_count, 7), (keep, 3),
)  # fmt: skip


WELL_FRAMED = frozenset(("spoil_value", "spoil_text", "keep"))
"""Ways that leave HTTP as it was: each input has exactly one answer."""


def flip(rng: random.Random, data: bytes) -> bytes:
    """One small change."""
    at = rng.randrange(len(data) + 1)
    choice = rng.randrange(4)
    if choice == 0:
        return data[:at] + rng.choice(PIECES) + data[at:]
    if choice == 1:
        return data[:at] + data[at + rng.randint(1, 8) :]
    if choice == 2:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    end = at + rng.randint(1, 40)
    return data[:end] + data[at:end] + data[end:]


def _target(body: dict[str, Any]) -> bytes:
    return b"/v1/embeddings" if "input" in body else b"/v1/chat/completions"


def inputs(seed: int) -> Iterator[tuple[str, bytes]]:
    """Endless (how it was spoiled, bytes); the same for the same seed."""
    rng = random.Random(seed)
    ways, weights = [way for way, _ in WAYS], [weight for _, weight in WAYS]
    while True:
        (way,) = rng.choices(ways, weights)
        body = rng.choice(BODIES)
        yield way.__name__, way(rng, request(json.dumps(body).encode(), target=_target(body)))
