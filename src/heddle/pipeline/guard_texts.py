"""Guards at work on the texts of one call: in a request, in a whole answer, in the events of a stream.

Owns replacing texts in place. What no guard changes is left as it is, byte for byte; of an event whose text is held
back, the empty rest goes out in its place and time, and the text follows in a later event of the same text, or in one
made for it before that text ends.
"""

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeVar

from heddle.pipeline.guarding import Decision, Judged, Lanes, Tell, Text, Vault
from heddle.wire.json_text import JsonText, treat_tree
from heddle.wire.llm.slots import Beside, Channel, Close, Frames, Slot, Slots, Step, StreamSlots, decode, encode

LARGE_BYTES = 2 * 1024
"""From here on a body is treated in turns."""
TURN_S = 0.002
"""What a call does before others have their turns."""
SHORT_CHARS = 256
"""Up to here a text is treated at once."""


_MAY_BE_JSON = ("assistant", "tool_result")
"""Whose texts are searched as JSON when they are: structured answers, and what tools return."""


class Untouched:
    """A text in which nothing is looked for."""

    def feed(self, text: str) -> str:
        """The text."""
        return text

    def whole(self, text: str) -> str:
        """The text."""
        return text

    def turns(self, text: str) -> Generator[None, None, str]:
        """The text."""
        yield
        return text

    def finish(self) -> str:
        """Nothing is held back."""
        return ""


_UNTOUCHED = Untouched()


_Result = TypeVar("_Result")


