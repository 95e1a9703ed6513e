"""Asking the model that judges definitions.

Owns how it is asked: once for each question, whichever worker has it first, a few at a time, and only so often about
one target, because each answer is paid for. An answer is kept in the store of approvals. A judge that cannot be asked
is left alone for a while; what was to be asked meanwhile has no verdict, and says why.

*Source:* OpenAI API reference, "Create chat completion", as of 2026-11.
"""

import asyncio
import logging
from urllib.parse import urlsplit

import msgspec

from heddle.directory.judging import INSTRUCTIONS, Question, UnreadableError, Verdict, read_verdict
from heddle.drivers.approvals import Approvals, ApprovalsError, Judgement
from heddle.model.snapshot import TimeoutSpec
from heddle.model.snapshot_mcp import JudgeSpec
from heddle.net.client import OutboundRequest
from heddle.net.errors import NetError
from heddle.net.message import Headers
from heddle.pipeline.assembly import Tools
from heddle.telemetry import names

_log = logging.getLogger("heddle.mcp")

MAX_ANSWER_BYTES = 1024 * 1024
TRIES = 3
"""Of one question: a model may answer what is no verdict, and a busy one may refuse."""
PAUSE_S = 1.0
AWAY_S = (5.0, 15.0, 60.0)
"""How long a judge that cannot be asked is left alone, the first, the second and every further time."""
AGAIN_S = 600.0
"""After so long a question is asked again that brought no verdict."""
LOOK_S = 0.5
"""How often it is looked whether another worker has the answer."""
HOUR_S = 3600.0
PATIENCE = 2
"""So many times in a row it may be away before that counts as an answer: it may be about to start, as we are."""
_REFUSED = frozenset((400, 413, 414, 422))
"""Statuses that are about the question: it would be refused again, and others may not be."""
_CLOSED = frozenset((401, 403, 404, 405))
"""Statuses that no repetition changes, whatever is asked."""


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_decode = msgspec.json.Decoder(_Completion).decode


class UnjudgedError(Exception):
    """There is no verdict; the message says why, for an operator."""

    away = False
    """Nor would there be one for any other question now."""
    again = True
    """The next moment may bring one."""
    soon = False
    """It is worth waiting for: this is no answer yet."""


class _AwayError(UnjudgedError):
    away = True


class _ClosedError(_AwayError):
    again = False


class _RefusedError(UnjudgedError):
    again = False


