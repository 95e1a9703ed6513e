"""Cooldowns and the budget of further attempts, under a clock of the test's own."""

import pytest

from heddle.traffic.health import MAX_COOLDOWN_S, MAX_TARGETS, RESERVE, Health, RetryBudget

KEY = ("up", "m")


def test_a_target_cools_down_after_so_many_failures_in_a_row():
    health = Health()
    for _ in range(2):
        health.failed(KEY, 0.0, after=3, cooldown_s=30.0)
        assert not health.cooling(KEY, 1.0)
    health.failed(KEY, 1.0, after=3, cooldown_s=30.0)
    assert health.cooling(KEY, 30.9)
    assert not health.cooling(KEY, 31.0)


def test_a_success_ends_the_row():
    health = Health()
    health.failed(KEY, 0.0, after=2, cooldown_s=30.0)
    health.succeeded(KEY)
    health.failed(KEY, 0.0, after=2, cooldown_s=30.0)
    assert not health.cooling(KEY, 0.0)


def test_one_call_tries_a_target_anew_before_the_others():
    health = Health()
    health.refused(KEY, 0.0, 10.0)
    assert not health.cooling(KEY, 10.0)
    assert health.cooling(KEY, 10.1)
    health.failed(KEY, 10.2, after=1, cooldown_s=10.0)
    assert health.cooling(KEY, 20.0)
    assert not health.cooling(KEY, 20.2)
    health.succeeded(KEY)
    assert not health.cooling(KEY, 20.3)
    assert not health.cooling(KEY, 20.3)


def test_a_trial_whose_outcome_is_never_told_does_not_block_for_ever():
    health = Health()
    health.refused(KEY, 0.0, 10.0)
    assert not health.cooling(KEY, 10.0)
    assert not health.cooling(KEY, 10.0 + Health.PROBE_S)


def test_a_provider_cannot_ask_to_be_left_alone_for_ever():
    health = Health()
    health.refused(KEY, 0.0, 1e9)
    assert health.cooling(KEY, MAX_COOLDOWN_S - 1)
    assert not health.cooling(KEY, MAX_COOLDOWN_S)


def test_no_cooldown_means_none():
    health = Health()
    for _ in range(10):
        health.failed(KEY, 0.0, after=1, cooldown_s=0.0)
    health.refused(KEY, 0.0, 0.0)
    assert not health.cooling(KEY, 0.0)


def test_what_is_remembered_is_bounded():
    health = Health()
    for number in range(MAX_TARGETS + 10):
        health.refused(("up", str(number)), 0.0, 10.0)
    assert len(health._states) == MAX_TARGETS
    assert health.cooling(("up", str(MAX_TARGETS + 9)), 1.0)


@pytest.mark.parametrize("share", [0.1, 0.2, 1.0])
def test_further_attempts_stay_within_their_share_of_calls(share: float):
    budget, made, calls = RetryBudget(share), 0, 10_000
    for _ in range(calls):
        budget.deposit()
        while budget.withdraw():
            made += 1
    assert made <= calls * share + RESERVE
    assert made >= calls * share - 1


def test_without_a_share_there_are_none():
    budget = RetryBudget(0.0)
    budget.deposit()
    assert not budget.withdraw()


def test_quiet_times_do_not_save_up_a_storm():
    budget, made = RetryBudget(0.2), 0
    for _ in range(1_000_000):
        budget.deposit()
    while budget.withdraw():
        made += 1
    assert made <= 20
