"""Asking the model that judges definitions.

Owns how it is asked: once for each question, whichever worker has it first, some at a time, no target more than half of
them, and only so often about one target, because each answer is paid for. Answers are kept in the store of approvals.
What brought no answer is asked again later, and later each time. A judge outlives the snapshots that name it, so that
a reload loses no question that is under way.
"""

import asyncio
import logging
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from itertools import islice

import msgspec

from heddle import plugins
from heddle.dataplane.mcp.judge_service import FailedError, Service, SpentError, UnjudgedError
from heddle.directory.judging import MAX_QUESTIONS, Judged, Place, Question, Unanswered, Verdict
from heddle.drivers.approvals import FILE, Approvals, ApprovalsError, Judgement
from heddle.model.snapshot_mcp import JudgeSpec
from heddle.pipeline.assembly import Tools
from heddle.telemetry import names

_log = logging.getLogger("heddle.mcp")

AWAY_S = (5.0, 15.0, 60.0)
"""After so long a judge that could not be asked is asked again, the first, the second and every further time."""
NO_VERDICT_S = (60.0, 300.0, 1800.0, 3600.0)
"""The same for a question that brought no verdict."""
FAILED_S = (5.0, 60.0, 300.0, 3600.0)
"""The same for one at which the judge failed."""
STREAK = 3
"""So many failures in a row, without an answer between, and all questions about a target rest for a while."""
PATIENCE = 2
"""So many times it may fail before anybody is told: it may be about to start, as we are."""
LOOK_S = 0.5
"""How often it is looked whether another worker has the answer."""
SPREAD_S = 5.0
"""Answers are shown as they come, but not more often."""
HOUR_S = 3600.0
TOO_LONG = Unanswered("it is more than a judge is asked about")
_LASTING = "mcp.judges"


class _Rest:
    """When somebody who failed is asked again: later each time."""

    __slots__ = ("times", "until_s", "why")

    def __init__(self) -> None:
        self.times = 0
        self.until_s = -math.inf
        self.why = ""

    def begin(self, now_s: float, why: str) -> float:
        """It failed; for how many seconds it rests from now on. What fails while it rests changes nothing."""
        if now_s < self.until_s:
            return 0.0
        pause_s = AWAY_S[min(self.times, len(AWAY_S) - 1)]
        self.times += 1
        self.until_s, self.why = now_s + pause_s, why
        return pause_s

    def end(self) -> None:
        """It answered."""
        self.times, self.until_s = 0, -math.inf


class _Failure(msgspec.Struct):
    """Why a question has no answer, and when it is asked again."""

    why: Unanswered
    due_s: float
    times: int


