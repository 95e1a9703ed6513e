"""SPIFFE ids and paths: what is one, and what is refused instead of repaired."""

import pytest

from heddle.identity.paths import under
from heddle.identity.spiffe import SpiffeError, check_trust_domain, parse, workload_id
from heddle.telemetry.repeats import source_group


def test_a_workload_has_one_id() -> None:
    made = workload_id("heddle.local", "dev-team", "Planner_1.x")
    assert made == "spiffe://heddle.local/ns/dev-team/sa/Planner_1.x"
    assert parse(made) == ("heddle.local", ("ns", "dev-team", "sa", "Planner_1.x"))


@pytest.mark.parametrize("part", ["", ".", "..", "a/b", "a b", "a%2Fb", "é", "a\n", "a\0", "a:b", "a@b", "a?b", "a#b"])
def test_other_characters_are_refused(part: str) -> None:
    with pytest.raises(SpiffeError):
        workload_id("heddle.local", part, "agent")
    with pytest.raises(SpiffeError):
        workload_id("heddle.local", "tenant", part)


@pytest.mark.parametrize("name", ["", "Heddle.local", "a b", "a/b", "a:1", "é", "x" * 256, "a\n"])
def test_trust_domains(name: str) -> None:
    with pytest.raises(SpiffeError):
        check_trust_domain(name)


def test_length_is_bounded() -> None:
    with pytest.raises(SpiffeError):
        workload_id("heddle.local", "a" * 2000, "b" * 100)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://",
        "https://a/b",
        "spiffe://a/",
        "spiffe://a//b",
        "spiffe://a/b/",
        "spiffe://a/../b",
        "spiffe://A/b",
        "spiffe://u@a/b",
        "spiffe://a/b?c",
        "SPIFFE://a/b",
    ],
)
def test_what_is_no_spiffe_id(text: str) -> None:
    with pytest.raises(SpiffeError):
        parse(text)


@pytest.mark.parametrize(
    ("path", "prefix", "expected"),
    [
        ("/data/a", "/data", True),
        ("/data", "/data", True),
        ("/data/", "/data", True),
        ("/database", "/data", False),
        ("/data/../etc", "/data", False),
        ("/x/../data/a", "/data", True),
        ("/../data", "/data", True),
        ("//data///a", "/data/", True),
        ("/data/%61/b", "/data", True),
        ("/a%20b/c", "/a%20b", True),
        ("/data/x/%2e%2e/y", "/data", True),
        ("/etc/%2e%2e", "/data", False),
        ("/anything", "/", True),
        ("/Data", "/data", False),
    ],
)
def test_under(path: str, prefix: str, expected: bool) -> None:
    assert under(path, prefix) is expected


@pytest.mark.parametrize(
    "path",
    [
        "",
        "data",
        "/data%2F..",
        "/a\\..\\b",
        "/a#b",
        "/a%23b",
        "/a%00b",
        "/a\0b",
        "/a%252e",
        "/a;x=1",
        "/%ff",
        "/a?b",
        "/%64ata/a",
        "/data/%2e%2e/etc",
        "/x/%2e/../data",
        "/data/../%2e%2e/data",
        "/x//../data",
        "/data/a//../..",
        "/%2e%2e/data",
    ],
)
def test_ambiguous_paths_are_neither_inside_nor_outside(path: str) -> None:
    with pytest.raises(ValueError):
        under(path, "/data")


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
    ],
)
def test_source_groups(address: str, group: str) -> None:
    assert source_group(address) == group
