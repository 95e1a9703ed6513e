"""Whether a file that configuration was read from, or should have been, has changed."""

from collections.abc import Iterable
from pathlib import Path


class Watch:
    """Files, and what they looked like. Looking is a few `stat` calls."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """`paths` are watched always; folders among them by their list of files and each of those."""
        self._always = tuple(paths)
        self._stamps: dict[Path, tuple[object, ...]] = {path: _stamp(path) for path in self._always}

    def follow(self, files: Iterable[Path]) -> None:
        """Watch these too, and no others: those of the last attempt, so that one that was missing is noticed.

        A file that is watched already keeps its stamp, so that a change during the attempt is not lost.
        """
        wanted = dict.fromkeys((*self._always, *files))
        self._stamps = {path: self._stamps.get(path) or _stamp(path) for path in wanted}

    def changed(self) -> bool:
        """Whether any looks different from the last time it was looked at."""
        now = {path: _stamp(path) for path in self._stamps}
        changed = now != self._stamps
        self._stamps = now
        return changed


def _stamp(path: Path) -> tuple[object, ...]:
    """What changes when a file, or a folder's list of files, changes."""
    try:
        status = path.stat()
        inside = sorted(path.glob("*.y*ml")) if path.is_dir() else ()
    except OSError:
        return (path, None)
    return (path, status.st_mtime_ns, status.st_size, status.st_ino, *(_stamp(file) for file in inside))
