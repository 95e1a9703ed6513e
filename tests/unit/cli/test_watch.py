"""Noticing changes: of what was read, and of what was missing when it was looked for."""

import os
from pathlib import Path

from heddle.cli.watch import Watch


def test_a_file_that_changes_comes_or_goes(tmp_path: Path) -> None:
    config = tmp_path / "heddle.yaml"
    config.write_text("a")
    watch = Watch([config])
    assert not watch.changed()
    config.write_text("ab")
    assert watch.changed()
    assert not watch.changed()
    config.unlink()
    assert watch.changed()
    config.write_text("a")
    assert watch.changed()


def test_a_folder_is_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a")
    watch = Watch([tmp_path])
    (tmp_path / "a.yaml").write_text("ab")
    assert watch.changed()
    (tmp_path / "b.yml").write_text("b")
    assert watch.changed()
    assert not watch.changed()


def test_a_file_that_was_missing_at_the_last_attempt_is_noticed_when_it_comes(tmp_path: Path) -> None:
    config, key = tmp_path / "heddle.yaml", tmp_path / "newkey"
    config.write_text("a")
    watch = Watch([config])
    watch.follow([config, key])
    assert not watch.changed(), "following another file is no change"
    key.write_text("sk")
    assert watch.changed()


def test_a_change_during_an_attempt_is_not_lost(tmp_path: Path) -> None:
    config = tmp_path / "heddle.yaml"
    config.write_text("a")
    watch = Watch([config])
    config.write_text("ab")
    watch.follow([config])
    assert watch.changed()


def test_what_is_no_longer_named_is_no_longer_watched(tmp_path: Path) -> None:
    config, old = tmp_path / "heddle.yaml", tmp_path / "old"
    config.write_text("a")
    old.write_text("a")
    watch = Watch([config])
    watch.follow([config, old])
    watch.follow([config])
    old.unlink()
    assert not watch.changed()


def test_a_file_replaced_by_one_that_looks_alike(tmp_path: Path) -> None:
    config, fresh = tmp_path / "heddle.yaml", tmp_path / "fresh"
    config.write_text("a")
    watch = Watch([config])
    stamp = config.stat()
    fresh.write_text("b")
    os.utime(fresh, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    fresh.replace(config)
    assert watch.changed()
