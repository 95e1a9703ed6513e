"""A hundred thousand damaged bodies: each is a call or a ProtocolError, none is anything else, and none leaks."""

import json
import random
import tracemalloc

from heddle.wire.errors import ProtocolError
from heddle.wire.llm import openai_chat, openai_embeddings

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SEEDS = [
    {"model": "m", "messages": [{"role": "user", "content": "é\u2028\\"}], "n": 2, "max_tokens": 5},
    {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "stream": True},
    {"model": "m", "messages": [{"role": "user"}], "stream_options": {"include_usage": True}, "tools": [TOOL]},
    {"model": "m", "input": [[1, 2], "x"], "dimensions": 3, "encoding_format": "base64"},
]
PIECES = [
    b"",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"null",
    b"1e999",
    b"-",
    b",",
    b":",
]
PIECES += [b"\\ud800", b'"model":', b"NaN", b"[" * 300, b"9" * 5000, b"true", b"/*", b"\r\n", b"0" * 10]
ROUNDS = 100_000


def damaged(source: random.Random, bodies: list[bytes]) -> bytes:
    body = source.choice(bodies)
    for _ in range(source.randint(1, 3)):
        start = source.randrange(len(body) + 1)
        end = min(len(body), start + source.choice((0, 0, 1, 2, 8)))
        body = body[:start] + source.choice(PIECES) + body[end:]
    return body


def run(source: random.Random, bodies: list[bytes], rounds: int) -> tuple[int, int]:
    good = refused = 0
    for _ in range(rounds):
        body = damaged(source, bodies)
        for codec in (openai_chat, openai_embeddings):
            try:
                call = codec.decode_request(body)
                json.loads(codec.rewrite(body, model="other", include_usage=True))
            except ProtocolError:
                refused += 1
            else:
                good += 1
                assert call.model
    return good, refused


def test_damaged_bodies() -> None:
    source = random.Random(20261121)
    bodies = [json.dumps(seed).encode() for seed in SEEDS]
    bodies += [json.dumps(seed, ensure_ascii=False, indent=1).encode() for seed in SEEDS]
    run(source, bodies, 2000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        leaking = run(source, bodies, 5000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    good, refused = run(source, bodies, ROUNDS)
    assert sum(leaking) == 10_000
    assert good > 1000
    assert refused > ROUNDS
    assert grown < 256 * 1024
