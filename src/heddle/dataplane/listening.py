"""What a provider answered, gathered for the calls whose record or span tells of it.

Only calls that are sampled, or recorded with bodies, are listened to; for all others nothing of this runs. What is
kept is bounded, whatever is said.
"""

from collections.abc import AsyncIterator
from typing import Any

from heddle.model.call import Heard
from heddle.telemetry.records import MAX_BODY_CHARS, MAX_TEXT_CHARS
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.codecs import HEARD

MAX_FINISH_REASONS = 16


class Listening:
    """A streamed answer on its way, of which the text and the marks are kept. Ends and fails as its source does."""

    __slots__ = ("_body", "_hearing", "_id", "_keep_text", "_model", "_reasons", "_size", "_text")

    def __init__(self, body: AsyncIterator[bytes], dialect: str, keep_text: bool) -> None:
        self._body = body
        self._hearing = HEARD.get(dialect)
        self._keep_text = keep_text
        self._text: list[str] = []
        self._size = 0
        self._model = self._id = ""
        self._reasons: list[str] = []

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self._body.__anext__()
        self._take(data)
        return data

    async def aclose(self) -> None:
        """Close the source."""
        close: Any = getattr(self._body, "aclose", None)
        if close is not None:
            await close()

    @property
    def heard(self) -> Heard:
        """Everything so far."""
        return Heard(model=self._model, id=self._id, finish_reasons=tuple(self._reasons), text="".join(self._text))

    def _take(self, data: bytes) -> None:
        if self._hearing is None:
            return
        try:
            chunks = self._hearing.read_events(data)
        except ProtocolError:
            return
        for chunk in chunks:
            self._model = self._model or chunk.model
            self._id = self._id or chunk.id
            if len(self._reasons) < MAX_FINISH_REASONS:
                self._reasons += chunk.finish_reasons
            # One character more than a record keeps, so that it is seen to be cut.
            if self._keep_text and chunk.text and self._size <= MAX_BODY_CHARS:
                self._text.append(chunk.text[: MAX_BODY_CHARS + 1])
                self._size += len(chunk.text)


def marks(heard: Heard) -> Heard:
    """What a span keeps of an answer: no text, and nothing long."""
    return Heard(
        model=heard.model[:MAX_TEXT_CHARS],
        id=heard.id[:MAX_TEXT_CHARS],
        finish_reasons=tuple([reason[:64] for reason in heard.finish_reasons[:MAX_FINISH_REASONS]]),
    )


def heard_of(answer: "bytes | Listening", dialect: str) -> Heard:
    """What was answered, whole or streamed, to a caller who speaks `dialect`."""
    if not isinstance(answer, bytes):
        return answer.heard
    hearing = HEARD.get(dialect)
    return hearing.read_answer(answer) if hearing is not None else Heard()
