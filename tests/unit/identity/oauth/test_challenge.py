"""WWW-Authenticate: what is read out of it, what is not, and that nothing can be written into it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.identity.oauth.challenge import Challenge, read_challenge, scopes_of, write_challenge


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Bearer", Challenge()),
        ("bearer realm=x", Challenge()),
        ('Bearer error="invalid_token"', Challenge("invalid_token")),
        ('Bearer scope="a b a", error=insufficient_scope', Challenge("insufficient_scope", ("a", "b"))),
        ('Bearer resource_metadata="https://a/x,y"', Challenge("", (), "https://a/x,y")),
        ('Bearer Scope = "a" , ERROR = "e"', Challenge("e", ("a",))),
        ('Basic realm="Bearer scope=x", Bearer scope="a"', Challenge("", ("a",))),
        ('Bearer scope="a", DPoP scope="b"', Challenge("", ("a",))),
        ('DPoP algs="ES256", error="x", Bearer error="y"', Challenge("y")),
        (r'Bearer error="a\"b"', Challenge('a"b')),
        ('Bearer error="first", error="second"', Challenge("first")),
        ("Bearer,scope=a", None),
        ('Basic realm="x"', None),
        ("Negotiate abc==", None),
        ("", None),
        ('Bearer error="open', None),
        ("Bearer " + "a=b," * 3000, None),
        ("Bearer \x00", None),
        ("Bearer err\u00f6r=x", None),
    ],
)
def test_reading(value: str, expected: Challenge | None) -> None:
    assert read_challenge(value) == expected


@given(st.text(max_size=300))
def test_anything_is_read_or_refused(value: str) -> None:
    found = read_challenge(value)
    assert found is None or all(" " not in scope for scope in found.scopes)


@pytest.mark.parametrize("piece", ["a=b,", '"', "a ", "a=", '\\"', 'a="\\', "= ", ",,"])
def test_reading_takes_linear_time(piece: str) -> None:
    began = time.perf_counter()
    read_challenge("Bearer " + piece * (8_000 // len(piece)))
    assert time.perf_counter() - began < 0.2


def test_scopes() -> None:
    assert scopes_of('a  b\u00e9 c" d:e/f x') == ("a", "d:e/f", "x")
    assert scopes_of("") == ()
    assert len(scopes_of(" ".join(map(str, range(500))))) == 100
    assert scopes_of("x" * 257) == ()


def test_writing() -> None:
    name, value = write_challenge("https://a/.well-known/x", ("a", "b"), "insufficient_scope", "More.")
    assert name == b"www-authenticate"
    found = read_challenge(value.decode())
    assert found == Challenge("insufficient_scope", ("a", "b"), "https://a/.well-known/x")
    assert write_challenge("", ())[1] == b"Bearer"


@given(st.text(), st.lists(st.text(), max_size=4), st.text())
def test_nothing_breaks_out_of_what_is_written(url: str, scopes: list[str], description: str) -> None:
    _, value = write_challenge(url, scopes, "invalid_token", description)
    assert value.isascii()
    assert value.decode().isprintable()
    found = read_challenge(value.decode())
    if len(value) <= 8192:
        assert found is not None
        assert found.error == "invalid_token"
