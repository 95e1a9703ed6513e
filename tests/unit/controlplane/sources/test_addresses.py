"""Every spelling of an inner address is an inner address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.controlplane.sources.addresses import inside, is_inside

INNER = [
    "localhost",
    "LOCALHOST.",
    "api.localhost",
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7F.0x0.0x0.0x1",
    "017700000001",
    "0177.0.0.01",
    "0",
    "0.0.0.0",
    "10.0.0.5",
    "10.5",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "metadata.google.internal",
    "metadata",
    "instance-data",
    "redis",
    "printer.local",
    "db.corp",
    "tools.shop.svc",
    "tools.shop.svc.cluster.local",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "127\u30020\u30020\u30021",
    "\uff11\uff12\uff17.0.0.1",
    "%31%32%37.0.0.1",
    "224.0.0.1",
    "999.1.1.1",
    "256",
]
OUTER = ["api.openai.com", "example.com.", "8.8.8.8", "134744072", "0x08080808", "2606:4700::1111", "0x.example.com"]


@pytest.mark.parametrize("host", INNER)
def test_inner(host: str):
    assert is_inside(host)


@pytest.mark.parametrize("host", OUTER)
def test_outer(host: str):
    assert not is_inside(host)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("http://127.0.0.1:9000/v1", ["127.0.0.1"]),
        ("HTTP://2130706433/", ["2130706433"]),
        ("http://[::1]:80/", ["::1"]),
        ("http://user:secret@10.0.0.1/x", ["10.0.0.1"]),
        ("http://api.openai.com@169.254.169.254/latest", ["169.254.169.254"]),
        ("http:\\\\127.0.0.1\\x", ["127.0.0.1"]),
        ("redis://cache:6379/0", ["cache"]),
        ("10.0.0.4:4317", ["10.0.0.4"]),
        ("collector:4317", ["collector"]),
        ("[::1]:4317", ["::1"]),
        ("unix:/run/x.sock", ["unix:/run/x.sock"]),
        ("servers: [{url: http://10.1.2.3/a}, {url: https://example.com}]", ["10.1.2.3"]),
        ("https://api.openai.com/v1", []),
        ("https://api.openai.com:8443/127.0.0.1", []),
        ("collector.example.com:4317", []),
        ("claude-3", []),
        ("http://", []),
    ],
)
def test_what_a_text_names(text: str, hosts: list[str]):
    assert list(inside(text)) == hosts


@given(st.integers(0, 2**32 - 1))
def test_every_number_is_judged_as_its_address(number: int):
    octets = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    expected = is_inside(octets)
    assert {is_inside(str(number)), is_inside(hex(number)), is_inside(f"0{number:o}")} == {expected}
    assert is_inside(f"::ffff:{octets}") == expected


@given(st.text(max_size=300))
def test_no_text_is_too_strange(text: str):
    list(inside(text))
    list(inside(f"http://{text}/"))
    is_inside(text)
