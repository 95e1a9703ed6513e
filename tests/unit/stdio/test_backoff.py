"""When a server that keeps ending starts again."""

from heddle.stdio.backoff import MAX_KEYS, PAUSES_S, Backoff


def test_pauses_grow_and_stay():
    now = [100.0]
    backoff = Backoff(lambda: now[0])
    assert backoff.wait_s("alice") == 0
    waits = []
    for _ in range(9):
        backoff.failed("alice", 0.1, "why")
        waits.append(backoff.wait_s("alice"))
    assert waits == [*PAUSES_S, 30.0, 30.0]
    assert (backoff.why("alice"), backoff.why("bob")) == ("why", "")
    assert backoff.wait_s("bob") == 0, "one who makes it crash does not keep it from others"
    now[0] += 31
    assert backoff.wait_s("alice") == 0


def test_one_that_lived_long_begins_anew():
    backoff = Backoff(lambda: 0.0)
    for _ in range(5):
        backoff.failed("", 1.0, "")
    backoff.failed("", 61.0, "")
    assert backoff.wait_s("") == PAUSES_S[0]
    backoff.failed("", 1.0, "")
    assert backoff.wait_s("") == PAUSES_S[1]


def test_many_callers_do_not_fill_memory():
    backoff = Backoff(lambda: 0.0)
    for number in range(3 * MAX_KEYS):
        backoff.failed(str(number), 0.0, "")
    assert len(backoff._failed) == MAX_KEYS
