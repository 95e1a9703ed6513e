"""All sources of a control plane: which there are, and their running together.

Owns what `-f DIR` and `--git URL#branch:path` of a command line become, unique names, and that the end of one source
ends no other.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

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


async def run(
    sources: Sequence[Source],
    writer: Callable[[Source], Writer],
    report: Callable[[str], None],
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Follow all sources until cancelled. `ready` is called once each was brought in for the first time."""
    followers = [Follower(source, writer(source), report) for source in sources]
    async with asyncio.TaskGroup() as tasks:
        for follower in followers:
            tasks.create_task(_follow(follower, report))
        for follower in followers:
            await follower.first()
        ready()


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
