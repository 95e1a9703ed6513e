"""Where resources are kept, by what the process was told."""

import argparse
from pathlib import Path

import pytest

from heddle.controlplane.replicas.database import DATABASE, KEY, Database, add_arguments, database_of
from heddle.drivers.documents.postgres import PostgresDocuments
from heddle.drivers.documents.sqlite import SqliteDocuments

URL = "postgresql://heddle:hunter2@db/mesh"


def told(environ: dict[str, str], *arguments: str) -> Database:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return database_of(parser.parse_args(arguments), environ)


def test_nothing_said_is_a_file(tmp_path: Path):
    found = told({})
    assert not found.is_shared
    assert isinstance(found.documents(tmp_path / "r.db"), SqliteDocuments)


def test_the_environment_says_it_and_says_it_no_longer(tmp_path: Path):
    environ = {DATABASE: URL, KEY: "k" * 32, "OTHER": "stays"}
    found = told(environ)
    assert environ == {"OTHER": "stays"}
    assert (found.address, found.keys) == (URL, ("k" * 32,))
    documents = found.documents(tmp_path / "r.db")
    assert isinstance(documents, PostgresDocuments)
    assert "hunter2" not in f"{found!r}{documents!r}"
    assert "kkkk" not in repr(found)


def test_files_say_it(tmp_path: Path):
    url, key = tmp_path / "url", tmp_path / "key"
    url.write_text(URL + "\n")
    key.write_text("a" * 40 + "\n" + "b" * 40 + "\n")
    key.chmod(0o600)
    found = told({}, "--database-file", str(url), "--key-file", str(key))
    assert (found.address, found.keys) == (URL, ("a" * 40, "b" * 40))


def test_how_much_of_the_past(tmp_path: Path):
    found = told({}, "--keep-revisions=5", "--keep-deletions=6", "--keep-changes=7", "--keep-changes-for=8")
    assert (found.retention.revisions, found.retention.deletions) == (5, 6)
    assert found.horizon.before(0.0, 100) == 93


@pytest.mark.parametrize(
    ("environ", "arguments", "said"),
    [
        ({DATABASE: "mysql://hunter2@db/x"}, (), "must be postgresql://"),
        ({DATABASE: URL, KEY: "hunter2"}, (), "at least 32 characters"),
        ({KEY: "k" * 32}, (), "without the database"),
        ({}, ("--keep-revisions=0",), "at least 1"),
        ({}, ("--keep-changes-for=-1",), "at least 1"),
    ],
)
def test_what_is_wrong_is_said_without_a_secret(environ: dict[str, str], arguments: tuple[str, ...], said: str):
    with pytest.raises(ValueError, match=said) as caught:
        told(environ, *arguments)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b"\xff\xfehunter2", "ASCII")])
def test_a_file_that_says_nothing_useful_is_named(tmp_path: Path, content: bytes, said: str):
    file = tmp_path / "url"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"url.*{said}") as caught:
        told({}, "--database-file", str(file))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_that_others_can_read_is_refused(tmp_path: Path):
    file = tmp_path / "key"
    file.write_text("k" * 40)
    file.chmod(0o644)
    with pytest.raises(ValueError, match="chmod 600"):
        told({DATABASE: URL}, "--key-file", str(file))
