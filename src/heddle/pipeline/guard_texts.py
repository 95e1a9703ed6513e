"""Guards at work on the texts of one call: in a request, in a whole answer, in the events of a stream.

Owns replacing texts in place. What no guard changes is left as it is, byte for byte; of an event whose text is held
back, the empty rest goes out in its place and time, and the text follows in a later event of the same text, or in one
made for it before that text ends.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from heddle.pipeline.guarding import Decision, Judged, Lanes, Tell, Text, Vault
from heddle.wire.json_text import JsonText, treat_tree
from heddle.wire.llm.slots import Channel, Close, Frames, Slot, Slots, Step, StreamSlots, decode, encode

LARGE_BYTES = 32 * 1024
"""From here on a body is treated in turns."""
SLICE_CHARS = 8 * 1024
"""Characters that are searched in one turn: some 2 ms of prose."""


class Untouched:
    """A text in which nothing is looked for."""

    def feed(self, text: str) -> str:
        """The text."""
        return text

    def whole(self, text: str) -> str:
        """The text."""
        return text

    def finish(self) -> str:
        """Nothing is held back."""
        return ""


_UNTOUCHED = Untouched()


def _silent(decision: Decision) -> None:
    """A text that was told of before."""


class Treatment:
    """What is done to the texts of one call in one direction."""

    __slots__ = ("_lanes", "_tell", "_vault")

    def __init__(self, lanes: Lanes | None, vault: Vault, tell: Tell) -> None:
        self._lanes, self._vault, self._tell = lanes, vault, tell

    def open(self, slot: Slot) -> Text:
        """The text that begins at `slot`."""
        opener = self._opener(slot)
        return opener() if slot.form == "text" else JsonText(opener)

    def whole(self, slot: Slot) -> Any:
        """What becomes of the value at `slot`, which is all of its text. Raises GuardRefusalError."""
        value = slot.holder[slot.key]
        if slot.form == "json":
            return treat_tree(value, self._opener(slot))
        return self.open(slot).whole(value)

    def _opener(self, slot: Slot) -> Callable[[], Text]:
        lanes, scope, vault = self._lanes, slot.scope, self._vault
        tell = _silent if slot.repeat else self._tell
        return lambda: (lanes.open(scope, vault, tell) if lanes is not None else None) or _UNTOUCHED


def _put(slot: Slot, value: Any) -> bool:
    """Write a treated value; whether it is another one than before."""
    if value == slot.holder[slot.key]:
        return False
    slot.holder[slot.key] = value
    for holder, key in slot.spoils:
        holder[key] = None
    return True


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode("utf-8", "replace")


def treat_body(body: bytes, slots_of: Callable[[Any], Any], treatment: Treatment, texts: list[Judged]) -> bytes:
    """A request or a whole answer after its guards; the texts that are left are added to `texts`.

    Raises GuardRefusalError, and ProtocolError or msgspec.DecodeError for a body that is no JSON.
    """
    value = decode(body)
    changed = False
    for slot in list(slots_of(value)):
        treated = treatment.whole(slot)
        texts.append(Judged(slot.scope, _shown(treated), slot.aside))
        changed = _put(slot, treated) or changed
    return encode(value) if changed else body


async def treat_large_body(
    body: bytes, slots_of: Callable[[Any], Any], treatment: Treatment, texts: list[Judged]
) -> bytes:
    """The same as `treat_body`, in turns of some milliseconds between which other calls have theirs."""
    value = decode(body)
    changed, chars = False, 0
    for slot in list(slots_of(value)):
        said = slot.holder[slot.key]
        if slot.form != "json" and len(said) > SLICE_CHARS:
            treated = await _in_slices(treatment.open(slot), said)
        else:
            treated = treatment.whole(slot)
            chars += len(said) if isinstance(said, str) else SLICE_CHARS
            if chars > SLICE_CHARS:
                chars = 0
                await asyncio.sleep(0)
        texts.append(Judged(slot.scope, _shown(treated), slot.aside))
        changed = _put(slot, treated) or changed
    return encode(value) if changed else body


async def _in_slices(text: Text, said: str) -> str:
    parts = []
    for at in range(0, len(said), SLICE_CHARS):
        parts.append(text.feed(said[at : at + SLICE_CHARS]))
        await asyncio.sleep(0)
    return "".join([*parts, text.finish()])


class _Channel:
    """One text of a stream."""

    __slots__ = ("said", "slot", "text")

    def __init__(self, slot: Slot, text: Text) -> None:
        self.slot, self.text = slot, text
        self.said: list[str] = []


class StreamTreatment:
    """The events of one streamed answer, guarded. Both methods raise GuardRefusalError; `feed` also ProtocolError."""

    __slots__ = ("_channels", "_ended", "_frames", "_keep", "_slots", "_treatment", "texts")

    def __init__(self, slots: Slots, treatment: Treatment, keep: bool) -> None:
        """`keep`: gather the texts that went out, in `texts`."""
        self._frames: Frames = slots.open_frames()
        self._slots: StreamSlots = slots.open_slots()
        self._treatment = treatment
        self._keep = keep
        self._channels: dict[Channel, _Channel] = {}
        self._ended = False
        self.texts: list[Judged] = []

    def feed(self, data: bytes) -> bytes:
        """What may go to the caller now."""
        frames = self._frames.feed(data)
        if len(frames) == 1:
            return self._frame(frames[0])
        return b"".join([self._frame(frame) for frame in frames])

    def finish(self) -> bytes:
        """The stream has ended well: what was held back and had no event to go with."""
        return b"" if self._ended else b"".join(self._flush())

    def _frame(self, frame: bytes) -> bytes:
        event = self._frames.read(frame)
        if event is None:
            if not self._frames.ends(frame):
                return frame
            self._ended = True
            return b"".join([*self._flush(), frame])
        steps = self._slots.read(event)
        if not steps:
            return self._frames.write(event, frame) if self._slots.moved else frame
        made, changed = self._take(steps)
        if not changed and not self._slots.moved:
            return b"".join([*made, frame]) if made else frame
        return b"".join([*made, self._frames.write(event, frame)])

    def _take(self, steps: Sequence[Step]) -> tuple[list[bytes], bool]:
        """Treat what one event has; events to go before it, and whether it changed."""
        made: list[bytes] = []
        treated: list[tuple[Slot, Any]] = []
        here: dict[Channel, int] = {}
        for step in steps:
            if isinstance(step, Slot):
                if step.channel and not step.repeat:
                    here[step.channel] = len(treated)
                    treated.append((step, self._piece(step)))
                else:
                    treated.append((step, self._whole(step)))
            elif isinstance(step, Close):
                self._close(step.channel, here, treated, made)
            else:
                for channel in [one for one in self._channels if one[: len(step.prefix)] == step.prefix]:
                    self._close(channel, here, treated, made)
        changed = False
        for slot, value in treated:
            changed = _put(slot, value) or changed
        return made, changed

    def _piece(self, slot: Slot) -> str:
        channel = self._channels.get(slot.channel)
        if channel is None:
            channel = self._channels[slot.channel] = _Channel(slot, self._treatment.open(slot))
        said = channel.text.feed(slot.holder[slot.key])
        if self._keep:
            channel.said.append(said)
        return said

    def _whole(self, slot: Slot) -> Any:
        value = self._treatment.whole(slot)
        if self._keep and not slot.repeat:
            self.texts.append(Judged(slot.scope, _shown(value), slot.aside))
        return value

    def _close(
        self, name: Channel, here: dict[Channel, int], treated: list[tuple[Slot, Any]], made: list[bytes]
    ) -> None:
        """The text of a channel is over: its rest goes with the last piece, or in an event of its own."""
        channel = self._channels.pop(name, None)
        if channel is None:
            return
        rest = channel.text.finish()
        if self._keep:
            slot = channel.slot
            self.texts.append(Judged(slot.scope, "".join([*channel.said, rest]), slot.aside))
        at = here.pop(name, None)
        if rest and at is not None:
            treated[at] = (treated[at][0], treated[at][1] + rest)
        elif rest:
            made.append(self._frames.write(self._slots.make(name, rest), b""))

    def _flush(self) -> list[bytes]:
        made: list[bytes] = []
        for channel in list(self._channels):
            self._close(channel, {}, [], made)
        return made
