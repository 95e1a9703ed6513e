"""Bounded decompression."""

import gzip
import os
import zlib

import pytest

from heddle.net.decompress import UnsupportedEncoding, decompress
from heddle.net.errors import BodyMalformed, BodyTooLarge

TEXT = b'{"model": "m", "messages": []}' * 20


def raw_deflate(data):
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(data) + encoder.flush()


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT, b""),
        (TEXT, b"identity"),
        (gzip.compress(TEXT, mtime=0), b"gzip"),
        (gzip.compress(TEXT, mtime=0), b" GZIP "),
        (gzip.compress(TEXT, mtime=0), b"x-gzip"),
        (zlib.compress(TEXT), b"deflate"),
        (raw_deflate(TEXT), b"deflate"),
    ],
)
def test_round_trip(data, encoding):
    assert decompress(data, encoding, 1 << 20) == TEXT


def test_large_incompressible_data_crosses_step_boundaries():
    data = os.urandom(300_000)
    assert decompress(gzip.compress(data), b"gzip", 1 << 20) == data
    half = bytes(200_000) + os.urandom(200_000)
    assert decompress(gzip.compress(half), b"gzip", 400_000) == half


def test_a_bomb_is_stopped_by_ratio_and_by_size():
    bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(BodyTooLarge):
        decompress(bomb, b"gzip", 1 << 40)
    with pytest.raises(BodyTooLarge) as caught:
        decompress(gzip.compress(bytes(2000)), b"gzip", 1999)
    assert caught.value.max_bytes == 1999
    with pytest.raises(BodyTooLarge):
        decompress(b"x" * 11, b"", 10)


def test_small_repetitive_bodies_may_exceed_the_ratio():
    assert decompress(gzip.compress(bytes(60_000)), b"gzip", 1 << 20) == bytes(60_000)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (gzip.compress(TEXT, mtime=0)[:-5], b"gzip"),
        (gzip.compress(TEXT, mtime=0) + b"x", b"gzip"),
        (gzip.compress(TEXT, mtime=0) * 2, b"gzip"),
        (b"not gzip", b"gzip"),
        (b"", b"gzip"),
        (zlib.compress(TEXT)[:-1], b"deflate"),
        (b"\xff\xff\xff", b"deflate"),
    ],
)
def test_broken_data_is_refused(data, encoding):
    with pytest.raises(BodyMalformed):
        decompress(data, encoding, 1 << 20)


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"gzip;q=1"])
def test_other_codings_are_refused(encoding):
    with pytest.raises(UnsupportedEncoding) as caught:
        decompress(TEXT, encoding, 1 << 20)
    assert caught.value.status == 415
