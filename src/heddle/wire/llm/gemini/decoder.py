"""A streamed answer of a Gemini vendor as canonical events.

Owns the bracketing that Gemini does not do: a part begins with the first piece of its kind and ends when another kind
follows. The end is known only when the message has ended, as the format has no terminator; so choices, usage and the
end are said by `finish`, and only when every candidate had a finish reason.

*Source:* Gemini API reference, "models.streamGenerateContent", 2026-11.
"""

from typing import NamedTuple

import msgspec

from heddle.model.call import Usage
from heddle.wire.canonical.answer import (
    Began,
    ChoiceEnded,
    Ended,
    Event,
    Failed,
    Kind,
    PartBegan,
    PartDelta,
    PartEnded,
    Used,
)
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.gemini import logprobs, usage
from heddle.wire.llm.gemini.reader import MAX_CANDIDATES, reported, single
from heddle.wire.llm.gemini.response import (
    UNFINISHED,
    Candidate,
    Piece,
    Response,
    call_id,
    decode,
    only_text,
    pieces,
    stop_of,
)
from heddle.wire.sse import Splitter, payload

_RETRYABLE = (429, 500, 502, 503, 504)


class _Open(NamedTuple):
    """The part that is being written."""

    number: int
    kind: Kind


class _Choice:
    """One candidate so far."""

    __slots__ = ("called", "next", "open", "reason")

    def __init__(self) -> None:
        self.next = 0
        self.open: _Open | None = None
        self.called = False
        self.reason = ""


class Decoder:
    """Reads one streamed answer; see `codec.Decoder` for the contract."""

    __slots__ = ("_blocked", "_choices", "_id", "_over", "_splitter", "_started", "_usage")

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._choices: dict[int, _Choice] = {}
        self._started = False
        self._blocked = False
        self._over = False
        self._id = ""
        self._usage: Usage | None = None

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes; the last may be `Failed`. Never raises."""
        said: list[Event] = []
        if self._over:
            return said
        try:
            end = 0 if self._splitter.kept else single(data)
            if end:
                self._read(decode(data[6:end]), said)
                return said
            for event in self._splitter.feed(data):
                text = payload(event)
                if text and not self._over:
                    self._read(decode(text), said)
        except ProtocolError as exc:
            said.append(self._fail(Failed(detail=exc.detail)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said.append(self._fail(Failed(detail="The provider sent an event that is no piece of an answer.")))
        return said

    def finish(self) -> list[Event]:
        """The bytes have ended: what is left to say; `Failed` unless every candidate had ended."""
        if self._over:
            return []
        choices = sorted(self._choices.items())
        done = all(choice.reason for _, choice in choices) and (bool(choices) or self._blocked)
        if not done or self._splitter.rest.strip():
            return [self._fail(Failed(detail="The provider ended the stream before the answer was complete."))]
        said: list[Event] = []
        try:
            for number, choice in choices:
                self._close(number, choice, said)
                said.append(ChoiceEnded(choice=number, stop=stop_of(choice.reason, choice.called)))
        except ProtocolError as exc:
            return [*said, self._fail(Failed(detail=exc.detail, retryable=True))]
        if not choices:
            said.append(ChoiceEnded(stop="content_filter"))
        if self._usage is not None:
            said.append(Used(usage=self._usage))
        self._over = True
        return [*said, Ended()]

    def _fail(self, failed: Failed) -> Failed:
        self._over = True
        return failed

    def _read(self, response: Response, said: list[Event]) -> None:
        if response.error is not None:
            said.append(self._fail(_failed(response.error)))
            return
        if response.usage_metadata is not None:
            self._usage = usage.read(response.usage_metadata) or self._usage
        if not self._started:
            self._started = True
            self._id = response.response_id or ""
            said.append(Began(id=self._id, model=response.model_version or "", usage=self._usage))
        self._blocked = self._blocked or response.blocked
        for candidate in response.candidates or ():
            self._candidate(candidate, said)

    def _candidate(self, candidate: Candidate, said: list[Event]) -> None:
        number = candidate.index or 0
        if not 0 <= number < MAX_CANDIDATES:
            raise ProtocolError("The provider sent a candidate with an impossible index.")
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice()
        text = only_text(candidate)
        if text and not choice.reason and candidate.logprobs_result is None:
            said.append(PartDelta(choice=number, index=self._part(number, choice, "text", said), text=text))
        else:
            self._pieces(number, choice, candidate, said)
        reason = candidate.finish_reason or ""
        if reason not in UNFINISHED:
            choice.reason = reason

    def _pieces(self, number: int, choice: _Choice, candidate: Candidate, said: list[Event]) -> None:
        likely = logprobs.read(candidate.logprobs_result)
        for piece in pieces(candidate):
            if choice.reason:
                raise ProtocolError("The provider went on after it had said why the answer ended.")
            if piece.kind == "tool_call":
                self._call(number, choice, piece, said)
                continue
            words = likely if piece.kind == "text" else ""
            likely = "" if words else likely
            index = self._part(number, choice, piece.kind, said)
            said.append(
                PartDelta(choice=number, index=index, text=piece.text, signature=piece.signature, logprobs=words)
            )
            if piece.signature:
                self._close(number, choice, said)

    def _part(self, number: int, choice: _Choice, kind: Kind, said: list[Event]) -> int:
        """Index of the open part of a kind; another one that is open is closed before it begins."""
        if choice.open is None or choice.open.kind != kind:
            self._close(number, choice, said)
            choice.open = _Open(choice.next, kind)
            choice.next += 1
            said.append(PartBegan(choice=number, index=choice.open.number, kind=kind))
        return choice.open.number

    def _call(self, number: int, choice: _Choice, piece: Piece, said: list[Event]) -> None:
        self._close(number, choice, said)
        index, choice.next = choice.next, choice.next + 1
        choice.called = True
        ident = call_id(self._id, (number, index), piece)
        said.append(PartBegan(choice=number, index=index, kind="tool_call", id=ident, name=piece.name))
        said.append(PartDelta(choice=number, index=index, text=piece.text, signature=piece.signature))
        said.append(PartEnded(choice=number, index=index))

    @staticmethod
    def _close(number: int, choice: _Choice, said: list[Event]) -> None:
        if choice.open is not None:
            said.append(PartEnded(choice=number, index=choice.open.number))
            choice.open = None


def _failed(error: object) -> Failed:
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code <= 599 and code not in (401, 403) else 502
    return Failed(detail=reported(error), status=status, retryable=status in _RETRYABLE)
