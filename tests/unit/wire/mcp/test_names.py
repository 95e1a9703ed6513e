"""Names and URIs as callers see them: fitting, apart, and to be found back."""

import re

from hypothesis import assume, given
from hypothesis import strategies as st

from heddle.wire.mcp.names import MAX_NAME_CHARS, exposed, exposed_uri, split_uri

FITTING = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_names = st.text(max_size=200) | st.from_regex(r"[a-z_.]{1,80}", fullmatch=True)
_prefixes = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True) | st.just("")


def test_what_fits_stays_and_what_does_not_keeps_its_beginning() -> None:
    assert exposed("read_file", "") == "read_file"
    assert exposed("read_file", "fs") == "fs__read_file"
    assert exposed("x" * 64, "") == "x" * 64
    assert exposed("x" * 65, "").startswith("x" * 55 + "_")
    assert exposed("read.file", "") != exposed("read_file", "")
    assert exposed("read.file", "").startswith("read_file_")
    assert exposed("", "") != ""


@given(_names, _prefixes)
def test_every_name_is_one_that_clients_take(name: str, prefix: str) -> None:
    shown = exposed(name, prefix)
    assert FITTING.fullmatch(shown)
    assert len(shown) <= MAX_NAME_CHARS
    assert shown == exposed(name, prefix)


@given(_names, _names, _prefixes)
def test_two_names_of_one_server_stay_apart(one: str, other: str, prefix: str) -> None:
    assume(one != other)
    assert exposed(one, prefix) != exposed(other, prefix)


@given(st.text(max_size=100), st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True))
def test_a_uri_finds_its_way_back(uri: str, prefix: str) -> None:
    shown = exposed_uri(uri, prefix)
    assert split_uri(shown) == (prefix, uri)
    assert shown.startswith("ui://") == uri.startswith("ui://")
    assert exposed_uri(uri, "") == uri


def test_a_uri_without_a_prefix_has_none() -> None:
    assert split_uri("file:///a") == ("", "file:///a")
    assert split_uri("ui://app") == ("", "ui://app")
    assert split_uri("git+ssh://host/a+b") == ("git", "ssh://host/a+b")