class _Turns:
    """The turns of one call among others."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._until = self._now() + TURN_S

    async def pause(self) -> None:
        """Let others have theirs, when this one was long enough."""
        if self._now() >= self._until:
            await asyncio.sleep(0)
            self._until = self._now() + TURN_S

    async def take(self, work: Generator[None, None, _Result]) -> _Result:
        """The result of work that pauses by itself."""
        while True:
            try:
                next(work)
            except StopIteration as done:
                result: _Result = done.value
                return result
            await self.pause()


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
        if slot.form == "text":
            return JsonText(opener, loose=True) if slot.scope in _MAY_BE_JSON else opener()
        return JsonText(opener)

    def whole(self, slot: Slot) -> Any:
        """What becomes of the value at `slot`, which is all of its text. Raises GuardRefusalError."""
        value = slot.holder[slot.key]
        if slot.form == "json":
            return treat_tree(value, self._opener(slot))
        return self.open(slot).whole(value)

    def joined(self, slots: Sequence[Slot]) -> list[str]:
        """What becomes of strings that are one text. Raises GuardRefusalError."""
        text = self.open(slots[0])
        parts = [text.feed(slot.holder[slot.key]) for slot in slots]
        parts[-1] += text.finish()
        return parts

    async def in_turns(self, slot: Slot, turns: "_Turns") -> Any:
        """The same as `whole`."""
        value = slot.holder[slot.key]
        if slot.form == "json":
            return await self._tree(value, self._opener(slot), turns)
        if len(value) <= SHORT_CHARS:
            return self.whole(slot)
        return await turns.take(self.open(slot).turns(value))

    async def _tree(self, value: Any, opener: Callable[[], Text], turns: "_Turns") -> Any:
        if isinstance(value, list):
            return [await self._tree(item, opener, turns) for item in value]
        if isinstance(value, dict):
            return {await self._tree(k, opener, turns): await self._tree(v, opener, turns) for k, v in value.items()}
        await turns.pause()
        if isinstance(value, str) and len(value) > SHORT_CHARS:
            return await turns.take(opener().turns(value))
        return treat_tree(value, opener)

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
        _spoil(holder, key)
    return True


def _spoil(holder: Any, key: Any) -> None:
    holder[key] = [] if isinstance(holder[key], list) else None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode("utf-8", "replace")


def _runs(slots: Iterable[Slot]) -> Iterator[list[Slot]]:
    """Slots that follow one another in one channel, together; all others alone."""
    for channel, run in groupby(slots, key=lambda slot: slot.channel):
        if channel:
            yield list(run)
        else:
            for slot in run:
                yield [slot]


def _put_all(run: Sequence[Slot], values: Sequence[Any], texts: list[Judged]) -> bool:
    if not run[0].unshown:
        text = _shown(values[0]) if len(run) == 1 else "".join(values)
        texts.append(Judged(run[0].scope, text, run[0].aside))
    return sum(_put(slot, value) for slot, value in zip(run, values, strict=True)) > 0


def _written(body: bytes, value: Any, changed: bool) -> bytes:
    """What is sent on: the body itself, unless it changed or says a field twice, of which only the last was read."""
    written = encode(value)
    said_once = body.count(b'"') == written.count(b'"') and b"u0022" not in body
    return written if changed or not said_once else body


def treat_body(body: bytes, slots_of: Callable[[Any], Any], treatment: Treatment, texts: list[Judged]) -> bytes:
    """A request or a whole answer after its guards; the texts that are left are added to `texts`.

    Raises GuardRefusalError, RecursionError, and ProtocolError or msgspec.DecodeError for a body that is no JSON.
    """
    value = decode(body)
    changed = False
    for run in _runs(list(slots_of(value))):
        values = [treatment.whole(run[0])] if len(run) == 1 else treatment.joined(run)
        changed = _put_all(run, values, texts) or changed
    return _written(body, value, changed)


async def treat_large_body(
    body: bytes, slots_of: Callable[[Any], Any], treatment: Treatment, texts: list[Judged]
) -> bytes:
    """The same as `treat_body`, in turns of some milliseconds between which other calls have theirs."""
    value = decode(body)
    changed, turns = False, _Turns()
    slots: list[Slot] = []
    for slot in slots_of(value):
        slots.append(slot)
        await turns.pause()
    for run in _runs(slots):
        values = [await treatment.in_turns(run[0], turns)] if len(run) == 1 else treatment.joined(run)
        changed = _put_all(run, values, texts) or changed
        await turns.pause()
    return _written(body, value, changed)


class _Channel:
    """One text of a stream."""

    __slots__ = ("heard", "said", "slot", "text")

    def __init__(self, slot: Slot, text: Text) -> None:
        self.slot, self.text = slot, text
        self.heard: list[str] = []
        self.said: list[str] = []


class StreamTreatment:
    """The events of one streamed answer, guarded. Both methods raise GuardRefusalError; `feed` also ProtocolError."""

    __slots__ = (
        "_channels", "_ended", "_frames", "_gathers", "_keep", "_said", "_slots", "_treatment", "_unlike", "texts",
    )  # fmt: skip

    def __init__(self, slots: Slots, treatment: Treatment, keep: bool) -> None:
        """`keep`: gather the texts that went out, in `texts`."""
        self._frames: Frames = slots.open_frames()
        self._slots: StreamSlots = slots.open_slots()
        self._treatment = treatment
        self._keep = keep
        self._channels: dict[Channel, _Channel] = {}
        self._unlike: set[Channel] = set()
        """Texts that came out otherwise than they came in, be it later."""
        self._gathers = keep or self._slots.repeats
        self._said: dict[tuple[str, str, str], str] = {}
        """Texts that are over, and what became of them: what is said again is not searched again."""
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
        besides: list[Beside] = []
        for step in steps:
            if isinstance(step, Slot):
                if step.channel and not step.repeat:
                    here[step.channel] = len(treated)
                    treated.append((step, self._piece(step)))
                else:
                    treated.append((step, self._whole(step)))
            elif isinstance(step, Close):
                self._close(step.channel, here, treated, made)
            elif isinstance(step, Beside):
                besides.append(step)
            else:
                for channel in [one for one in self._channels if one[: len(step.prefix)] == step.prefix]:
                    self._close(channel, here, treated, made)
        changed = False
        for slot, value in treated:
            changed = _put(slot, value) or changed
        for beside in besides:
            if any(one[: len(beside.prefix)] == beside.prefix for one in self._unlike):
                _spoil(beside.holder, beside.key)
                changed = True
        return made, changed

    def _piece(self, slot: Slot) -> str:
        channel = self._channels.get(slot.channel)
        if channel is None:
            channel = self._channels[slot.channel] = _Channel(slot, self._treatment.open(slot))
        heard = slot.holder[slot.key]
        said = channel.text.feed(heard)
        if said != heard:
            self._unlike.add(slot.channel)
        if self._gathers:
            channel.heard.append(heard)
            channel.said.append(said)
        return said

    def _whole(self, slot: Slot) -> Any:
        heard = slot.holder[slot.key]
        known = self._said.get((slot.scope, slot.form, heard)) if slot.repeat and isinstance(heard, str) else None
        value = self._treatment.whole(slot) if known is None else known
        if self._keep and not slot.repeat and not slot.unshown:
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
        if self._gathers:
            self._gather(channel, rest)
        at = here.pop(name, None)
        if rest and at is not None:
            treated[at] = (treated[at][0], treated[at][1] + rest)
        elif rest:
            made.append(self._frames.write(self._slots.make(name, rest), b""))

    def _gather(self, channel: _Channel, rest: str) -> None:
        slot, said = channel.slot, "".join([*channel.said, rest])
        if self._slots.repeats:
            self._said[slot.scope, slot.form, "".join(channel.heard)] = said
        if self._keep:
            self.texts.append(Judged(slot.scope, said, slot.aside))

    def _flush(self) -> list[bytes]:
        made: list[bytes] = []
        for channel in list(self._channels):
            self._close(channel, {}, [], made)
        return made
