"""Real SDKs through the gateway: every dialect, every vendor, every feature.

A cell that cannot be is in `impossible`, with the vendor's document as the reason, and is checked to be refused. In all
others the content arrives, and the usage in the answer and in the access record is what the vendor reported.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.matrix.asking import ABOUT, ARGUMENTS, COUNTED, PIXEL_BASE64, RESULT, Ask, Failed, Heard
from tests.matrix.callers import CALLERS, Caller
from tests.matrix.impossible import CHOICES, COUNTS, IMPOSSIBLE, NOTHING_TO_REPLAY, THOUGHTS
from tests.matrix.meshes import NAMES, VENDORS, Meshes, Passed
from tests.unit.providers.scripted_asking import Usage

FEATURES = (
    "plain",
    "stream",
    "tools",
    "parallel streamed tools",
    "image",
    "structured output",
    "thinking replay",
    "error 400",
    "error 429",
    "mid-stream error",
    "two choices",
)


@pytest.fixture(scope="module")
def callers(meshes: Meshes) -> Iterator[dict[str, Caller]]:
    made = {dialect: CALLERS[dialect](meshes.url) for dialect in CALLERS}
    yield made
    for caller in made.values():
        caller.close()


class Cell:
    """One dialect and one vendor."""

    def __init__(self, meshes: Meshes, caller: Caller, dialect: str, vendor: str) -> None:
        self.meshes = meshes
        self.caller = caller
        self.dialect = dialect
        self.vendor = vendor
        self._told: list[tuple[str, Usage]] = []

    def ask(self, prompt: str, **more: Any) -> tuple[Heard, Passed]:
        """The answer, whose usage has been checked, and what passed between gateway and vendor."""
        ask = Ask(NAMES[self.vendor], prompt, **more)
        before = len(self.meshes.passed)
        heard = self.caller.ask(ask)
        (passed,) = self.meshes.passed[before:]
        assert passed.vendor == self.vendor
        told = passed.told().usage
        assert heard.usage == _counted(told, self.dialect), "usage in the answer"
        self._told.append((ask.trace_id, told))
        return heard, passed

    def settle(self) -> int:
        """Check the usage in the access records of all answers; how many there were."""
        for trace_id, told in self._told:
            record = self.meshes.record(trace_id)
            names = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
            recorded = [record.get(name, 0) for name in names]
            assert recorded == [told.taken, told.made, told.cached, told.reasoning], "usage in the record"
            assert not record.get("estimated"), record
        return len(self._told)

    def fail(self, prompt: str, **more: Any) -> tuple[Failed, dict[str, Any]]:
        """The error that the SDK raises, and the access record."""
        ask = Ask(NAMES[self.vendor], prompt, **more)
        with pytest.raises(Exception) as caught:
            self.caller.ask(ask)
        return self.caller.failed(caught.value), self.meshes.record(ask.trace_id)


def _counted(told: Usage, dialect: str) -> Usage:
    """Usage as far as a dialect can say it."""
    return Usage(*(value if name in COUNTS[dialect] else 0 for name, value in told._asdict().items()))


@pytest.fixture
def cell(request: pytest.FixtureRequest, meshes: Meshes, callers: dict[str, Caller]) -> Cell:
    dialect, vendor = request.param
    return Cell(meshes, callers[dialect], dialect, vendor)


def _standard(body: bytes) -> str:
    """A body with base64 in the standard alphabet: Google's SDK writes the other one, which the API takes as well."""
    return body.decode().replace("-", "+").replace("_", "/")


def plain(cell: Cell) -> None:
    heard, passed = cell.ask(f"Hello {ABOUT} {COUNTED}")
    assert heard.text == passed.told().text
    assert "You said: “Hello “Saint-Étienne" in heard.text
    assert passed.told().usage.cached == 64


def stream(cell: Cell) -> None:
    heard, passed = cell.ask(f"Hello {ABOUT} {COUNTED}", stream=True)
    assert heard.text == passed.told().text
    assert "You said: “Hello “Saint-Étienne" in heard.text


def tools(cell: Cell) -> None:
    prompt = f"What does get_weather say about {ABOUT}? {COUNTED}"
    heard, _ = cell.ask(prompt, tools=True)
    assert [call[1:] for call in heard.calls] == [("get_weather", ARGUMENTS)]
    heard, passed = cell.ask(prompt, tools=True, history=heard)
    assert heard.text == passed.told().text
    assert f"1 tool result came back: “{RESULT}”" in heard.text.replace(" with 1 sealed thought", "")


