"""What every driver of documents promises. A new one adds itself to `conftest.py` and has to pass all of it."""

import asyncio
import hashlib

import pytest
from tests.contract.documents.drivers import ALICE, Open, Told, key, opened, write

from heddle.drivers.documents import ConflictError, Documents, ExpiredError, UnavailableError

# Writing


async def test_a_change_has_the_next_number_and_says_what_it_replaced(documents: Documents):
    start = await documents.latest()
    (made,) = await documents.write([write(body=b'{"n":1}', expected=0)])
    assert (made.version, made.previous, made.deleted, made.body) == (start + 1, 0, False, b'{"n":1}')
    (changed,) = await documents.write([write(body=b'{"n":2}', expected=made.version)])
    assert (changed.version, changed.previous, changed.body) == (start + 2, start + 1, b'{"n":2}')
    (gone,) = await documents.write([write(body=None, expected=changed.version)])
    assert (gone.version, gone.previous, gone.deleted, gone.body) == (start + 3, start + 2, True, b'{"n":2}')
    (again,) = await documents.write([write(body=b'{"n":3}', expected=0)])
    assert (again.version, again.previous) == (start + 4, 0)
    assert await documents.latest() == start + 4


async def test_what_is_expected_must_hold(documents: Documents):
    (made,) = await documents.write([write(expected=0)])
    for expected in (0, made.version - 1, made.version + 1, -1, 2**63):
        with pytest.raises(ConflictError) as caught:
            await documents.write([write(expected=expected)])
        assert (caught.value.key, caught.value.current) == (key(), made.version)
    with pytest.raises(ConflictError) as caught:
        await documents.write([write("absent", expected=7)])
    assert caught.value.current == 0
    assert await documents.latest() == made.version


async def test_what_is_not_there_cannot_be_deleted(documents: Documents):
    for expected in (None, 0):
        with pytest.raises(ConflictError):
            await documents.write([write(body=None, expected=expected)])
    assert (await documents.snapshot())[1] == []


async def test_a_batch_is_written_whole_or_not_at_all(documents: Documents):
    start = await documents.latest()
    with pytest.raises(ConflictError):
        await documents.write([write("a"), write("b"), write("c", expected=5)])
    assert await documents.latest() == start
    assert (await documents.snapshot())[1] == []
    made = await documents.write([write("a"), write("b"), write("a", b"[]", expected=start + 1), write("b", None)])
    assert [one.version for one in made] == [start + 1, start + 2, start + 3, start + 4]
    assert [one.previous for one in made] == [0, 0, start + 1, start + 2]
    assert [one.body for one in (await documents.snapshot())[1]] == [b"[]"]
    assert await documents.write([]) == []


async def test_a_refused_batch_harms_none_beside_it(documents: Documents):
    writes = [documents.write([write(f"n{number}", expected=number % 3)]) for number in range(60)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    refused = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, ConflictError)]
    assert refused == [number for number in range(60) if number % 3]
    _, objects = await documents.snapshot()
    assert {one.key.name for one in objects} == {f"n{number}" for number in range(0, 60, 3)}


async def test_of_many_who_expect_the_same_one_wins(documents: Documents):
    outcomes = await asyncio.gather(*[documents.write([write(expected=0)]) for _ in range(20)], return_exceptions=True)
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 19


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 2_000])
async def test_what_no_store_can_keep_is_refused_alone(documents: Documents, name: str):
    good = asyncio.create_task(documents.write([write("good")]))
    with pytest.raises(ValueError):
        await documents.write([write(name)])
    assert await good
    with pytest.raises(ValueError):
        await documents.write([write(body=b"")])
    with pytest.raises(ValueError):
        await documents.write([write(body=b"x" * (8 * 1024 * 1024 + 1))])


async def test_names_are_what_they_are(documents: Documents):
    names = ["Ä", "a", "A", "a'b", 'a"b', "a%", "a_", "\u2028", "\U0001d54f", "", " "]
    await documents.write(
        [write(key(name, namespace=name), f'"{number}"'.encode()) for number, name in enumerate(names)]
    )
    _, objects = await documents.snapshot()
    assert {(one.key.name, one.key.namespace) for one in objects} == {(name, name) for name in names}