class _Target:
    """What is asked about one target."""

    __slots__ = ("failed", "rest", "streak", "turns")

    def __init__(self, most: int) -> None:
        # No target has all turns: questions about the others are asked as well.
        self.turns = asyncio.Semaphore(max(1, most // 2))
        self.failed: dict[str, _Failure] = {}
        self.streak = 0
        """Questions that failed since the last answer."""
        self.rest = _Rest()


class Heard(msgspec.Struct, frozen=True):
    """What a hearing brought, up to where it had heard, and when what failed is asked again."""

    judged: Judged
    outcomes: int
    at_s: float
    due_s: float


class _Count(msgspec.Struct):
    """Questions about one target, of all judges."""

    running: int = 0
    outcomes: int = 0
    """Answers and failures so far."""


class Shared:
    """What all judges of one worker share, so that a changed one asks nothing twice and has no second allowance."""

    def __init__(self, store: Approvals) -> None:
        self.store = store
        self.asked: dict[str, asyncio.Task[None]] = {}
        self.hours: dict[str, tuple[float, int]] = {}
        """By target: when its hour began, and how many requests were made in it."""
        self.counts: dict[str, _Count] = {}

    def count(self, target: str) -> _Count:
        """That of a target."""
        return self.counts.setdefault(target, _Count())


class Judge:
    """One judge, as one worker asks it."""

    def __init__(self, spec: JudgeSpec, shared: Shared, tools: Tools) -> None:
        self.spec = spec
        self.users = 0
        """Snapshots that name it."""
        self._shared, self._store = shared, shared.store
        self._metrics, self._clock = tools.metrics, tools.clock.monotonic
        self._service = Service(spec, tools)
        self._free = asyncio.Semaphore(spec.max_concurrent)
        self._targets: dict[str, _Target] = {}
        self._rest = _Rest()
        self._own: set[asyncio.Task[None]] = set()

    async def hear(self, target: str, questions: Mapping[Place, Question | None], wait_s: float) -> Heard:
        """What is known of the answers, after waiting so long at most for those that are missing.

        Raises ApprovalsError.
        """
        of, count = self._target(target), self._shared.count(target)
        # Some tens of microseconds for each: nobody else waits for that.
        keys = await asyncio.to_thread(_keys, questions, self.spec.model)
        answers: dict[Place, Verdict | Unanswered] = dict.fromkeys(questions.keys() - keys.keys(), TOO_LONG)
        outcomes = count.outcomes
        kept = await asyncio.to_thread(self._store.judgements, keys.values())
        asked = {
            key: self._ask(target, key, one)
            for place, one in questions.items()
            if one is not None and (key := keys.get(place, "")) and key not in kept
        }
        running = [task for task in asked.values() if task is not None]
        if running and wait_s:
            await asyncio.wait(running, timeout=wait_s)
            outcomes = count.outcomes
            kept = await asyncio.to_thread(self._store.judgements, keys.values())
        now_s, due_s = self._clock(), math.inf
        for place, key in keys.items():
            if key in kept:
                answers[place] = Verdict("harmful" if kept[key].harmful else "harmless", kept[key].reason)
            elif key not in self._shared.asked:
                failure = of.failed.get(key)
                # What is neither answered nor asked nor remembered as failed is looked at again, too.
                due_s = min(due_s, failure.due_s if failure is not None else now_s + NO_VERDICT_S[0])
                if failure is not None:
                    answers[place] = failure.why
        judged = Judged(answers, self.spec.overrules, self.spec.on_error, frozenset(questions))
        return Heard(judged, outcomes, now_s, due_s)

    def is_due(self, target: str, heard: Heard) -> bool:
        """Whether hearing again would bring something new."""
        count, now_s = self._shared.count(target), self._clock()
        news = count.outcomes != heard.outcomes and (not count.running or now_s >= heard.at_s + SPREAD_S)
        return news or now_s >= heard.due_s

    def _target(self, name: str) -> _Target:
        found = self._targets.get(name)
        if found is None:
            found = self._targets[name] = _Target(self.spec.max_concurrent)
        return found

    def _ask(self, target: str, key: str, question: Question) -> "asyncio.Task[None] | None":
        """The asking of a question; None when it failed, and is not due again."""
        task = self._shared.asked.get(key)
        if task is None:
            failed = self._target(target).failed.get(key)
            if failed is not None and self._clock() < failed.due_s:
                return None
            task = self._shared.asked[key] = asyncio.ensure_future(self._run(target, key, question))
            self._own.add(task)
            self._shared.count(target).running += 1
            task.add_done_callback(partial(self._done, target, key))
        return task

    def _done(self, target: str, key: str, task: "asyncio.Task[None]") -> None:
        self._own.discard(task)
        del self._shared.asked[key]
        count = self._shared.count(target)
        count.running -= 1
        count.outcomes += 1

    async def _run(self, target: str, key: str, question: Question) -> None:
        of = self._target(target)
        try:
            await self._judge(target, key, question)
        except UnjudgedError as exc:
            self._fail(of, key, exc)
        except ApprovalsError as exc:
            self._fail(of, key, FailedError(str(exc)))
        except Exception as exc:
            _log.exception("judge of definitions: unexpected failure")
            self._fail(of, key, UnjudgedError(f"asking failed: {type(exc).__name__}"))
        else:
            of.failed.pop(key, None)

    async def _judge(self, target: str, key: str, question: Question) -> None:
        """Have the answer in the store. Raises UnjudgedError, ApprovalsError."""
        of = self._target(target)
        while True:
            async with of.turns, self._free:
                if await asyncio.to_thread(self._store.judgements, [key]):
                    return
                self._check(target)
                # Whoever hangs while asking holds others up for as long as one question may take.
                if await asyncio.to_thread(self._store.claim, key, os.getpid(), self._service.lease_s):
                    try:
                        await self._have(target, key, question)
                    finally:
                        with suppress(ApprovalsError):
                            await asyncio.to_thread(self._store.unclaim, key, os.getpid())
                    of.streak = 0
                    of.rest.end()
                    self._rest.end()
                    return
            await asyncio.sleep(LOOK_S)

    async def _have(self, target: str, key: str, question: Question) -> None:
        word = "none"
        try:
            verdict = await self._service.ask(question, partial(self._spend, target))
            word = verdict.word
            kept = Judgement(word == "harmful", verdict.reason, self.spec.model)
            await asyncio.to_thread(self._store.judge, key, kept)
        finally:
            self._metrics.counter(names.JUDGEMENTS, target=target, verdict=word).add()

    def _check(self, target: str) -> None:
        """Whether it may be asked about `target` now. Raises UnjudgedError."""
        if self.spec.credential_error:
            raise UnjudgedError(self.spec.credential_error)
        for rest in (self._rest, self._target(target).rest):
            if self._clock() < rest.until_s:
                raise FailedError(rest.why)
        self._made(target)

    def _made(self, target: str) -> tuple[float, int]:
        """When its hour began, and how many requests were made in it. Raises UnjudgedError when it had its share."""
        now_s = self._clock()
        began_s, made = self._shared.hours.get(target, (now_s, 0))
        if now_s - began_s >= HOUR_S:
            began_s, made = now_s, 0
        if made >= self.spec.max_per_hour:
            raise SpentError(f"the judge was asked about {target} {made} times within an hour, which is the most")
        return began_s, made

    def _spend(self, target: str) -> None:
        began_s, made = self._made(target)
        self._shared.hours[target] = began_s, made + 1

    def _fail(self, of: _Target, key: str, exc: UnjudgedError) -> None:
        """Remember that a question has no answer, and when to ask it again.

        That a judge fails at a question may be the question's fault: only what fails before anything is said keeps it
        from all others, and what fails several times in a row from those of the same target.
        """
        now_s, former = self._clock(), of.failed.pop(key, None)
        times = former.times if former is not None else 0
        resting_s = max(self._rest.until_s, of.rest.until_s)
        if exc.failed and now_s < resting_s:
            due_s = resting_s  # it was not asked
        elif exc.away:
            self._say(self._rest.begin(now_s, str(exc)), exc)
            due_s = self._rest.until_s
        else:
            due_s = now_s + (FAILED_S if exc.failed else NO_VERDICT_S)[min(times, len(NO_VERDICT_S) - 1)]
            times += 1
            of.streak += exc.failed
            if of.streak >= STREAK:
                of.streak = 0
                self._say(of.rest.begin(now_s, str(exc)), exc)
        told = not exc.failed or max(self._rest.times, of.rest.times, times) >= PATIENCE
        while len(of.failed) >= MAX_QUESTIONS:
            del of.failed[next(iter(of.failed))]
        of.failed[key] = _Failure(Unanswered(str(exc), temporary=True, told=told), due_s, times)

    def _say(self, pause_s: float, exc: UnjudgedError) -> None:
        if pause_s:
            _log.warning("judge of definitions: %s; asked again in %.0f s", exc, pause_s)

    async def retire(self) -> None:
        """Let what is under way end, and let go of the connections."""
        while self._own:
            await asyncio.wait(self._own)
        self._service.close()


class Judges:
    """The judges of one worker: those that snapshots name, and former ones that still answer."""

    def __init__(self, tools: Tools) -> None:
        self._shared = Shared(plugins.load("approvals", "sqlite")(tools.state_dir / FILE, tools.clock.now))
        self._judges: list[Judge] = []
        self._retiring: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, tools: Tools) -> "Judges":
        """Those of this worker. Raises ApprovalsError."""
        found: Judges | None = tools.lasting.get(_LASTING)
        if found is None:
            found = tools.lasting[_LASTING] = cls(tools)
        return found

    def judge(self, spec: JudgeSpec, tools: Tools) -> Judge:
        """The judge that a snapshot names, until it is dropped: the same as before where nothing about it changed."""
        judge = next((one for one in self._judges if one.spec == spec), None)
        if judge is None:
            judge = Judge(spec, self._shared, tools)
            self._judges.append(judge)
        judge.users += 1
        tools.closers.append(lambda: self._leave(judge))
        return judge

    def _leave(self, judge: Judge) -> None:
        judge.users -= 1
        if not judge.users:
            self._judges.remove(judge)
            task = asyncio.ensure_future(judge.retire())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)


def _keys(questions: Mapping[Place, Question | None], model: str) -> dict[Place, str]:
    """Under what the answers to questions are kept; of those that are to be asked, and no more than may be."""
    asked = ((place, one) for place, one in questions.items() if one is not None)
    return {place: one.key(model) for place, one in islice(asked, MAX_QUESTIONS)}