class Judge:
    """The judge of one snapshot, as one worker asks it."""

    def __init__(self, spec: JudgeSpec, approvals: Approvals, tools: Tools) -> None:
        self.spec = spec
        self._approvals, self._metrics, self._clock = approvals, tools.metrics, tools.clock
        parts = urlsplit(spec.url)
        self._client = tools.client
        self._origin = tools.client.origin(f"{parts.scheme}://{parts.netloc}", owner="judge of definitions")
        self._target = ((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode("ascii")
        tools.closers.append(lambda: tools.client.discard(self._origin))
        self._free = asyncio.Semaphore(spec.max_concurrent)
        self._hours: dict[str, tuple[float, int]] = tools.lasting.setdefault("mcp.judging", {})
        """By target: when its hour began, and how many questions were asked in it. It outlives snapshots."""
        self._away_until_s = 0.0
        self._failures = 0
        self._why_away = ""

    @property
    def retry_s(self) -> float:
        """After how many seconds it is worth asking again."""
        away_s = self._away_until_s - self._clock.monotonic()
        return away_s if away_s > 0 else AGAIN_S

    async def judge(self, target: str, question: Question) -> Verdict:
        """Its verdict on a definition of `target`. Raises UnjudgedError, ApprovalsError."""
        digest = question.digest(self.spec.model)
        async with self._free:
            while True:
                kept = (await asyncio.to_thread(self._approvals.judgements, [digest])).get(digest)
                if kept is not None:
                    return Verdict("harmful" if kept.harmful else "harmless", kept.reason)
                # Whoever dies while asking holds others up for as long as one question may take.
                lease_s = TRIES * (self.spec.timeout_s + PAUSE_S)
                if await asyncio.to_thread(self._approvals.claim, digest, lease_s):
                    return await self._answer(target, question, digest)
                await asyncio.sleep(LOOK_S)

    async def _answer(self, target: str, question: Question, digest: str) -> Verdict:
        verdict: Verdict | None = None
        try:
            self._check(target)
            verdict = await self._ask(question)
        except UnjudgedError as exc:
            if exc.away:
                self._leave_alone(str(exc))
            exc.soon = self._away_until_s > 0 and self._failures < PATIENCE
            raise
        finally:
            self._metrics.counter(names.JUDGEMENTS, target=target, verdict=verdict.word if verdict else "none").add()
            if verdict is None:
                self._unclaim(digest)
        self._failures, self._away_until_s = 0, 0.0
        kept = Judgement(verdict.word == "harmful", verdict.reason, self.spec.model)
        await asyncio.to_thread(self._approvals.judge, digest, kept)
        return verdict

    def _unclaim(self, digest: str) -> None:
        try:
            self._approvals.unclaim(digest)
        except ApprovalsError as exc:
            _log.error("judge of definitions: %s", exc)

    def _check(self, target: str) -> None:
        """Whether it may be asked about `target` now."""
        if self.spec.credential_error:
            raise UnjudgedError(self.spec.credential_error)
        now_s = self._clock.monotonic()
        if now_s < self._away_until_s:
            raise UnjudgedError(self._why_away)  # not `away`: it was not asked
        began_s, asked = self._hours.get(target, (now_s, 0))
        if now_s - began_s >= HOUR_S:
            began_s, asked = now_s, 0
        if asked >= self.spec.max_per_hour:
            raise UnjudgedError(f"the judge was asked about {target} {asked} times within an hour, which is the most")
        self._hours[target] = began_s, asked + 1

    def _leave_alone(self, why: str) -> None:
        pause_s = AWAY_S[min(self._failures, len(AWAY_S) - 1)]
        self._failures += 1
        self._away_until_s, self._why_away = self._clock.monotonic() + pause_s, why
        _log.warning("judge of definitions: %s; asked again in %.0f s", why, pause_s)

    async def _ask(self, question: Question) -> Verdict:
        body = msgspec.json.encode(
            {
                **self.spec.parameters,
                "model": self.spec.model,
                "messages": [
                    {"role": "system", "content": INSTRUCTIONS},
                    {"role": "user", "content": question.text},
                ],
            }
        )
        error = UnjudgedError()
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(PAUSE_S * attempt)
            try:
                return _verdict(await self._post(body))
            except UnjudgedError as exc:
                error = exc
                if not exc.again:
                    break
        raise error

    async def _post(self, body: bytes) -> bytes:
        headers: Headers = [(b"content-type", b"application/json"), (b"accept", b"application/json")]
        if self.spec.credential:
            headers.append((b"authorization", f"Bearer {self.spec.credential}".encode()))
        limit_s = self.spec.timeout_s
        timeouts = TimeoutSpec(connect_s=limit_s, first_byte_s=limit_s, idle_s=limit_s, total_s=limit_s)
        try:
            answer = await self._client.send(
                self._origin, OutboundRequest("POST", self._target, headers, body), timeouts
            )
            try:
                data = await answer.body.read(MAX_ANSWER_BYTES)
            finally:
                answer.close()
        except NetError as exc:
            raise _AwayError(f"the judge could not be asked: {type(exc).__name__}") from exc
        if answer.status == 200:
            return data
        kind = _RefusedError if answer.status in _REFUSED else _ClosedError if answer.status in _CLOSED else _AwayError
        raise kind(f"the judge answered with status {answer.status}")


def _verdict(data: bytes) -> Verdict:
    try:
        choices = _decode(data).choices
        text = (choices[0].message.content if choices else None) or ""
        return read_verdict(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError, UnreadableError) as exc:
        raise UnjudgedError("the judge's answer is no verdict") from exc
