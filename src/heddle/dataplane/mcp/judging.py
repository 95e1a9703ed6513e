"""Asking the model that judges definitions.

Owns how it is asked: once for each question, whichever worker has it first, some at a time, no target more than half of
them, and only so often about one target, because each answer is paid for. Answers are kept in the store of approvals.
What brought no answer is asked again later, and later each time. A judge outlives the snapshots that name it, so that
a reload loses no question that is under way.

*Source:* OpenAI API reference, "Create chat completion", as of 2026-11.
"""

import asyncio
import logging
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec

from heddle import plugins
from heddle.directory.judging import (
    INSTRUCTIONS,
    Judged,
    Place,
    Question,
    Unanswered,
    UnreadableError,
    Verdict,
    read_verdict,
)
from heddle.drivers.approvals import FILE, Approvals, ApprovalsError, Judgement
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
"""Of one question in a row: a model may answer what is no verdict, and a busy one may refuse."""
PAUSE_S = 1.0
AWAY_S = (5.0, 15.0, 60.0)
"""After so long a judge that could not be asked is asked again, the first, the second and every further time."""
NO_VERDICT_S = (60.0, 300.0, 1800.0, 3600.0)
"""The same for a question that brought no verdict."""
PATIENCE = 2
"""So many times in a row it may be away before anybody is told: it may be about to start, as we are."""
LOOK_S = 0.5
"""How often it is looked whether another worker has the answer."""
SPREAD_S = 5.0
"""Answers are shown as they come, but not more often."""
HOUR_S = 3600.0
MAX_FAILURES = 20_000
TOO_LONG = Unanswered("it is longer than a judge is asked to read")
_REFUSED = frozenset((400, 413, 414, 422))
"""Statuses that are about the question: it would be refused again, and others may not be."""
_CLOSED = frozenset((401, 403, 404, 405))
"""Statuses that no repetition changes, whatever is asked."""
_LASTING = "mcp.judges"


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

    away = False
    """Nor would there be one for any other question now."""
    again = True
    """The next moment may bring one."""


class _AwayError(UnjudgedError):
    away = True


class _ClosedError(_AwayError):
    again = False


class _RefusedError(UnjudgedError):
    again = False


class _Failure(msgspec.Struct):
    """Why a question has no answer, and when it is asked again."""

    why: Unanswered
    due_s: float
    times: int


class _Target(msgspec.Struct):
    """What is asked about one target."""

    turns: asyncio.Semaphore
    running: int = 0
    outcomes: int = 0
    """Answers and failures so far."""
    due_s: float = math.inf
    """When the next failed question is asked again."""


class Heard(msgspec.Struct, frozen=True):
    """What a hearing brought, and up to where it had heard."""

    judged: Judged
    outcomes: int
    at_s: float


