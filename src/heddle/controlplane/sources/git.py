"""A branch of a Git repository: its YAML documents are the resources, its newest commit is what holds.

Owns when it is fetched (regularly, or when told to), what is read of a commit, and that a commit which is not signed as
asked, or cannot be fetched, changes nothing. A rollback stays at an earlier commit until the branch moves on.
"""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from heddle.controlplane.sources.declared import Declaration, Reader, Text
from heddle.controlplane.sources.git_command import Access, Git, GitError, Place
from heddle.controlplane.sources.loop import Brought, Source
from heddle.controlplane.yamldoc import MAX_BYTES
from heddle.model.kinds import Kinds
from heddle.model.problem import Problem, Report

POLL_S = 60.0
MAX_FILES = 10_000
MAX_TOTAL_BYTES = 64 * 1024 * 1024
KEPT_COMMITS = 50
_MAX_PACKS = 400
"""Fetches after which our copy is made anew: it never collects garbage, so that earlier commits stay."""
_MEMORY = "heddle-commits.json"
_SUFFIXES = (".yaml", ".yml")
_FILE_MODES = ("100644", "100755")
_LINK_MODE = "120000"


class GitSpec(NamedTuple):
    """A branch to follow."""

    name: str
    """Unique among the Git sources of a mesh."""
    place: Place
    access: Access = Access()
    poll_s: float = POLL_S
    signers: Path | None = None
    """`allowed_signers` file of ssh; commits that nobody in it signed are not served."""


class _Entry(NamedTuple):
    mode: str
    blob: str
    size: int
    name: str


class _Memory(msgspec.Struct):
    """What outlives a restart."""

    commits: list[str] = []
    """Served before and now, the newest last."""
    held: str = ""
    """Commit of a rollback; empty follows the branch."""
    newest: str = ""
    """Newest commit of the branch when it was rolled back."""


