"""What the connected gateways say they found, as far as they may say anything about it.

Owns whose word counts about what: an entry is kept when the part it is about was sent to the gateway, under the
gateway's own name, and within a bound for each gateway. Its texts are made visible and short once more: what a gateway
says of that is not believed. Nothing here is kept when a gateway leaves.
"""

from collections.abc import Container, Mapping

import msgspec

from heddle.directory.visible import clipped, visible
from heddle.wire.found import (
    MAX_ENTRIES,
    MAX_NAME_CHARS,
    MAX_TEXT_CHARS,
    Entry,
    Found,
    FoundServer,
    FoundTool,
    key_of,
    part_of,
    part_of_key,
)

WITHHELD = frozenset({"pending", "changed", "poisoned", "rejected"})
"""Approvals of what callers do not see; nothing else of such a definition stands in the directory."""
_NOBODY: dict[str, Entry] = {}
_LINES = frozenset({"description", "instructions"})


class Claims:
    """What each gateway says."""

    def __init__(self) -> None:
        self.refused = 0
        """Entries that were about what the gateway was not sent, or too many."""
        self._gateways: dict[str, dict[str, Entry]] = {}
        self._whole: set[str] = set()
        self._by_key: dict[str, dict[str, Entry]] = {}

    def hear(self, gateway: str, sent: Container[str], message: Found) -> set[str]:
        """Take in what a gateway says, who was sent these parts; the keys of what may be another than before."""
        mine = self._gateways.setdefault(gateway, {})
        touched: set[str] = set()
        for key in message.removed:
            if mine.pop(key, None) is not None:
                self._forget(gateway, key)
                touched.add(key)
        for said in message.changed:
            entry = shown(said)
            key = key_of(entry)
            if part_of(entry) not in sent or (key not in mine and len(mine) >= MAX_ENTRIES):
                self.refused += 1
            elif mine.get(key) != entry:
                saying = self._by_key.setdefault(key, {})
                # A thousand gateways that say the same keep one object of it.
                first = next(iter(saying.values()), entry)
                mine[key] = saying[gateway] = first if first == entry else entry
                touched.add(key)
        if message.whole:
            self._whole.add(gateway)
        return touched

    def leave(self, gateway: str) -> set[str]:
        """A gateway is connected no longer; the keys of what it said."""
        self._whole.discard(gateway)
        said = set(self._gateways.pop(gateway, ()))
        for key in said:
            self._forget(gateway, key)
        return said

    def of(self, key: str) -> Mapping[str, Entry]:
        """Who says what of something, who said it first before all others."""
        return self._by_key.get(key, _NOBODY)

    def knows(self, gateway: str) -> bool:
        """It is connected here, and has said something."""
        return gateway in self._gateways

    def is_whole(self, gateway: str) -> bool:
        """It has said everything once: what it has not said it does not find."""
        return gateway in self._whole

    def server(self, gateway: str, key: str) -> FoundServer | None:
        """What a gateway says of the server that the entry of a key is behind."""
        found = self.of(part_of_key(key)).get(gateway)
        return found if isinstance(found, FoundServer) else None

    def _forget(self, gateway: str, key: str) -> None:
        saying = self._by_key[key]
        del saying[gateway]
        if not saying:
            del self._by_key[key]


def shown(entry: Entry) -> Entry:
    """An entry whose texts are fit to be shown; of one that is, the same."""
    changed: dict[str, object] = {}
    for name in entry.__struct_fields__:
        value = getattr(entry, name)
        if isinstance(value, str) and not (value.isascii() and value.isprintable()):
            made = _lines(value) if name in _LINES else clipped(value, MAX_NAME_CHARS)
            if made != value and not name.endswith(("schema", "annotations")):
                changed[name] = made
    if isinstance(entry, FoundTool) and entry.approval in WITHHELD:
        changed |= dict.fromkeys(("title", "description", "input_schema", "output_schema", "annotations"), "")
    made_of: Entry = msgspec.structs.replace(entry, **changed) if changed else entry
    return made_of


def _lines(text: str) -> str:
    made = visible(text, keep="\n")
    return made if len(made) <= MAX_TEXT_CHARS else f"{made[: MAX_TEXT_CHARS - 1]}…"
