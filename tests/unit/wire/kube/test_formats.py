import pytest

from heddle.wire.kube.formats import FORMATS, SchemaError, compiled_pattern


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("int32", [0, -(2**31), "x"], [2**31]),
        ("int64", [2**63 - 1], [2**63]),
        (
            "date-time",
            ["2026-11-21T07:40:25Z", "2026-11-21t07:40:25.123+01:00"],
            ["2026-11-21", "2026-13-21T07:40:25Z", ""],
        ),
        ("date", ["2026-02-28"], ["2026-02-30", "x"]),
        ("duration", ["5s", "1h30m", "1.5h", "0", "-3ms"], ["", "5 parsecs", "s"]),
        ("byte", ["", "aGk=", "aGk="], ["a", "äöü", "aGk=="]),
        ("ipv4", ["1.2.3.4"], ["1.2.3", "::1"]),
        ("ipv6", ["::1"], ["1.2.3.4", ":::"]),
        ("cidr", ["10.0.0.0/8", "10.1.2.3/8", "::/0"], ["10.0.0.0", "10.0.0.0/33"]),
        ("uri", ["https://a.b/c?d", "mailto:x@y"], ["a b", "http://a:port/", "x\ny"]),
        ("hostname", ["a.b-c.d", "a"], ["-a", "a..b", "a" * 64]),
        ("email", ["a@b"], ["a", "a b@c"]),
        ("uuid", ["8b4b4b6e-0f1a-4a53-9a3c-5b8d1f8c4d2e"], ["8b4b", "z" * 36]),
    ],
)
def test_formats(name, good, bad):
    assert all(FORMATS[name](value) for value in good)
    assert not any(FORMATS[name](value) for value in bad)


def test_half_a_pair_of_surrogates_matches_nothing():
    assert not compiled_pattern(".")("\ud800")


@pytest.mark.parametrize("pattern", ["(", "(?<!a)b", r"(a)\1", 5])
def test_patterns_that_are_none(pattern):
    with pytest.raises(SchemaError):
        compiled_pattern(pattern)