class GitSource(Source):
    """A branch of a repository."""

    def __init__(self, spec: GitSpec, folder: Path, kinds: Callable[[], Kinds]) -> None:
        """`folder` is where our copy of the repository is, `kinds` says what is served now."""
        super().__init__(f"git:{spec.name}", "Git", str(spec.place))
        self._spec = spec
        self._git = Git(folder, spec.access)
        self._kinds = kinds
        self._told = asyncio.Event()
        self._told.set()
        self._good: Brought | None = None
        self._memory = _Memory()

    def poke(self) -> None:
        """There may be a new commit: look now."""
        self._told.set()

    async def changed(self) -> None:
        """Return when it is time to fetch."""
        try:
            async with asyncio.timeout(self._spec.poll_s):
                await self._told.wait()
        except TimeoutError:
            pass
        self._told.clear()

    def roll_back(self, commit: str = "") -> str:
        """Stay at an earlier commit, the one before the current by default, until the branch moves on. Returns it.

        Raises ValueError when that commit was not served before.
        """
        memory = self._memory
        earlier = [one for one in memory.commits[:-1] if one.startswith(commit)]
        if not earlier:
            known = ", ".join(one[:12] for one in reversed(memory.commits[:-1])) or "none"
            raise ValueError(f"{commit or 'an earlier commit'} was not served before; served were: {known}")
        memory.newest = memory.newest if memory.held else memory.commits[-1]
        memory.held = earlier[-1]
        self._remember()
        self.poke()
        return memory.held

    async def read(self) -> Brought:
        """What the newest commit, or the one that is held, declares."""
        try:
            await self._prepare()
            commit = self._chosen(await self._git.fetch(self._spec.place))
            if self._good is not None and self._good.commit == commit and not self._good.problems:
                return self._good
            if self._spec.signers is not None:
                await self._git.verify(commit, self._spec.signers)
            brought = self._good = await self._at(commit)
            memory = self._memory
            if memory.commits[-1:] != [commit]:
                memory.commits = [*(one for one in memory.commits if one != commit), commit][-KEPT_COMMITS:]
                self._remember()
        except GitError as exc:
            return Brought(error=str(exc))
        except OSError as exc:
            return Brought(error=f"git cannot be run: {exc.strerror or type(exc).__name__}")
        return brought

    async def _prepare(self) -> None:
        folder = self._git.folder
        if self._good is None:
            with suppress(OSError, msgspec.MsgspecError):
                self._memory = msgspec.json.decode((folder / _MEMORY).read_bytes(), type=_Memory)
        packs = sum(1 for _ in (folder / "objects" / "pack").glob("*.pack"))
        if packs > _MAX_PACKS and not self._memory.held:
            await asyncio.to_thread(shutil.rmtree, folder)
            self._memory = _Memory()
        await self._git.prepare()

    def _chosen(self, newest: str) -> str:
        memory = self._memory
        if memory.held and memory.newest != newest:
            memory.held = memory.newest = ""
        return memory.held or newest

    def _remember(self) -> None:
        path = self._git.folder / _MEMORY
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self._memory))
        fresh.replace(path)

    async def _at(self, commit: str) -> Brought:
        entries, problems = await self._entries(commit)
        contents = await self._contents(entries)
        seconds = int(await self._git.run("show", "--no-patch", "--format=%ct", "--end-of-options", commit))
        declared: list[Declaration] = []
        keep: list[str] = [problem.file for problem in problems]
        for entry, content in zip(entries, contents, strict=True):
            made, wrong = self._file(entry.name, content)
            declared += made
            problems += wrong
            keep += [entry.name] if wrong else []
        if not entries and not problems:
            raise GitError(f"{self._spec.place}: there is no .yaml or .yml file at {commit[:12]}")
        return Brought(
            declared,
            problems,
            keep,
            why=f"{self._spec.place} at {commit}",
            commit=commit,
            commit_time=datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def _file(self, name: str, content: bytes) -> tuple[list[Declaration], list[Problem]]:
        report = Report()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return [], [Problem("error", name, 0, "", "is not UTF-8 text")]
        made = Reader(self._kinds(), self.name).read(Text(name, text), report)
        return made, [problem for problem in report.problems if problem.severity == "error"]

    async def _entries(self, commit: str) -> tuple[list[_Entry], list[Problem]]:
        """The files of the folder at a commit, as Git itself lists them."""
        tree = await self._git.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{self._spec.place.path}"
        )
        listed = await self._git.run("ls-tree", "-z", "--long", "--full-tree", tree.decode("ascii").strip())
        entries: list[_Entry] = []
        problems: list[Problem] = []
        for line in listed.decode("utf-8", "replace").split("\0"):
            head, _, name = line.partition("\t")
            if not name.endswith(_SUFFIXES) or name.startswith("."):
                continue
            mode, _, blob, size = head.split()
            if mode == _LINK_MODE:
                problems.append(Problem("error", name, 0, "", "is a link; links are not followed in repositories"))
            elif mode in _FILE_MODES and int(size) > MAX_BYTES:
                problems.append(Problem("error", name, 0, "", f"is larger than {MAX_BYTES // 1024 // 1024} MiB"))
            elif mode in _FILE_MODES:
                entries.append(_Entry(mode, blob, int(size), name))
        if len(entries) > MAX_FILES or sum(entry.size for entry in entries) > MAX_TOTAL_BYTES:
            raise GitError(f"{self._spec.place}: more than {MAX_FILES} files, or {MAX_TOTAL_BYTES // 1024**2} MiB")
        return entries, problems

    async def _contents(self, entries: list[_Entry]) -> list[bytes]:
        """The contents of blobs, all by one process."""
        if not entries:
            return []
        asked = "".join(f"{entry.blob}\n" for entry in entries).encode("ascii")
        printed = await self._git.run("cat-file", "--batch", given=asked)
        contents: list[bytes] = []
        at = 0
        for entry in entries:
            at = printed.index(b"\n", at) + 1
            contents.append(printed[at : at + entry.size])
            at += entry.size + 1
        return contents
