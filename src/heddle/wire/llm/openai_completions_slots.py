"""Where the texts of OpenAI's older completions and of embeddings are. Prompts given as tokens have no text to read.

*Source:* OpenAI API reference, "Create completion", "The completion object" and "Create embeddings", as of 2026-11.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from heddle.wire.llm.slots import (
    Beside,
    Channel,
    CloseAll,
    Slot,
    SseFrames,
    Step,
    field_slots,
    objects,
    place,
    rest_slots,
    text_slots,
)

_KNOWN = frozenset(("prompt", "suffix", "input", "encoding_format", "logit_bias"))
_COPIED = ("id", "object", "created", "model", "system_fingerprint")


def request_slots(body: Any) -> Iterator[Slot]:
    """The prompt or prompts, what stands after them, and the input of embeddings."""
    for key in ("prompt", "suffix", "input"):
        yield from text_slots("user", body, key)
    yield from rest_slots("user", body, _KNOWN)


def answer_slots(body: Any) -> Iterator[Slot]:
    """The text of each choice; embeddings have none."""
    for choice in objects(body.get("choices")):
        for slot in field_slots("assistant", choice, ("text",)):
            yield slot._replace(spoils=_spoils(choice))


def _spoils(choice: dict[str, Any]) -> tuple[tuple[Any, Any], ...]:
    return ((choice, "logprobs"),) if choice.get("logprobs") is not None else ()


class CompletionSlots:
    """The texts of one stream."""

    moved = False
    repeats = False

    def __init__(self) -> None:
        self._event: dict[str, Any] = {}

    def read(self, event: Any) -> Sequence[Step]:
        """The texts of a chunk; a finish reason ends that of its choice."""
        if not isinstance(event, dict):
            return ()
        self._event = event
        steps: list[Step] = []
        for choice in objects(event.get("choices")):
            index = place(choice.get("index", 0))
            told = field_slots("assistant", choice, ("text",))
            steps += [slot._replace(channel=(index, "text")) for slot in told]
            if choice.get("logprobs") is not None:
                steps.append(Beside(choice, "logprobs", (index,)))
            if choice.get("finish_reason") is not None:
                steps.append(CloseAll((index,)))
        return steps

    def make(self, channel: Channel, text: str) -> dict[str, Any]:
        """A chunk like the one read last, with more of one text."""
        made = {key: self._event[key] for key in _COPIED if key in self._event}
        choice = {"index": channel[0], "text": text, "logprobs": None, "finish_reason": None}
        return {**made, "choices": [choice]}


def open_slots() -> CompletionSlots:
    """The texts of a streamed answer."""
    return CompletionSlots()


def open_frames() -> SseFrames:
    """The frames of a streamed answer."""
    return SseFrames()
