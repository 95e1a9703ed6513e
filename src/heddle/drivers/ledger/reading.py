"""Reading entries back, without the key: for reports, and to rebuild balances. Whether they are true is for `verify`.

Owns which lines count: whole ones that hold an entry. A ledger that is being written is read up to its last whole line.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from heddle.drivers.ledger import Entry
from heddle.drivers.ledger.chain import BadLineError, Line, lines, segments, split

_decode = msgspec.json.Decoder(Entry).decode


class Reading:
    """Entries of all chains, chain by chain; counts the lines it could not read."""

    def __init__(self, directory: Path, *, since_s: float = 0.0, until_s: float = float("inf")) -> None:
        """Entries of calls that ended in `[since_s, until_s)`, Unix time."""
        self._directory = directory
        self._since_s, self._until_s = since_s, until_s
        self.unreadable = 0

    def __iter__(self) -> Iterator[Entry]:
        for files in segments(self._directory).values():
            for name in files:
                # A segment that was written for the last time before `since_s` has nothing for us.
                if name.path.stat().st_mtime >= self._since_s:
                    yield from self._entries(name.path)

    def _entries(self, path: Path) -> Iterator[Entry]:
        for one in lines(path):
            entry = self._read(one)
            if entry is not None and entry.n and self._since_s <= entry.t < self._until_s:
                yield entry

    def _read(self, one: Line) -> Entry | None:
        if not one.data.endswith(b"\n"):
            return None
        try:
            return _decode(split(one.data)[1])
        except (BadLineError, msgspec.MsgspecError):
            self.unreadable += 1
            return None
