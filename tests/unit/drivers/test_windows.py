"""Windows of calendars, and sliding ones."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.drivers.counters.windows import SPANS, tallies
from heddle.model.snapshot_budgets import WindowSpec

BERLIN = ZoneInfo("Europe/Berlin")


def entered(window: WindowSpec, now_s: float) -> list[tuple[int, int]]:
    found = tallies("b", "tokens", (), 1, window)
    for tally in found:
        tally.enter(now_s)
    return [(tally.starts_s, tally.ends_s) for tally in found]


@pytest.mark.parametrize(
    ("period", "now", "starts", "ends"),
    [
        ("day", "2026-03-29T12:00", "2026-03-29T00:00", "2026-03-30T00:00"),  # 23 hours
        ("day", "2026-10-25T02:30", "2026-10-25T00:00", "2026-10-26T00:00"),  # 25 hours
        ("week", "2026-11-22T23:59", "2026-11-16T00:00", "2026-11-23T00:00"),  # a Sunday
        ("month", "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("month", "2028-02-29T00:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("year", "2026-07-01T00:00", "2026-01-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_periods_begin_at_midnight_of_their_zone(period: str, now: str, starts: str, ends: str):
    def unix(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp())

    window = WindowSpec(kind="calendar", period=period, zone="Europe/Berlin")
    assert entered(window, unix(now)) == [(unix(starts), unix(ends))]
    assert entered(window, unix(starts)) == [(unix(starts), unix(ends))]
    assert entered(window, unix(ends) - 0.5) == [(unix(starts), unix(ends))]


@given(st.sampled_from(["day", "week", "month", "year"]), st.integers(0, 4_000_000_000))
def test_periods_follow_each_other_without_gaps(period: str, now: int):
    window = WindowSpec(kind="calendar", period=period, zone="America/Sao_Paulo")
    ((starts, ends),) = entered(window, now)
    assert starts <= now < ends
    assert entered(window, ends)[0][0] == ends
    assert entered(window, starts - 1)[0][1] == starts


@given(st.integers(1, 2_000).map(lambda n: n * SPANS), st.integers(0, 4_000_000_000))
def test_every_span_lies_inside_one_window_and_none_is_forgotten_late(length: int, begins: int):
    """So a limit that holds in each of the windows holds in every span of that length."""
    window = WindowSpec(kind="sliding", length_s=length)
    at_first, at_last = entered(window, begins), entered(window, begins + length - 1)
    assert set(at_first) & set(at_last)
    assert len(at_first) == SPANS + 1
    # What is used now counts in windows that end at most a twelfth later than its span does.
    assert max(ends for _, ends in at_first) <= begins + length + length // SPANS
    assert not set(at_first) & set(entered(window, begins + length + length // SPANS))


def test_windows_that_differ_are_counted_apart():
    day = WindowSpec(kind="calendar", period="day", zone="UTC")
    month = WindowSpec(kind="calendar", period="month", zone="UTC")
    (one,), (other,) = (tallies("b", "tokens", (), 1, window) for window in (day, month))
    first_of_november = 1_793_491_200
    one.enter(first_of_november)
    other.enter(first_of_november)
    assert one.starts_s == other.starts_s
    assert one.window_s != other.window_s, "which is part of a count's identity"
