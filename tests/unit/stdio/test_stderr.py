"""What servers write to standard error."""

import logging

import pytest

from heddle.stdio.stderr import BURST, LINES_PER_S, Allowance, Complaints, tamed


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\r", "plain"),
        (b"\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        (b"forged\r2026-11-21 ERROR", "forged\\r2026-11-21 ERROR"),
        ("zero\u200bwidth \u202eevil".encode(), "zero\\u200bwidth \\u202eevil"),
        (b"not \xff utf-8", "not \\xff utf-8"),
        (b"x" * 5_000_000, "x" * 1000 + " [clipped]"),
    ],
)
def test_a_line_cannot_break_out(data: bytes, text: str):
    assert tamed(data) == text


def test_what_it_was_given_is_not_repeated(caplog: pytest.LogCaptureFixture):
    complaints = Complaints(
        "tools", {"TOKEN": "s3cret-token", "LONGER": "s3cret-token-two", "SHORT": "on"}, Allowance()
    )
    with caplog.at_level(logging.INFO, "heddle.stdio"):
        complaints.line(b"on login with s3cret-token and s3cret-token-two failed")
    assert caplog.messages == ["on login with *** and *** failed"]
    assert "s3cret" not in complaints.last
    assert caplog.records[0].name == "heddle.stdio.tools"


def test_a_flood_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture):
    now = [0.0]
    complaints = Complaints("tools", {}, Allowance(lambda: now[0]))
    with caplog.at_level(logging.INFO, "heddle.stdio"):
        for _ in range(10_000):
            complaints.line(b"again")
        assert len(caplog.messages) == BURST
        now[0] = 1.0
        complaints.line(b"after")
    assert caplog.messages[-2:] == [f"9900 lines were dropped: it writes more than {LINES_PER_S:g} per second", "after"]


def test_the_last_lines_are_kept_for_errors():
    complaints = Complaints("tools", {}, Allowance())
    assert complaints.last == ""
    for number in range(20):
        complaints.line(b"line %d" % number)
    complaints.line(b"y" * 900)
    complaints.line(b"garbage on stdout", said="not a message, skipped: ")
    assert complaints.last.startswith(" Its last lines: line 15 | line 16")
    assert complaints.last.endswith("y" * 300 + " [clipped]")
