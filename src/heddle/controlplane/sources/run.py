"""All sources of a control plane: which there are, and their running together.

Owns what `-f DIR` and `--git URL#branch:path` of a command line become, unique names, and that the end of one source
ends no other.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from heddle.controlplane.replicas.leading import Alone, Lead
from heddle.controlplane.sources.folder import Folder
from heddle.controlplane.sources.git import GitSource, GitSpec
from heddle.controlplane.sources.loop import Follower, Source
from heddle.controlplane.sources.sync import Writer
from heddle.model.kinds import Kinds
from heddle.model.meta import resource_name


class Specs(NamedTuple):
    """What the command line named."""

    folders: Sequence[Path] = ()
    branches: Sequence[GitSpec] = ()
    hook_secret: str = ""
    """What webhooks are signed with; none serves no webhook."""

    def __repr__(self) -> str:
        return f"Specs({self.folders!r}, {self.branches!r})"


def build(specs: Specs, state: Path, kinds: Callable[[], Kinds]) -> list[Source]:
    """The sources; copies of repositories are kept in `state`. Raises ValueError for two of one name."""
    made: list[Source] = [Folder(_name(path), path.absolute(), kinds) for path in specs.folders]
    made += [GitSource(spec, state / "git" / resource_name(spec.name), kinds) for spec in specs.branches]
    names = [source.name for source in made]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise ValueError(f"two sources are called {twice}; folders and branches need different names")
    return made


class Among(Protocol):
    """The replicas that this control plane is one of."""

    def lead(self, source: Source) -> Lead:
        """Which of them follows a source."""
        ...

    async def brought(self, source: Source) -> None:
        """Wait until another has brought it in, now or ever before."""
        ...


class Only:
    """There are no others. See `Among`."""

    def lead(self, source: Source) -> Lead:
        """See `Among`."""
        del source
        return Alone()

    async def brought(self, source: Source) -> None:
        """See `Among`."""
        del source
        await asyncio.Event().wait()


async def run(
    sources: Sequence[Source],
    writer: Callable[[Source], Writer],
    report: Callable[[str], None],
    ready: Callable[[], None] = lambda: None,
    among: Among | None = None,
) -> None:
    """Follow all sources until cancelled. `ready` is called once each was brought in for the first time."""
    replicas = among or Only()
    followers = [Followed(source, writer(source), report) for source in sources]
    async with asyncio.TaskGroup() as tasks:
        for followed in followers:
            tasks.create_task(replicas.lead(followed.source).run(followed.follow))
        for followed in followers:
            elsewhere = tasks.create_task(replicas.brought(followed.source))
            here = tasks.create_task(followed.first.wait())
            await asyncio.wait({elsewhere, here}, return_when=asyncio.FIRST_COMPLETED)
            elsewhere.cancel()
            here.cancel()
        ready()


class Followed:
    """A source that is followed while that is this replica's to do."""

    def __init__(self, source: Source, writer: Writer, report: Callable[[str], None]) -> None:
        self.source = source
        self.first = asyncio.Event()
        """It was brought in once, as far as it went."""
        self._writer, self._report = writer, report

    async def follow(self) -> None:
        """Follow it until cancelled. What was applied before, perhaps long ago, is not believed to be so still."""
        follower = Follower(self.source, self._writer, self._report)
        following = asyncio.ensure_future(_follow(follower, self._report))
        try:
            await follower.first()
            self.first.set()
            await following
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _follow(follower: Follower, report: Callable[[str], None]) -> None:
    """Begin again after what nobody foresaw: one source's fault must not end the others."""
    while True:
        try:
            await follower.run()
        except Exception as exc:
            report(f"{follower.name}: {type(exc).__name__}: {exc}; it begins again")
            await asyncio.sleep(10)


def _name(path: Path) -> str:
    """The name of a folder: its own, which stays the same when it is mounted elsewhere."""
    return resource_name(path.absolute().name or "root")
