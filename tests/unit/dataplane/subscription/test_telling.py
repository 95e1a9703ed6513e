"""What a gateway tells of what it found: everything once, then what changed, in pieces that are never too large."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.dataplane.subscription import telling
from heddle.dataplane.subscription.telling import FILE, Telling, changes, models
from heddle.model.snapshot import ModelSpec, Snapshot, TargetSpec
from heddle.model.snapshot_mcp import HttpSpec, McpSpec, McpTargetSpec
from heddle.wire.delta import MAX_FROM_GATEWAY_BYTES, DeltaError, encode, frames_from_gateway
from heddle.wire.found import (
    MAX_NAME_CHARS,
    MAX_SCHEMA_CHARS,
    MAX_TEXT_CHARS,
    Entry,
    Found,
    FoundModel,
    FoundServer,
    FoundTool,
    key_of,
    part_of,
    part_of_key,
)

TARGET = McpTargetSpec(name="time", connect=HttpSpec(url="http://127.0.0.1:1/mcp"))
RUNNING = Snapshot(version="1", mcp=McpSpec(targets=(TARGET,)), models=(ModelSpec(name="small", provider="demo"),))
TOOL, SERVER = FoundTool(target="time", name="now"), FoundServer(target="time", listed=True)
MODEL = FoundModel(provider="demo", model="small")


class Heard:
    """A connection that remembers what it was told."""

    def __init__(self) -> None:
        self.messages: list[Found] = []
        self.news = asyncio.Event()

    async def send(self, message: Any) -> None:
        assert len(encode(message)) <= MAX_FROM_GATEWAY_BYTES
        self.messages.append(message)
        self.news.set()

    @property
    def known(self) -> dict[str, Entry]:
        known: dict[str, Entry] = {}
        for message in self.messages:
            for key in message.removed:
                del known[key]
            known |= {key_of(one): one for one in message.changed}
        return known


def write(folder: Path, *entries: Entry) -> None:
    fresh = folder / "fresh"
    fresh.write_bytes(msgspec.msgpack.encode(entries))
    fresh.replace(folder / FILE)


async def until(heard: Heard, *entries: Entry) -> None:
    async with asyncio.timeout(10):
        while heard.known != {key_of(one): one for one in entries}:
            heard.news.clear()
            await heard.news.wait()


async def test_everything_once_then_what_changed_and_then_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(telling, "LOOK_S", 0.01)
    elsewhere = FoundTool(target="removed-meanwhile", name="x")
    write(tmp_path, SERVER, TOOL, elsewhere)
    heard = Heard()
    task = asyncio.ensure_future(Telling(tmp_path / FILE, lambda: RUNNING).tell(heard))
    await until(heard, SERVER, TOOL, MODEL)
    await asyncio.sleep(0.1)
    assert heard.messages[-1] == Found(whole=True)
    assert len(heard.messages) == 2, "an idle mesh tells nothing"
    assert heard.messages[0].changed[-1] == SERVER, "after its tools: who hears of it knows what it has"
    sick = FoundServer(target="time", well=False, why="away", listed=True)
    write(tmp_path, sick)
    await until(heard, sick, MODEL)
    task.cancel()


async def test_what_is_left_of_an_earlier_run_is_not_told(tmp_path: Path):
    write(tmp_path, SERVER)
    told = Telling(tmp_path / FILE, lambda: RUNNING)
    told.forget()
    told.forget()
    assert await told.now() == {key_of(MODEL): MODEL}


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x91\x80", b"\x91" * 5_000])
async def test_a_file_that_is_none_tells_nothing(tmp_path: Path, content: bytes):
    (tmp_path / FILE).write_bytes(content)
    assert await Telling(tmp_path / FILE, lambda: RUNNING).now() == {key_of(MODEL): MODEL}


def test_models_are_those_that_calls_lead_to():
    several = ModelSpec(
        name="best",
        targets=(TargetSpec(provider="a", model="x"), TargetSpec(provider="b"), TargetSpec(provider="a", model="x")),
    )
    globs = ModelSpec(name="claude-*", provider="anthropic")
    nobody = ModelSpec(name="\x00", provider="demo")
    made = list(
        models(Snapshot(version="1", models=(several, globs, nobody, ModelSpec(name="n", provider="p", model="m"))))
    )
    assert [(one.provider, one.model) for one in made] == [("a", "x"), ("b", "best"), ("p", "m")]


NAMES = st.text("ab\u202e\U0001f600", min_size=1, max_size=3)
ENTRIES = st.one_of(
    st.builds(FoundTool, target=NAMES, name=NAMES, description=st.text(max_size=5)),
    st.builds(FoundServer, target=NAMES, well=st.booleans()),
    st.builds(FoundModel, provider=NAMES, model=NAMES),
)
STATES = st.lists(ENTRIES, max_size=12).map(lambda entries: {key_of(one): one for one in entries})


@settings(max_examples=200, deadline=None)
@given(STATES, STATES)
def test_what_is_told_leads_from_one_state_to_the_other(before: dict[str, Entry], after: dict[str, Entry]):
    known = dict(before)
    for message in changes(before, after):
        (again,) = frames_from_gateway().feed(encode(message))
        assert isinstance(again, Found)
        for key in again.removed:
            del known[key]
        known |= {key_of(one): one for one in again.changed}
    assert known == after
    assert list(changes(after, after)) == []
    for key, one in after.items():
        assert part_of_key(key) == part_of(one)


def test_the_largest_entries_there_can_be_fit_into_a_frame():
    wide = "\U0001f600"
    schema = "x" * MAX_SCHEMA_CHARS
    largest = [
        FoundTool(
            target=wide * MAX_NAME_CHARS, name=f"{number}" + wide * (MAX_NAME_CHARS - 1), title=wide * MAX_NAME_CHARS,
            description=wide * MAX_TEXT_CHARS, input_schema=schema, output_schema=schema, annotations=schema,
        )
        for number in range(3)
    ]  # fmt: skip
    messages = list(changes({}, {key_of(one): one for one in largest}))
    assert len(messages) == 3
    assert max(len(encode(one)) for one in messages) <= MAX_FROM_GATEWAY_BYTES


@pytest.mark.parametrize(
    "entry",
    [
        FoundTool(target="x" * (MAX_NAME_CHARS + 1), name="a"),
        FoundTool(target="x", name="a", description="x" * (MAX_TEXT_CHARS + 1)),
        FoundTool(target="x", name="a", input_schema="x" * (MAX_SCHEMA_CHARS + 1)),
        FoundTool(target="x", name="a", approval="blessed"),  # type: ignore[arg-type]
        FoundServer(target="x", tools=-1),
    ],
)
def test_more_than_there_may_be_is_no_message(entry: Entry):
    with pytest.raises(DeltaError):
        list(frames_from_gateway().feed(encode(Found(changed=(entry,)))))
