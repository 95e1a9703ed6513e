"""A watched folder: its YAML documents are the resources, and a change of a file is a change of them.

Owns which files count, when a change is over, and what holds while something cannot be read: of a broken file the last
good version, of a missing or emptied folder everything. Reads only files that really are in the folder; writes none, so
that nothing it causes can start it again.
"""

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from heddle.controlplane.read import read_text
from heddle.controlplane.sources.declared import Declaration, Reader, Text
from heddle.controlplane.sources.loop import Brought, Source
from heddle.model.kinds import Kinds
from heddle.model.problem import Problem, Report

POLL_S = 0.25
"""How often the folder is looked at. A change counts once it looked the same twice."""
MAX_FILES = 10_000
_SUFFIXES = (".yaml", ".yml")

Stamps = dict[str, tuple[int, int, int]]
"""Name -> when it was changed, its size, its inode: an editor that renames a new file into place changes the last."""


class FolderError(Exception):
    """The folder cannot be read; what it declared before stays."""


class _Good(NamedTuple):
    """The last good version of a file."""

    stamp: tuple[int, int, int]
    declared: list[Declaration]


class Folder(Source):
    """A watched folder."""

    def __init__(self, name: str, path: Path, kinds: Callable[[], Kinds]) -> None:
        """`name` is unique among the folders of a mesh; `kinds` says what is served now."""
        super().__init__(f"folder:{name}", "Folder", str(path))
        self._path = path
        self._kinds = kinds
        self._good: dict[str, _Good] = {}
        self._before: Stamps | None = None
        self._taken: Stamps | None = None

    async def changed(self) -> None:
        """Return when the folder looks different from what was read last, and is no longer changing."""
        while True:
            now = await asyncio.to_thread(self._look)
            settled, self._before = now == self._before, now
            if settled and now != self._taken:
                return
            await asyncio.sleep(POLL_S)

    async def read(self) -> Brought:
        """What it declares now."""
        return await asyncio.to_thread(self._read)

    def _look(self) -> Stamps:
        try:
            return _stamps(self._path)
        except FolderError:
            return {}

    def _read(self) -> Brought:
        try:
            # Before the files: one that changes meanwhile is looked at again.
            stamps = self._taken = _stamps(self._path)
        except FolderError as exc:
            self._taken = {}
            return Brought(error=str(exc))
        if not stamps:
            return Brought(error=f"{self._path}: the folder holds no .yaml or .yml file")
        problems: list[Problem] = []
        for name, stamp in stamps.items():
            problems += self._file(name, stamp)
        unread = [name for name in stamps if name not in self._good]
        self._good = {name: good for name, good in self._good.items() if name in stamps}
        declared = [one for name in stamps if name in self._good for one in self._good[name].declared]
        return Brought(declared, problems, keep=unread)

    def _file(self, name: str, stamp: tuple[int, int, int]) -> list[Problem]:
        """Read a file, unless it is known; the problems of one that is not good."""
        known = self._good.get(name)
        if known is not None and known.stamp == stamp:
            return []
        report = Report()
        path = (self._path / name).resolve()
        if not path.is_relative_to(self._path.resolve()):
            outside = f"{self._path / name}: leads out of the folder; links are followed only inside"
            return [Problem("error", str(self._path / name), 0, "", outside)]
        content = read_text(path, report)
        if content is not None:
            text = Text(name, content, str(self._path.resolve()))
            declared = Reader(self._kinds(), self.name, f"{self._path}/").read(text, report)
            if not report.failed:
                self._good[name] = _Good(stamp, declared)
        return [problem for problem in report.problems if problem.severity == "error"]


def _stamps(path: Path) -> Stamps:
    """The files of a folder by name: `*.yaml` and `*.yml`, hidden ones left out. Raises FolderError."""
    found: Stamps = {}
    try:
        for one in sorted(path.iterdir()):
            if one.suffix not in _SUFFIXES or one.name.startswith("."):
                continue
            try:
                seen = one.stat()
            except FileNotFoundError:
                # Between two renames of an editor, or a link to nowhere: reading it says which.
                seen = one.lstat()
            if stat.S_ISDIR(seen.st_mode):
                continue
            found[one.name] = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
            if len(found) > MAX_FILES:
                raise FolderError(f"{path}: more than {MAX_FILES} files")
    except OSError as exc:
        raise FolderError(f"{path}: cannot be read: {exc.strerror}") from exc
    return found
