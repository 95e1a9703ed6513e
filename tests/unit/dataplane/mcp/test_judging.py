"""How the judge is asked: by whom, how often, and what becomes of those who wait when it fails."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from heddle.dataplane.mcp import judge_service, judging
from heddle.dataplane.mcp.judge_service import TRIES, AwayError, FailedError, Service
from heddle.dataplane.mcp.judging import Judge, Judges
from heddle.directory.definitions import define
from heddle.directory.judging import Place, Question, Unanswered, Verdict, place_of, question
from heddle.drivers.approvals.sqlite import SqliteApprovals
from heddle.model.snapshot_mcp import JudgeSpec
from heddle.net.client import Client
from heddle.pipeline.assembly import Clock, Tools
from heddle.telemetry import names
from heddle.telemetry.metrics import Metrics

SPEC = JudgeSpec(url="http://127.0.0.1:9/v1/chat/completions", model="m", max_concurrent=2)


class Model:
    """In place of the service: answers a question about a tool by its name."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.says: Callable[[str], Any] = lambda name: "harmful" if name.startswith("bad") else "harmless"
        self.open = asyncio.Event()
        self.open.set()

    async def post(self, body: bytes) -> bytes:
        name = json.loads(json.loads(body)["messages"][1]["content"])["definition"]["name"]
        self.asked.append(name)
        await self.open.wait()
        said = self.says(name)
        if isinstance(said, Exception):
            raise said
        content = said if said.startswith("{") else json.dumps({"reason": "so", "verdict": said})
        return json.dumps({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}).encode()


