"""Whose address it is."""

import pytest

from heddle.net.address import client_address, is_loopback, networks

TRUSTED = networks(["10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "chain", "caller"),
    [
        ("203.0.113.9", [b"198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"127.0.0.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", [b"6.6.6.6", b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"10.1.1.1, 10.0.0.2"], "10.1.1.1"),
        ("10.0.0.1", [b"198.51.100.1:4711"], "198.51.100.1"),
        ("fd00::1", [b"[2001:db8::7]:99"], "2001:db8::7"),
        ("::ffff:10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"6.6.6.6, unknown"], "10.0.0.1"),
        ("10.0.0.1", [b"6.6.6.6, _hidden, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [b"\xff"], "10.0.0.1"),
        ("", [b"6.6.6.6"], ""),
    ],
)
def test_the_rightmost_hop_that_is_not_ours(peer, chain, caller):
    headers = [(b"x-forwarded-for", value) for value in chain]
    assert client_address(peer, headers, TRUSTED) == caller


def test_nobody_is_believed_by_default():
    assert client_address("10.0.0.1", [(b"x-forwarded-for", b"6.6.6.6")], ()) == "10.0.0.1"


def test_an_endless_chain_is_cut():
    headers = [(b"x-forwarded-for", b"6.6.6.6," + b",".join([b"10.0.0.2"] * 100_000))]
    assert client_address("10.0.0.1", headers, TRUSTED) == "10.0.0.2"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"]
)
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "2130706433"]
)
def test_not_loopback(host):
    assert not is_loopback(host)


def test_networks_names_the_bad_one():
    with pytest.raises(ValueError, match="nonsense"):
        networks(["10.0.0.0/8", "nonsense"])
