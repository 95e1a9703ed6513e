"""The seal of Secrets: the key file, and what is sealed with it."""

from pathlib import Path

import pytest

from heddle.controlplane.store.sealing import FILE, KeyedSeal, SealedError, seal_of

OLD, NEW = "o" * 32, "n" * 32


def test_what_was_sealed_opens_where_it_was_bound():
    seal = KeyedSeal((OLD,))
    sealed = seal.seal(b"HIDDEN", b"shop/a")
    assert b"HIDDEN" not in sealed
    assert sealed != seal.seal(b"HIDDEN", b"shop/a")
    assert seal.open(sealed, b"shop/a") == b"HIDDEN"
    with pytest.raises(SealedError, match="moved"):
        seal.open(sealed, b"shop/b")
    for at in range(len(sealed)):
        broken = bytearray(sealed)
        broken[at] ^= 1
        with pytest.raises(SealedError):
            seal.open(bytes(broken), b"shop/a")


@pytest.mark.parametrize("garbage", [b"", b"\x01", b"{}", b"\x01" + b"\0" * 60])
def test_garbage_does_not_open(garbage: bytes):
    with pytest.raises(SealedError):
        KeyedSeal((OLD,)).open(garbage)


def test_keys_are_replaced_by_one_in_front():
    before = KeyedSeal((OLD,)).seal(b"x")
    both = KeyedSeal((NEW, OLD))
    assert both.open(before) == b"x"
    after = both.seal(b"x")
    assert KeyedSeal((NEW,)).open(after) == b"x"
    with pytest.raises(SealedError, match="key that is not known"):
        KeyedSeal((OLD,)).open(after)
    assert before[1:9] != after[1:9], "which key it was is in front"


def test_a_digest_is_of_the_content_its_place_and_the_key():
    seal = KeyedSeal((OLD,))
    assert seal.digest(b"x", b"a") == seal.digest(b"x", b"a")
    others = [
        seal.digest(b"y", b"a"),
        seal.digest(b"x", b"b"),
        KeyedSeal((NEW,)).digest(b"x", b"a"),
        seal.digest(b"ax"),
    ]
    assert len({seal.digest(b"x", b"a"), *others}) == 5
    assert len(seal.digest(b"")) == 64


@pytest.mark.parametrize("keys", [(), ("short",), ("k" * 32, "")])
def test_weak_keys_are_refused(keys: tuple[str, ...]):
    with pytest.raises(ValueError, match="32 characters"):
        KeyedSeal(keys)


def test_the_file_is_made_once_and_for_its_owner(tmp_path: Path):
    directory = tmp_path / "control-plane"
    sealed = seal_of(directory).seal(b"x")
    assert seal_of(directory).open(sealed) == b"x"
    assert (directory / FILE).stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o077 == 0
    (directory / FILE).write_text(f"{NEW}\n{(directory / FILE).read_text()}")
    assert seal_of(directory).open(sealed) == b"x"
    assert seal_of(directory).seal(b"x")[1:9] == KeyedSeal((NEW,)).seal(b"x")[1:9]


def test_a_file_that_cannot_be_trusted_is_refused(tmp_path: Path):
    seal_of(tmp_path)
    path = tmp_path / FILE
    path.chmod(0o640)
    with pytest.raises(ValueError, match="chmod 600"):
        seal_of(tmp_path)
    path.chmod(0o600)
    for content in (b"", b"HIDDEN", b"\xff" * 40):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="holds no keys") as caught:
            seal_of(tmp_path)
        assert caught.value.__cause__ is None
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        seal_of(tmp_path)


def test_nothing_shows_a_key():
    assert OLD not in repr(KeyedSeal((OLD,)))