class Rig:
    """A judge over a store and a clock of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        self.model = Model()
        clock = Clock(time.time, lambda: self.now_s)
        self.metrics = Metrics.in_memory()
        self.tools = Tools(clock, Client(), self.metrics, None, lambda _: None, folder)  # type: ignore[arg-type]
        self.store = SqliteApprovals(folder / "approvals.db")
        monkeypatch.setattr(judge_service, "PAUSE_S", 0.0)
        monkeypatch.setattr(judging, "LOOK_S", 0.01)
        monkeypatch.setattr(Service, "_post", lambda _, body: self.model.post(body))

    def judge(self, **spec: Any) -> Judge:
        return Judges.of(self.tools).judge(replace(SPEC, **spec), self.tools)

    async def hear(self, judge: Judge, *tools: str, target: str = "t", wait_s: float = 5.0) -> dict[str, Any]:
        """Answers by name; None where there is none yet."""
        places = {name: asks(name, target) for name in tools}
        questions = dict(places.values())
        self.heard = await judge.hear(target, questions, wait_s)
        answers = self.heard.judged.answers
        return {name: said(answers.get(place)) for name, (place, _) in places.items()}


def asks(name: str, target: str) -> tuple[Place, Question | None]:
    one = define("tool", {"name": name, "description": "Does it."})
    return place_of(one), question(one, target)


def said(answer: Verdict | Unanswered | None) -> str | None:
    return answer.word if isinstance(answer, Verdict) else answer.why if answer is not None else None


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    made = Rig(tmp_path, monkeypatch)
    yield made
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    made.store.close()


async def test_each_question_is_asked_once_and_its_answer_kept(rig: Rig):
    judge = rig.judge()
    assert await rig.hear(judge, "good", "bad") == {"good": "harmless", "bad": "harmful"}
    assert await rig.hear(judge, "good", "bad") == {"good": "harmless", "bad": "harmful"}
    other = rig.judge(model="another")
    assert other is not judge
    await rig.hear(other, "good")
    assert sorted(rig.model.asked) == ["bad", "good", "good"]
    assert rig.metrics.counter(names.JUDGEMENTS, target="t", verdict="harmful").value == 1


async def test_what_is_kept_is_known_at_once_whatever_else_is_asked(rig: Rig):
    judge = rig.judge()
    await rig.hear(judge, "good", target="notes")
    rig.model.open.clear()
    await rig.hear(judge, *(f"n{n}" for n in range(50)), target="evil", wait_s=0.0)
    async with asyncio.timeout(1):
        assert await rig.hear(judge, "good", target="notes", wait_s=0.0) == {"good": "harmless"}


async def test_no_target_has_all_turns(rig: Rig):
    judge = rig.judge()
    rig.model.open.clear()
    await rig.hear(judge, *(f"evil{n}" for n in range(50)), target="evil", wait_s=0.0)
    waiting = asyncio.ensure_future(rig.hear(judge, "good", target="notes"))
    await asyncio.sleep(0.2)
    assert "good" in rig.model.asked
    assert len(rig.model.asked) == 2
    rig.model.open.set()
    assert await waiting == {"good": "harmless"}


async def test_a_question_that_fails_beside_others_is_asked_again_in_seconds(rig: Rig):
    failing = {"unlucky"}
    rig.model.says = lambda name: FailedError("the judge answered with status 429") if name in failing else "harmless"
    judge = rig.judge()
    names_of = [f"n{n}" for n in range(4)]
    found = await rig.hear(judge, "unlucky", *names_of)
    assert [found[name] for name in names_of] == ["harmless"] * 4
    assert not rig.heard.judged.complete
    assert not judge.is_due("t", rig.heard)
    failing.clear()
    rig.now_s += judging.FAILED_S[0] + 0.1
    assert judge.is_due("t", rig.heard)
    assert set((await rig.hear(judge, "unlucky", *names_of)).values()) == {"harmless"}


async def test_a_judge_that_is_away_is_left_alone_and_not_told_of_at_first(rig: Rig):
    rig.model.says = lambda _: AwayError("the judge could not be reached")
    judge = rig.judge()
    await rig.hear(judge, "a", "b", "c")
    assert rig.heard.judged.is_open(define("tool", {"name": "a", "description": "Does it."}))
    asked = len(rig.model.asked)
    await rig.hear(judge, "a", "b", "c", "d")
    await rig.hear(judge, "x", target="another")
    assert len(rig.model.asked) == asked, "nothing is asked meanwhile"
    for pause_s in judging.AWAY_S:
        rig.now_s += pause_s + 0.1
        assert (await rig.hear(judge, "a"))["a"] == "the judge could not be reached"
    assert not rig.heard.judged.is_open(define("tool", {"name": "a", "description": "Does it."}))
    assert not rig.heard.judged.complete


async def test_questions_that_make_a_judge_fail_keep_it_from_nobody_elses(rig: Rig):
    rig.model.says = lambda name: FailedError("it answered 500") if name.startswith("evil") else "harmless"
    judge = rig.judge()
    for _ in range(4):
        await rig.hear(judge, *(f"evil{n}" for n in range(20)), target="evil")
        assert await rig.hear(judge, "good", target="notes") == {"good": "harmless"}
        asked = len(rig.model.asked)
        await rig.hear(judge, "evil0", "evil99", target="evil")
        assert len(rig.model.asked) == asked, "its own rest"
        rig.now_s += 61
    asked = [name for name in rig.model.asked if name.startswith("evil")]
    assert len(asked) < 100, "and they are asked later and later"


@pytest.mark.parametrize("status", [403, 404, 405, 408, 429, 500, 529])
def test_what_may_be_said_to_one_question_only_is_not_taken_for_a_judge_that_is_away(status: int):
    failure = judge_service._failure(status)
    assert (failure.failed, failure.away) == (True, False)
    assert judge_service._failure(401).away
    assert not judge_service._failure(400).failed


async def test_more_definitions_than_are_judged_of_a_target_are_not_asked_about(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(judging, "MAX_QUESTIONS", 5)
    rig.model.says = lambda _: FailedError("it answered 500")
    judge = rig.judge()
    many = [f"n{n}" for n in range(30)]
    found = await rig.hear(judge, *many)
    assert sum(one == judging.TOO_LONG.why for one in found.values()) == 25
    asked = len(rig.model.asked)
    for _ in range(20):
        await rig.hear(judge, *many)
    assert len(rig.model.asked) == asked
    assert not judge.is_due("t", rig.heard), "it is quiet"


async def test_each_hearing_knows_when_its_own_failures_are_due(rig: Rig):
    rig.model.says = lambda name: FailedError("it answered 500") if name == "a" else "harmless"
    judge = rig.judge()
    await rig.hear(judge, "a")
    first = rig.heard
    await rig.hear(judge, "b")
    assert rig.heard.due_s == float("inf")
    rig.now_s += judging.FAILED_S[0] + 0.1
    assert judge.is_due("t", first)


async def test_what_is_no_verdict_is_asked_again_later_and_later(rig: Rig):
    rig.model.says = lambda _: '{"verdict": "perhaps"}'
    judge = rig.judge()
    assert await rig.hear(judge, "a") == {"a": "the judge's answer is no verdict"}
    assert not rig.heard.judged.complete
    assert len(rig.model.asked) == TRIES
    for times, pause_s in enumerate(judging.NO_VERDICT_S, 2):
        rig.now_s += pause_s - 1
        await rig.hear(judge, "a")
        assert len(rig.model.asked) == TRIES * (times - 1)
        rig.now_s += 2
        assert judge.is_due("t", rig.heard)
        await rig.hear(judge, "a")
        assert len(rig.model.asked) == TRIES * times


async def test_an_answer_that_was_cut_off_is_none(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    content = json.dumps({"reason": "so", "verdict": "harmless"})

    async def post(_: Service, __: bytes) -> bytes:
        return json.dumps({"choices": [{"message": {"content": content}, "finish_reason": "length"}]}).encode()

    monkeypatch.setattr(Service, "_post", post)
    assert await rig.hear(rig.judge(), "a") == {"a": "the judge's answer was cut off"}


async def test_requests_about_one_target_are_counted_those_in_vain_too(rig: Rig):
    rig.model.says = lambda _: "{}"
    judge = rig.judge(max_per_hour=5)
    found = await rig.hear(judge, *(f"n{n}" for n in range(4)))
    assert len(rig.model.asked) == 5
    assert "5 times within an hour" in str(found)
    rig.model.says = lambda _: "harmless"
    assert await rig.hear(judge, "good", target="notes") == {"good": "harmless"}, "others have their own"
    rig.now_s += judging.HOUR_S + 1
    assert await rig.hear(judge, "n0") == {"n0": "harmless"}


async def test_a_reload_loses_no_question_asks_none_twice_and_gives_no_second_allowance(rig: Rig):
    judge = rig.judge(max_per_hour=2)
    rig.model.open.clear()
    await rig.hear(judge, "a", wait_s=0.05)
    assert rig.judge(max_per_hour=2) is judge, "the same judge goes on"
    changed = rig.judge(timeout_s=7.0, max_per_hour=2)
    assert await rig.hear(changed, "a", wait_s=0.0) == {"a": None}
    heard = rig.heard
    waiting = asyncio.ensure_future(rig.hear(changed, "a", "b"))
    await asyncio.sleep(0.05)
    rig.model.open.set()
    assert await waiting == {"a": "harmless", "b": "harmless"}
    assert sorted(rig.model.asked) == ["a", "b"]
    assert changed.is_due("t", heard), "whoever of them asked"
    assert "within an hour" in str(await rig.hear(changed, "c"))


async def test_a_refused_configuration_takes_no_judge_from_the_one_that_serves(rig: Rig):
    judge = rig.judge()
    kept, rig.tools.closers = rig.tools.closers, []
    assert rig.judge(timeout_s=7.0) is not judge
    for close in rig.tools.closers:
        close()
    assert await rig.hear(judge, "good") == {"good": "harmless"}
    rig.tools.closers = kept
    assert rig.judge() is judge


async def test_what_another_worker_asks_is_waited_for(rig: Rig):
    judge = rig.judge()
    _, asked = asks("good", "t")
    assert asked is not None
    key = asked.key("m")
    assert rig.store.claim(key, os.getppid(), 60)
    waiting = asyncio.ensure_future(rig.hear(judge, "good"))
    await asyncio.sleep(0.1)
    assert rig.model.asked == []
    assert await rig.hear(judge, "other", target="u") == {"other": "harmless"}, "it takes nobody's turn"
    rig.store.judge(key, judging.Judgement(harmful=True, reason="", model="m"))
    assert await waiting == {"good": "harmful"}


async def test_a_store_that_fails_is_no_verdict_and_no_end(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    judge = rig.judge()

    def full(*_: Any) -> bool:
        raise judging.ApprovalsError("approvals.db cannot be written: disk full")

    with monkeypatch.context() as broken:
        broken.setattr(judge._store, "claim", full)
        await rig.hear(judge, "good")
        assert not rig.heard.judged.complete
    rig.now_s += judging.FAILED_S[0] + 0.1
    assert await rig.hear(judge, "good") == {"good": "harmless"}
