"""Waiting for what a judge says of the lists of targets.

Owns who waits how long: lists that are seen for the first time wait a while, all others are shown at once without what
is not judged yet; either way whoever waits is told when the last answer is there. A judge that was away is asked again
when it may be back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from heddle.dataplane.mcp.judging import Judge, UnjudgedError
from heddle.directory.judging import Judged, Question, Verdict
from heddle.drivers.approvals import Approvals, ApprovalsError
from heddle.model.snapshot_mcp import JudgeSpec
from heddle.pipeline.assembly import Tools

_log = logging.getLogger("heddle.mcp")

FIRST_S = 8.0
"""How long the first lists of a target wait for their verdicts: a little less than callers wait for lists."""
MOMENT_S = 0.2
TOO_LONG = "it is longer than a judge is asked to read"
MAX_REMEMBERED = 20_000
"""Answers in memory; beyond, all are asked of the store again."""

Told = Callable[[bool], Awaitable[None]]
"""Whether what is known is fresh: something was still open when it was told last."""


class Hearings:
    """All questions of one snapshot, and those who wait for their answers."""

    def __init__(self, spec: JudgeSpec, approvals: Approvals, tools: Tools) -> None:
        self._judge = Judge(spec, approvals, tools)
        self._spec = spec
        self._answers: dict[str, Verdict | str] = {}
        """By the text of the question."""
        self._asked: dict[str, dict[str, asyncio.Task[None]]] = {}
        """By target and text: what is being asked."""
        self._waiting: dict[str, asyncio.Task[None]] = {}
        """By target, who waits to tell of its answers."""

    async def hear(self, target: str, questions: Mapping[str, Question | None], told: Told, *, wait: bool) -> Judged:
        """What is known of the answers to questions (by the digest of what they are about), after waiting or at once.

        Where something is still open, or brought no verdict, `told` is called when there is something new.
        """
        answers: dict[str, Verdict | str] = {digest: TOO_LONG for digest, one in questions.items() if one is None}
        asked = {digest: one for digest, one in questions.items() if one is not None}
        running = [self._ask(target, one) for one in asked.values() if one.text not in self._answers]
        if running:
            # Those that the store has an answer to are done in a moment.
            await asyncio.wait(running, timeout=FIRST_S if wait else MOMENT_S)
        found = {digest: self._answers[one.text] for digest, one in asked.items() if one.text in self._answers}
        answers.update(found)
        settled = len(answers) == len(questions)
        if not settled or any(isinstance(one, str) for one in found.values()):
            former = self._waiting.get(target)
            if former is not None:
                former.cancel()
            self._waiting[target] = asyncio.ensure_future(self._tell(target, told, settled=settled))
        return Judged(answers, self._spec.overrules, self._spec.on_error, settled)

    def _ask(self, target: str, question: Question) -> "asyncio.Task[None]":
        asked = self._asked.setdefault(target, {})
        task = asked.get(question.text)
        if task is None:
            task = asked[question.text] = asyncio.ensure_future(self._run(target, question))
            task.add_done_callback(lambda _: asked.pop(question.text, None))
        return task

    async def _run(self, target: str, question: Question) -> None:
        if len(self._answers) >= MAX_REMEMBERED:
            self._answers.clear()
        try:
            self._answers[question.text] = await self._judge.judge(target, question)
        except UnjudgedError as exc:
            if not exc.soon:
                self._answers[question.text] = str(exc)
        except ApprovalsError as exc:
            self._answers[question.text] = str(exc)

    async def _tell(self, target: str, told: Told, *, settled: bool) -> None:
        """Tell when all that is asked about a target is answered, and ask again what brought no verdict."""
        asked = self._asked.get(target, {})
        if asked:
            while asked:
                await asyncio.wait(list(asked.values()))
        else:
            await asyncio.sleep(self._judge.retry_s)
            for text in [text for text, answer in self._answers.items() if isinstance(answer, str)]:
                del self._answers[text]
        del self._waiting[target]
        try:
            await told(not settled)
        except Exception:
            _log.exception("tool server %s: what the judge said of it cannot be shown", target)

    def close(self) -> None:
        """Nobody waits any more."""
        for asked in self._asked.values():
            for task in asked.values():
                task.cancel()
        for task in self._waiting.values():
            task.cancel()
