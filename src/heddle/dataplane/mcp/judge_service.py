"""The service that a judge of definitions is: how it is asked one question, and what its answers and failures mean.

*Source:* OpenAI API reference, "Create chat completion", as of 2026-11.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from heddle.directory.judging import INSTRUCTIONS, Question, UnreadableError, Verdict, read_verdict
from heddle.model.snapshot import TimeoutSpec
from heddle.model.snapshot_mcp import JudgeSpec
from heddle.net.client import OutboundRequest
from heddle.net.errors import ConnectFailed, NetError
from heddle.net.message import Headers
from heddle.pipeline.assembly import Tools

MAX_ANSWER_BYTES = 1024 * 1024
TRIES = 3
"""Of one question in a row: a model may answer what is no verdict, and a busy one may refuse."""
PAUSE_S = 1.0
_REFUSED = frozenset((400, 413, 414, 422))
"""Statuses that are about the question: it would be refused again, and others may not be."""
_CLOSED = frozenset((403, 404, 405))
"""Statuses that no repetition changes. They may be about the question: firewalls answer so to what looks like an
attack."""


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_decode = msgspec.json.Decoder(_Completion).decode


class UnjudgedError(Exception):
    """There is no verdict; the message says why, for an operator."""

    again = True
    """The next moment may bring one."""
    failed = False
    """The judge failed at it, as it may at any other question."""
    away = False
    """Nobody is there: it would fail at every other question now."""


class FailedError(UnjudgedError):
    """It failed, or took too long."""

    failed = True


class AwayError(FailedError):
    """It cannot be reached."""

    away = True


class ClosedError(FailedError):
    """It does not let us in with this."""

    again = False


class StrangerError(AwayError):
    """It does not know our credential."""

    again = False


class RefusedError(UnjudgedError):
    """It does not take this question."""

    again = False


class SpentError(RefusedError):
    """Its target had as many requests as it may have."""


class Service:
    """What is asked."""

    def __init__(self, spec: JudgeSpec, tools: Tools) -> None:
        self._spec = spec
        parts = urlsplit(spec.url)
        self._client = tools.client
        self._origin = tools.client.origin(f"{parts.scheme}://{parts.netloc}", owner="judge of definitions")
        self._path = (parts.path or "/").encode("ascii")

    @property
    def lease_s(self) -> float:
        """How long one question may take at most, or little more."""
        return TRIES * (self._spec.timeout_s + PAUSE_S * TRIES)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.discard(self._origin)

    async def ask(self, question: Question, spend: Callable[[], None]) -> Verdict:
        """Its verdict. `spend` is told of each request, and raises when it may not be made. Raises UnjudgedError."""
        messages = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": question.text}]
        body = msgspec.json.encode({**self._spec.parameters, "model": self._spec.model, "messages": messages})
        error = UnjudgedError()
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(PAUSE_S * attempt)
            spend()
            try:
                return _verdict(await self._post(body))
            except UnjudgedError as exc:
                error = exc
                if not exc.again:
                    break
        raise error

    async def _post(self, body: bytes) -> bytes:
        headers: Headers = [(b"content-type", b"application/json"), (b"accept", b"application/json")]
        if self._spec.credential:
            headers.append((b"authorization", f"Bearer {self._spec.credential}".encode()))
        limit_s = self._spec.timeout_s
        timeouts = TimeoutSpec(connect_s=limit_s, first_byte_s=limit_s, idle_s=limit_s, total_s=limit_s)
        try:
            answer = await self._client.send(self._origin, OutboundRequest("POST", self._path, headers, body), timeouts)
            try:
                data = await answer.body.read(MAX_ANSWER_BYTES)
            finally:
                answer.close()
        except ConnectFailed as exc:
            raise AwayError("the judge could not be reached") from exc
        except NetError as exc:
            raise FailedError(f"the judge could not be asked: {type(exc).__name__}") from exc
        if answer.status != 200:
            raise _failure(answer.status)
        return data


def _failure(status: int) -> UnjudgedError:
    said = f"the judge answered with status {status}"
    if status in _REFUSED:
        return RefusedError(said)
    if status == 401:
        return StrangerError(said)
    return ClosedError(said) if status in _CLOSED else FailedError(said)


def _verdict(data: bytes) -> Verdict:
    try:
        choices = _decode(data).choices
        if not choices or choices[0].finish_reason not in (None, "stop"):
            # What was cut off may end in words of the definition.
            raise UnjudgedError("the judge's answer was cut off")
        return read_verdict(choices[0].message.content or "")
    except (msgspec.DecodeError, UnicodeError, RecursionError, UnreadableError) as exc:
        raise UnjudgedError("the judge's answer is no verdict") from exc