async def test_a_writer_that_gave_up_changes_nothing_for_others(documents: Documents):
    start = await documents.latest()
    tasks = [asyncio.create_task(documents.write([write(f"n{number}")])) for number in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 9
    versions = [one.version for one in await documents.changes(start, 100)]
    assert versions == list(range(start + 1, start + 1 + len(versions)))


# The sequence


async def test_changes_are_in_order_and_bring_what_was_before(documents: Documents):
    start = await documents.latest()
    await documents.write([write("a", b"1"), write("b", b"2"), write("a", b"3"), write("a", None)])
    await documents.write([write(key("c", "secrets"), b"4", sealed=True)])
    found = await documents.changes(start, 10)
    assert [(one.key.name, one.body, one.before, one.deleted) for one in found] == [
        ("a", b"1", None, False),
        ("b", b"2", None, False),
        ("a", b"3", b"1", False),
        ("a", b"3", b"3", True),
        ("c", b"4", None, False),
    ]
    assert [one.sealed for one in found] == [False] * 4 + [True]
    assert await documents.changes(start + 1, 2) == found[1:3]
    assert await documents.changes(start, 10, "secrets") == found[4:]
    assert await documents.changes(start + 5, 10) == []
    assert await documents.changes(start + 500, 10) == []


async def test_all_are_told_of_each_change_once_and_in_order(documents: Documents):
    start, told = await documents.latest(), Told(documents)
    await asyncio.gather(*[documents.write([write(f"n{number}"), write(f"m{number}")]) for number in range(50)])
    assert [one.version for one in told.changes] == list(range(start + 1, start + 101))


async def test_who_wrote_was_told_before(documents: Documents):
    told = Told(documents)
    (made,) = await documents.write([write()])
    assert told.changes[-1] == made


async def test_compacted_changes_are_gone_and_later_ones_whole(documents: Documents):
    start = await documents.latest()
    for number in range(6):
        await documents.write([write("a", b"%d" % number)])
    await documents.compact(start + 4)
    with pytest.raises(ExpiredError) as caught:
        await documents.changes(start + 3, 10)
    assert caught.value.oldest == start + 4
    later = await documents.changes(start + 4, 10)
    assert [(one.body, one.before) for one in later] == [(b"4", b"3"), (b"5", b"4")]
    # Again, less, and beyond the end: nothing that is harmful.
    for before in (start + 4, start, start + 1_000):
        await documents.compact(before)
    with pytest.raises(ExpiredError) as caught:
        await documents.changes(start + 4, 10)
    assert caught.value.oldest == start + 6
    assert await documents.changes(start + 6, 10) == []
    assert [one.body for one in (await documents.snapshot())[1]] == [b"5"]


async def test_what_a_kept_change_replaced_is_kept_however_many_there_are(documents: Documents):
    start = await documents.latest()
    for number in range(8):
        await documents.write([write("a", b"%d" % number)])
    for kept in (2, 3):
        await documents.compact(start + kept)
        found = await documents.changes(start + kept, 10)
        assert [(one.body, one.before) for one in found] == [(b"%d" % n, b"%d" % (n - 1)) for n in range(kept, 8)]


# History


async def test_every_version_is_kept_with_who_when_and_why(documents: Documents):
    (made,) = await documents.write([write(body=b"1")])
    (gone,) = await documents.write([write(body=None)])
    after, before = await documents.revisions(key())
    assert (before.version, before.body, before.deleted, before.author) == (made.version, b"1", False, ALICE)
    assert before.sha256 == hashlib.sha256(b"1").hexdigest()
    assert before.time_s == 1_700_000_000.5
    assert (after.version, after.body, after.deleted) == (gone.version, None, True)
    assert await documents.revisions(key("another")) == []


async def test_history_is_bounded(documents: Documents):
    for number in range(8):
        await documents.write([write(body=b"%d" % number)])
    assert [one.body for one in await documents.revisions(key())] == [b"7", b"6", b"5"]
    await documents.compact(await documents.latest())
    assert [one.body for one in await documents.revisions(key())] == [b"7", b"6", b"5"]


async def test_what_was_deleted_long_ago_has_no_history(documents: Documents):
    for name in "abcd":
        await documents.write([write(name), write(name, None)])
    await documents.write([write("a")])
    await documents.compact(await documents.latest())
    assert [len(await documents.revisions(key(name))) for name in "abcd"] == [1, 0, 2, 2]


async def test_what_was_sealed_leaves_its_digest(documents: Documents):
    secret = key("s", "secrets")
    start = await documents.latest()
    for number in range(3):
        await documents.write([write(secret, b"sealed %d" % number, sealed=True, digest=f"d{number}")])
    shown = [(one.body, one.sha256) for one in await documents.revisions(secret)]
    assert shown == [(b"sealed 2", "d2"), (None, "d1"), (None, "d0")]
    assert [one.body for one in await documents.changes(start, 10)] == [b"sealed 0", b"sealed 1", b"sealed 2"]
    await documents.compact(await documents.latest())
    await documents.write([write(secret, None)])
    assert [one.before for one in await documents.changes(start + 3, 10)] == [b"sealed 2"]
    assert [one.body for one in await documents.revisions(secret)] == [None, None, None]


# Restarts


async def test_everything_is_there_afterwards(reopen: Open):
    async with opened(reopen()) as documents:
        await documents.write([write("a", b"1"), write("b", b"2"), write("b", None)])
        await documents.write([write(key("s", "secrets"), b"3", sealed=True)])
        before = await documents.snapshot()
        log = await documents.changes(before[0] - 4, 10)
    async with opened(reopen()) as documents:
        assert await documents.snapshot() == before
        assert await documents.latest() == before[0]
        assert await documents.changes(before[0] - 4, 10) == log
        (made,) = await documents.write([write("b", expected=0)])
        assert made.version == before[0] + 1
        with pytest.raises(ConflictError):
            await documents.write([write("a", expected=0)])


async def test_a_number_is_never_given_twice(reopen: Open):
    async with opened(reopen()) as documents:
        for name in "abc":
            await documents.write([write(name), write(name, None)])
        last = await documents.latest()
        await documents.compact(last)
    async with opened(reopen()) as documents:
        assert (await documents.write([write()]))[0].version == last + 1


async def test_closed_is_unavailable(reopen: Open):
    documents = reopen()
    for call in (documents.write([write()]), documents.snapshot(), documents.changes(0, 1)):
        with pytest.raises(UnavailableError):
            await call
    async with opened(documents):
        pass
    for call in (documents.write([write()]), documents.snapshot(), documents.revisions(key())):
        with pytest.raises(UnavailableError):
            await call