def parallel(cell: Cell) -> None:
    heard, _ = cell.ask(f"[[tools 3]] about {ABOUT} {COUNTED}", tools=True, stream=True)
    assert [call[1:] for call in heard.calls] == [
        ("get_weather", ARGUMENTS), ("get_time", ARGUMENTS), ("get_weather", ARGUMENTS),
    ]  # fmt: skip
    heard, _ = cell.ask(f"[[tools 3]] about {ABOUT} {COUNTED}", tools=True, stream=True, history=heard)
    assert "3 tool results" in heard.text


def image(cell: Cell) -> None:
    heard, passed = cell.ask("Look", image=True)
    assert "with 1 picture or document" in heard.text
    assert _standard(passed.body).count(PIXEL_BASE64) == 1


def structured(cell: Cell) -> None:
    for streamed in (False, True):
        heard, _ = cell.ask(f"Tell me about {ABOUT}", schema=True, stream=streamed)
        assert json.loads(heard.text) == ARGUMENTS


def thinking(cell: Cell) -> None:
    for streamed, how in ((False, "think Let me “think”: é"), (True, "think Let me “think”: é"), (True, "redact")):
        prompt = f"[[tools 2]][[{how}]] about {ABOUT}"
        first, passed = cell.ask(prompt, tools=True, think=True, stream=streamed)
        told = passed.told()
        assert len(first.calls) == 2
        assert bool(told.signature) != (cell.vendor in NOTHING_TO_REPLAY)
        assert first.thought == (told.thought if cell.dialect in THOUGHTS else "")
        heard, passed = cell.ask(prompt, tools=True, think=True, stream=streamed, history=first)
        if told.signature:
            assert _standard(passed.body).count(_standard(told.signature.encode())) == 1
            assert "2 tool results with 1 sealed thought came back" in heard.text
        else:
            assert "2 tool results came back" in heard.text


def error_400(cell: Cell) -> None:
    for streamed in (False, True):
        failed, record = cell.fail("[[error 400]]", stream=streamed)
        assert failed.status == 400
        assert "The prompt asked for status 400." in failed.message
        assert failed.kind in ("BadRequestError", "INVALID_ARGUMENT", "ValidationException")
        assert not record.get("input_tokens")


def error_429(cell: Cell) -> None:
    for streamed in (False, True):
        failed, record = cell.fail("[[error 429 retry-after=7]]", stream=streamed)
        assert (failed.status, failed.retry_after) == (429, "7")
        assert failed.kind in ("RateLimitError", "RESOURCE_EXHAUSTED", "ThrottlingException")
        assert not record.get("input_tokens")


def broken(cell: Cell) -> None:
    failed, record = cell.fail(f"Hello {ABOUT} [[error 503 after=6]]", stream=True)
    assert failed.status == 0
    assert record["estimated"] is True
    assert record["input_tokens"] > 0


def two(cell: Cell) -> None:
    heard, passed = cell.ask(f"Hello {ABOUT}", choices=2)
    first, second = heard.choices
    assert second == f"(2) {first}"
    asked = passed.request
    assert 2 in (asked.get("n"), asked.get("generationConfig", {}).get("candidateCount"))


CHECKS = dict(
    zip(
        FEATURES,
        (plain, stream, tools, parallel, image, structured, thinking, error_400, error_429, broken, two),
        strict=True,
    )
)
CELLS = [
    pytest.param((dialect, vendor), feature, id=f"{dialect}-{vendor}-{feature}")
    for dialect in CALLERS
    for vendor in VENDORS
    for feature in FEATURES
    if feature != "two choices" or dialect in CHOICES
]


@pytest.mark.parametrize(("cell", "feature"), CELLS, indirect=["cell"])
def test_cell(cell: Cell, feature: str, record_property: Any) -> None:
    record_property("cell", (cell.dialect, cell.vendor, feature))
    reason = IMPOSSIBLE.get((cell.dialect, cell.vendor, feature))
    if reason is None:
        CHECKS[feature](cell)
        record_property("usages", cell.settle())
        if feature == "thinking replay" and cell.vendor in NOTHING_TO_REPLAY:
            record_property("nothing", NOTHING_TO_REPLAY[cell.vendor])
        return
    record_property("impossible", reason.document)
    before = len(cell.meshes.passed)
    failed, _ = cell.fail(f"Hello {ABOUT}", **reason.asked)
    assert failed.status == 400
    assert reason.words in failed.message
    assert len(cell.meshes.passed) == before, "the vendor was asked all the same"
