"""A replica that lags is not a backup that was restored."""

import pytest

from heddle.dataplane.subscription import behind
from heddle.dataplane.subscription.behind import BEHIND_S, Behind


class Clock:
    now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(behind, "time", made)
    return made


def test_one_that_says_so_for_a_minute_is_believed(clock: Clock, caplog: pytest.LogCaptureFixture):
    said = Behind(1)
    for turn in range(13):
        said.said(turn, behind=True)
        assert not said.insisted
        clock.now_s += BEHIND_S / 12
    said.said(13, behind=True)
    assert said.insisted
    assert "older state will be taken" in caplog.text


def test_one_replica_that_lags_is_not_believed_while_the_other_is_away(clock: Clock):
    said = Behind(2)
    for turn in range(0, 200, 2):
        said.said(turn, behind=True)
        clock.now_s += BEHIND_S
        assert not said.insisted


def test_all_replicas_that_say_so_are_believed(clock: Clock):
    said = Behind(2)
    said.said(0, behind=True)
    clock.now_s += BEHIND_S * 2
    said.said(1, behind=True)
    assert not said.insisted
    clock.now_s += BEHIND_S + 1
    assert said.insisted


def test_one_that_knows_what_runs_here_ends_it(clock: Clock):
    said = Behind(2)
    said.said(0, behind=True)
    said.said(1, behind=True)
    clock.now_s += BEHIND_S + 1
    said.said(1, behind=False)
    assert not said.insisted
    said.said(0, behind=True)
    clock.now_s += BEHIND_S + 1
    assert not said.insisted