class Judge:
    """One judge, as one worker asks it."""

    def __init__(self, spec: JudgeSpec, store: Approvals, tools: Tools) -> None:
        self.spec = spec
        self._store, self._metrics, self._clock = store, tools.metrics, tools.clock.monotonic
        parts = urlsplit(spec.url)
        self._client = tools.client
        self._origin = tools.client.origin(f"{parts.scheme}://{parts.netloc}", owner="judge of definitions")
        self._path = (parts.path or "/").encode("ascii")
        self._free = asyncio.Semaphore(spec.max_concurrent)
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, _Failure] = {}
        self._targets: dict[str, _Target] = {}
        self._hours: dict[str, tuple[float, int]] = {}
        """By target: when its hour began, and how many requests were made in it."""
        self._away_until_s = 0.0
        self._failures = 0
        self._why_away = ""

    async def hear(self, target: str, questions: Mapping[Place, Question | None], wait_s: float) -> Heard:
        """What is known of the answers, after waiting so long at most for those that are missing.

        Raises ApprovalsError.
        """
        keys = {place: one.key(self.spec.model) for place, one in questions.items() if one is not None}
        of = self._target(target)
        outcomes = of.outcomes
        kept = await asyncio.to_thread(self._store.judgements, keys.values())
        asked = [
            self._ask(target, keys[place], one)
            for place, one in questions.items()
            if one is not None and keys[place] not in kept
        ]
        running = [task for task in asked if task is not None]
        if running and wait_s:
            await asyncio.wait(running, timeout=wait_s)
            outcomes = of.outcomes
            kept = await asyncio.to_thread(self._store.judgements, keys.values())
        waiting = [self._failed[key].due_s for key in keys.values() if key in self._failed and key not in self._asked]
        of.due_s = min(waiting, default=math.inf)
        answers: dict[Place, Verdict | Unanswered] = dict.fromkeys(questions.keys() - keys.keys(), TOO_LONG)
        for place, key in keys.items():
            if key in kept:
                answers[place] = Verdict("harmful" if kept[key].harmful else "harmless", kept[key].reason)
            elif key in self._failed and key not in self._asked:
                answers[place] = self._failed[key].why
        judged = Judged(answers, self.spec.overrules, self.spec.on_error, frozenset(questions))
        return Heard(judged, outcomes, self._clock())

    def is_due(self, target: str, heard: Heard) -> bool:
        """Whether hearing again would bring something new."""
        of, now_s = self._target(target), self._clock()
        news = of.outcomes != heard.outcomes and (not of.running or now_s >= heard.at_s + SPREAD_S)
        return news or now_s >= of.due_s

    def _target(self, name: str) -> _Target:
        found = self._targets.get(name)
        if found is None:
            # No target has all turns: questions about the others are asked as well.
            turns = asyncio.Semaphore(max(1, self.spec.max_concurrent // 2))
            found = self._targets[name] = _Target(turns)
        return found

    def _ask(self, target: str, key: str, question: Question) -> "asyncio.Task[None] | None":
        """The asking of a question; None when it failed, and is not due again."""
        task = self._asked.get(key)
        if task is None:
            failed = self._failed.get(key)
            if failed is not None and self._clock() < failed.due_s:
                return None
            task = self._asked[key] = asyncio.ensure_future(self._run(target, key, question))
            self._target(target).running += 1
            task.add_done_callback(lambda _: self._done(target, key))
        return task

    def _done(self, target: str, key: str) -> None:
        del self._asked[key]
        of = self._target(target)
        of.running -= 1
        of.outcomes += 1

    async def _run(self, target: str, key: str, question: Question) -> None:
        try:
            await self._judge(target, key, question)
        except UnjudgedError as exc:
            self._fail(target, key, exc)
        except ApprovalsError as exc:
            self._fail(target, key, _AwayError(str(exc)))
        except Exception as exc:
            _log.exception("judge of definitions: unexpected failure")
            self._fail(target, key, UnjudgedError(f"asking failed: {type(exc).__name__}"))
        else:
            self._failed.pop(key, None)

    async def _judge(self, target: str, key: str, question: Question) -> None:
        """Have the answer in the store. Raises UnjudgedError, ApprovalsError."""
        while True:
            async with self._target(target).turns, self._free:
                if await asyncio.to_thread(self._store.judgements, [key]):
                    return
                self._check_away()
                # Whoever hangs while asking holds others up for as long as one question may take.
                lease_s = TRIES * (self.spec.timeout_s + PAUSE_S * TRIES)
                if await asyncio.to_thread(self._store.claim, key, os.getpid(), lease_s):
                    verdict: Verdict | None = None
                    try:
                        verdict = await self._ask_model(target, question)
                        kept = Judgement(verdict.word == "harmful", verdict.reason, self.spec.model)
                        await asyncio.to_thread(self._store.judge, key, kept)
                    finally:
                        word = verdict.word if verdict is not None else "none"
                        self._metrics.counter(names.JUDGEMENTS, target=target, verdict=word).add()
                        with suppress(ApprovalsError):
                            await asyncio.to_thread(self._store.unclaim, key, os.getpid())
                    self._failures, self._away_until_s = 0, 0.0
                    return
            await asyncio.sleep(LOOK_S)

    def _check_away(self) -> None:
        if self.spec.credential_error:
            raise UnjudgedError(self.spec.credential_error)
        if self._clock() < self._away_until_s:
            raise _AwayError(self._why_away)

    def _fail(self, target: str, key: str, exc: UnjudgedError) -> None:
        """Remember that a question has no answer, and when to ask it again."""
        now_s, former = self._clock(), self._failed.get(key)
        times = former.times if former is not None else 0
        if exc.away:
            if now_s >= self._away_until_s:
                pause_s = AWAY_S[min(self._failures, len(AWAY_S) - 1)]
                self._failures += 1
                self._away_until_s, self._why_away = now_s + pause_s, str(exc)
                _log.warning("judge of definitions: %s; asked again in %.0f s", exc, pause_s)
            due_s = self._away_until_s
        else:
            due_s = now_s + NO_VERDICT_S[min(times, len(NO_VERDICT_S) - 1)]
            times += 1
        if len(self._failed) >= MAX_FAILURES:
            del self._failed[next(iter(self._failed))]
        why = Unanswered(str(exc), temporary=exc.away, told=not exc.away or self._failures >= PATIENCE)
        self._failed[key] = _Failure(why, due_s, times)
        of = self._target(target)
        of.due_s = min(of.due_s, due_s)

    def _spend(self, target: str) -> None:
        """Count a request about `target`. Raises UnjudgedError when it has had as many as it may."""
        now_s = self._clock()
        began_s, made = self._hours.get(target, (now_s, 0))
        if now_s - began_s >= HOUR_S:
            began_s, made = now_s, 0
        if made >= self.spec.max_per_hour:
            raise _RefusedError(f"the judge was asked about {target} {made} times within an hour, which is the most")
        self._hours[target] = began_s, made + 1

    async def _ask_model(self, target: str, question: Question) -> Verdict:
        messages = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": question.text}]
        body = msgspec.json.encode({**self.spec.parameters, "model": self.spec.model, "messages": messages})
        error = UnjudgedError()
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(PAUSE_S * attempt)
            self._spend(target)
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
            answer = await self._client.send(self._origin, OutboundRequest("POST", self._path, headers, body), timeouts)
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

    async def retire(self) -> None:
        """Let what is under way end, and let go of the connections."""
        while self._asked:
            await asyncio.wait(list(self._asked.values()))
        self._client.discard(self._origin)


class Judges:
    """The judges of one worker: the one that the configuration names now, and former ones that still answer."""

    def __init__(self, tools: Tools) -> None:
        self._store: Approvals = plugins.load("approvals", "sqlite")(tools.state_dir / FILE, tools.clock.now)
        self._judge: Judge | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, tools: Tools) -> "Judges":
        """Those of this worker. Raises ApprovalsError."""
        found: Judges | None = tools.lasting.get(_LASTING)
        if found is None:
            found = tools.lasting[_LASTING] = cls(tools)
        return found

    def judge(self, spec: JudgeSpec, tools: Tools) -> Judge:
        """The judge that a snapshot names: the same as before where nothing about it changed."""
        former = self._judge
        if former is not None and former.spec == spec:
            return former
        self._judge = Judge(spec, self._store, tools)
        if former is not None:
            task = asyncio.ensure_future(former.retire())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        return self._judge


def _verdict(data: bytes) -> Verdict:
    try:
        choices = _decode(data).choices
        if not choices or choices[0].finish_reason not in (None, "stop"):
            # What was cut off may end in words of the definition.
            raise UnjudgedError("the judge's answer was cut off")
        return read_verdict(choices[0].message.content or "")
    except (msgspec.DecodeError, UnicodeError, RecursionError, UnreadableError) as exc:
        raise UnjudgedError("the judge's answer is no verdict") from exc
