"""Where the texts of calls for images, moderation and ranking are. Pictures have none that could be read.

*Source:* OpenAI API reference, "Create image" and "Create moderation"; Cohere API reference, "Rerank", as of 2026-11.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from heddle.wire.llm.slots import (
    Channel,
    Slot,
    SseFrames,
    Step,
    field_slots,
    leaf_slots,
    objects,
    rest_slots,
    text_slots,
)

_REQUEST = ("prompt", "input", "query")
_KNOWN = frozenset((*_REQUEST, "documents"))


def request_slots(body: Any) -> Iterator[Slot]:
    """What is to be drawn, judged or looked for, and the documents that are ranked."""
    for key in _REQUEST:
        yield from text_slots("user", body, key)
    if "documents" in body:
        yield from leaf_slots("tool_result", body, "documents")
    yield from rest_slots("user", body, _KNOWN)


def answer_slots(body: Any) -> Iterator[Slot]:
    """What a picture's prompt was made into, and documents that are told again."""
    for picture in objects(body.get("data")):
        yield from field_slots("assistant", picture, ("revised_prompt",))
    for result in objects(body.get("results")):
        yield from rest_slots("assistant", result, frozenset(("index", "relevance_score", "score")))


class MediaSlots:
    """The events of a picture that is drawn in steps: none has a text."""

    moved = False
    repeats = False

    def read(self, event: Any) -> Sequence[Step]:
        """Nothing."""
        del event
        return ()

    def make(self, channel: Channel, text: str) -> dict[str, Any]:
        """Nothing is held back, so nothing is made."""
        del channel, text
        return {}


def open_slots() -> MediaSlots:
    """The texts of a streamed answer."""
    return MediaSlots()


def open_frames() -> SseFrames:
    """The frames of a streamed answer."""
    return SseFrames(named=True)
