"""Keys of replicas: who comes first leaves them in the database, the others take them, nobody replaces any."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from heddle.controlplane.access.authority import Authority, AuthorityError
from heddle.controlplane.replicas.keys import PLACE, SharedKeysError, make_key_file, share
from heddle.controlplane.store import seal_of
from heddle.drivers.documents import Author, Write
from heddle.drivers.documents.sqlite import SqliteDocuments

KEY, OTHER = "k" * 40, "o" * 40
FILES = ("authority.pem", "tokens.pem", "store.key")


class Rig:
    """Replicas, one after the other, on one database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "shared.db"

    def files(self, replica: str) -> dict[str, bytes]:
        folder = self.folder / replica / "control-plane"
        return {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}

    async def share(self, replica: str, *keys: str) -> dict[str, bytes]:
        await share(SqliteDocuments(self.database), self.folder / replica / "control-plane", keys)
        return self.files(replica)

    async def kept(self) -> bytes:
        documents = SqliteDocuments(self.database)
        await documents.open()
        try:
            body = (await documents.revisions(PLACE))[0].body
            assert body is not None
            return body
        finally:
            await documents.close()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


async def test_the_second_replica_has_the_keys_of_the_first(rig: Rig):
    first = await rig.share("a", KEY)
    assert first.keys() == set(FILES)
    assert await rig.share("b", KEY) == first
    folder = rig.folder / "b" / "control-plane"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {(folder / name).stat().st_mode & 0o777 for name in FILES} == {0o600}


async def test_what_is_made_of_them_is_one_authority_and_one_seal(rig: Rig):
    await rig.share("a", KEY)
    await rig.share("b", KEY)
    one, other = (Authority(rig.folder / name, time.time) for name in "ab")
    assert one.ca_pem == other.ca_pem
    assert one.token_key == other.token_key
    sealed = seal_of(rig.folder / "a" / "control-plane").seal(b"secret", b"bound")
    assert seal_of(rig.folder / "b" / "control-plane").open(sealed, b"bound") == b"secret"


async def test_nothing_of_them_is_readable_in_the_database(rig: Rig):
    files = await rig.share("a", KEY)
    kept = await rig.kept()
    for content in files.values():
        for line in content.splitlines():
            assert len(line) < 20 or line not in kept
    assert KEY.encode() not in kept


async def test_another_key_opens_nothing_and_makes_nothing(rig: Rig):
    await rig.share("a", KEY)
    with pytest.raises(SharedKeysError, match="another key than that of --key-file"):
        await rig.share("b", OTHER)
    with pytest.raises(SharedKeysError, match="give the --key-file"):
        await rig.share("b")
    assert rig.files("b") == {}


async def test_a_replica_with_keys_of_its_own_is_told_which_and_keeps_them(rig: Rig):
    await rig.share("a", KEY)
    Authority(rig.folder / "b", time.time)
    before = rig.files("b")
    with pytest.raises(SharedKeysError, match=r"control-plane/authority\.pem is not the one") as caught:
        await rig.share("b", KEY)
    assert "BEGIN" not in str(caught.value)
    assert rig.files("b") == before


async def test_without_a_shared_key_the_files_must_be_there(rig: Rig):
    first = await rig.share("a")
    assert await rig.share("a") == first
    with pytest.raises(SharedKeysError, match=r"authority\.pem is missing"):
        await rig.share("b")
    folder = rig.folder / "b" / "control-plane"
    for name, content in first.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    assert await rig.share("b") == first


async def test_a_key_that_is_given_later_is_for_those_who_come_later(rig: Rig):
    first = await rig.share("a")
    await rig.share("a", KEY)
    assert await rig.share("b", KEY) == first


async def test_a_new_key_replaces_the_old_one_by_standing_before_it(rig: Rig):
    first = await rig.share("a", KEY)
    await rig.share("a", OTHER, KEY)
    assert await rig.share("b", OTHER) == first
    with pytest.raises(SharedKeysError, match="another key"):
        await rig.share("c", KEY)


async def test_who_has_the_files_but_not_the_key_seals_nothing_anew(rig: Rig):
    await rig.share("a", KEY)
    kept = await rig.kept()
    with pytest.raises(SharedKeysError, match="another key"):
        await rig.share("a", OTHER)
    assert await rig.kept() == kept


async def test_files_that_others_can_read_are_not_shared(rig: Rig):
    await rig.share("a", KEY)
    (rig.folder / "a" / "control-plane" / "tokens.pem").chmod(0o644)
    with pytest.raises(AuthorityError, match="chmod 600"):
        await rig.share("a", KEY)


@pytest.mark.parametrize("body", [b"{}", b'{"metadata": {}, "prints": []}', b"[]"])
async def test_what_cannot_be_read_is_said(rig: Rig, body: bytes):
    documents = SqliteDocuments(rig.database)
    await documents.open()
    await documents.write([Write(PLACE, body, 0, Author("x"), 1.0)])
    await documents.close()
    with pytest.raises(SharedKeysError, match="cannot be read"):
        await rig.share("a", KEY)


async def test_a_row_that_was_tampered_with_gives_no_keys(rig: Rig):
    await rig.share("a", KEY)
    kept = json.loads(await rig.kept())
    # Each is bound to its file: the store's key must not become the tokens'.
    kept["sealed"]["tokens.pem"] = kept["sealed"]["store.key"]
    documents = SqliteDocuments(rig.database)
    await documents.open()
    await documents.write([Write(PLACE, json.dumps(kept).encode(), None, Author("x"), 1.0)])
    await documents.close()
    with pytest.raises(SharedKeysError, match="another key"):
        await rig.share("b", KEY)
    assert rig.files("b") == {}


async def test_two_that_come_first_at_once_end_with_the_same_keys(rig: Rig):
    documents = SqliteDocuments(rig.database)
    await documents.open()

    class Shared:
        """One connection for both, as a server would have it."""

        def __getattr__(self, name: str) -> object:
            return getattr(documents, name)

        async def open(self) -> None:
            await asyncio.sleep(0)

        async def close(self) -> None:
            await asyncio.sleep(0)

    try:
        places = [rig.folder / name / "control-plane" for name in "abcd"]
        await asyncio.gather(*(share(Shared(), place, [KEY]) for place in places))  # type: ignore[arg-type]
    finally:
        await documents.close()
    assert rig.files("a").keys() == set(FILES)
    assert rig.files("a") == rig.files("b") == rig.files("c") == rig.files("d")


def test_a_key_file_is_private_and_never_replaced(tmp_path: Path):
    path = tmp_path / "key"
    make_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_text().strip()) == 64
    with pytest.raises(FileExistsError):
        make_key_file(path)
