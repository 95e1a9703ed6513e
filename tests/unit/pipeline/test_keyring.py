"""The table of virtual keys: what is found after any sequence of changes is what the last of them said."""

from hypothesis import given
from hypothesis import strategies as st

from heddle.model.virtual_keys import KeySecret, VirtualKey
from heddle.pipeline.keyring import Keyring


def digest(number: int) -> bytes:
    return bytes([number]) * 32


def key(name: str, *numbers: int, **fields: object) -> VirtualKey:
    return VirtualKey(id=name, secrets=tuple(KeySecret(digest(n)) for n in numbers), **fields)  # type: ignore[arg-type]


def found(ring: Keyring, number: int) -> str | None:
    hit = ring.find(digest(number))
    return hit[0].key.id if hit else None


def test_a_changed_key_is_no_longer_found_by_its_former_secret():
    ring = Keyring()
    ring.change([key("a", 1)])
    ring.change([key("a", 2)])
    assert [found(ring, 1), found(ring, 2), len(ring)] == [None, "a", 1]


def test_a_key_that_is_gone_is_gone_with_all_its_secrets():
    ring = Keyring()
    ring.change([key("a", 1, 2), key("b", 3)])
    ring.change([], ["a", "never-there"])
    assert [found(ring, n) for n in (1, 2, 3)] == [None, None, "b"]


def test_the_whole_replaces_everything():
    ring = Keyring()
    ring.change([key("a", 1)])
    ring.change([key("b", 2)], whole=True)
    assert [found(ring, 1), found(ring, 2)] == [None, "b"]


def test_the_sooner_end_counts():
    ring = Keyring()
    two = VirtualKey(id="a", secrets=(KeySecret(digest(1), 50.0), KeySecret(digest(2))), expires_at_s=100.0)
    ring.change([two, VirtualKey(id="b", secrets=(KeySecret(digest(3), 70.0),))])
    assert [ring.find(digest(n))[1] for n in (1, 2, 3)] == [50.0, 100.0, 70.0]  # type: ignore[index]


def test_followers_hear_of_every_change_after_it_was_made():
    ring, heard = Keyring(), []
    ring.followers.append(lambda: heard.append(found(ring, 1)))
    ring.change([key("a", 1)])
    ring.change([], ["a"])
    assert heard == ["a", None]


def test_its_text_shows_no_digest():
    text = repr(key("a", 1, metadata={"note": "private"}))
    assert "key" in text.lower()
    assert "\\x01" not in text
    assert "private" not in text


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_any_sequence_of_changes_ends_where_a_plain_table_does(steps: list[tuple[str, bool]]):
    ring, plain = Keyring(), {}
    for number, (name, stays) in enumerate(steps):
        ring.change([key(name, number)] if stays else [], [] if stays else [name])
        plain.pop(name, None)
        if stays:
            plain[name] = number
    assert {n: found(ring, n) for n in range(len(steps))} == {
        n: next((name for name, at in plain.items() if at == n), None) for n in range(len(steps))
    }
