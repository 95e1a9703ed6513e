"""Guards that need the whole: what a webhook is asked, over real sockets, and what a schema accepts."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from heddle.guards.schema import SchemaError, SchemaJudge, check_schema, stated_schema
from heddle.guards.webhook import WebhookJudge
from heddle.model.redact import hidden_repr
from heddle.model.snapshot_guards import GuardSpec, WebhookSpec
from heddle.net.client import Client
from heddle.pipeline.guarding import GuardUnavailableError, Judged

SECRET = "hook-" + "secret"


class Service:
    """A webhook that answers what it is told to."""

    def __init__(self) -> None:
        self.answer: bytes | None = b'{"allow": true}'
        self.status = b"200 OK"
        self.heads: list[bytes] = []
        self.bodies: list[Any] = []
        self.over = asyncio.Event()
        self.served = asyncio.Semaphore(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.heads.append(head)
        self.bodies.append(json.loads(await reader.readexactly(length)))
        if self.answer is not None:
            writer.write(
                b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
                % (self.status, len(self.answer), self.answer)
            )
            await writer.drain()
        else:
            await self.over.wait()
        writer.close()
        await writer.wait_closed()
        self.served.release()


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, Any]]:
    made = Service()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    client = Client()
    tools = SimpleNamespace(client=client, closers=[])
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/judge?a=b"

    def judge(guard: dict[str, Any] | None = None, **fields: Any) -> WebhookJudge:
        spec = WebhookSpec(**{"url": url, "credential": SECRET, "timeout_s": 0.2, **fields})
        return WebhookJudge(GuardSpec(name="w", action="webhook", webhook=spec, **(guard or {})), tools)  # type: ignore[arg-type]

    yield made, judge
    for close in tools.closers:
        close()
    made.over.set()
    for _ in made.heads:
        await made.served.acquire()
    server.close()
    await server.wait_closed()


async def ask(judge: Any, *texts: str) -> str:
    return str(await judge.judge([Judged("user", text) for text in texts], "m", b"{}"))


async def test_what_a_webhook_is_asked(service: Any):
    made, judge = service
    assert await ask(judge(), "one", "two") == ""
    expected = {
        "guard": "w",
        "model": "m",
        "texts": [{"scope": "user", "text": "one"}, {"scope": "user", "text": "two"}],
    }
    assert made.bodies == [expected]
    assert made.heads[0].startswith(b"POST /v1/judge?a=b HTTP/1.1\r\n")
    assert f"authorization: Bearer {SECRET}\r\n".encode() in made.heads[0].lower().replace(b"bearer", b"Bearer")


async def test_verdicts(service: Any):
    made, judge = service
    made.answer = b'{"allow": false, "reason": "it is \\u001b[31mrude."}'
    assert await ask(judge(), "x") == "it is [31mrude"
    made.answer = b'{"results": [{"flagged": false, "categories": {}}, {"flagged": true}]}'
    assert await ask(judge(format="openai_moderation", model="omni"), "a", "b") == "a moderation flagged it"
    assert made.bodies[-1] == {"input": ["a", "b"], "model": "omni"}


async def test_with_recognisers_only_what_they_find_is_asked_about(service: Any):
    made, judge = service
    assert await ask(judge({"recognisers": ("email",)}), "nothing") == ""
    assert made.bodies == []
    await ask(judge({"recognisers": ("email",)}), "to a@b.io")
    assert len(made.bodies) == 1


@pytest.mark.parametrize(
    ("answer", "status"), [(None, b"200 OK"), (b"{}", b"200 OK"), (b"no", b"200 OK"), (b'{"allow":true}', b"500 X")]
)
async def test_failures(service: Any, answer: bytes | None, status: bytes):
    made, judge = service
    made.answer, made.status = answer, status
    with pytest.raises(GuardUnavailableError) as caught:
        await ask(judge(), "private words")
    assert "private" not in str(caught.value)


async def test_a_credential_that_is_missing_is_a_failure(service: Any):
    _, judge = service
    with pytest.raises(GuardUnavailableError, match="no such variable"):
        await ask(judge(credential="", credential_error="no such variable"), "x")


def test_the_credential_is_not_shown():
    assert SECRET not in hidden_repr(WebhookSpec(url="http://h/", credential=SECRET))


OWN = json.dumps({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}})


async def answered(schema: str, text: str, request: object = None, **fields: Any) -> str:
    judge = SchemaJudge(GuardSpec(name="s", schema=schema), SimpleNamespace())  # type: ignore[arg-type]
    said = [Judged("assistant", text, **fields), Judged("tool_arguments", "not looked at")]
    return await judge.judge(said, "m", msgspec.json.encode(request))


async def test_a_configured_schema():
    assert await answered(OWN, '{"a": 1}') == ""
    assert await answered(OWN, '{"a": "1"}') == "it does not satisfy its schema"
    assert await answered(OWN, "Sure! {") == "it is not JSON, which its schema asks for"
    assert await answered(OWN, "let me think", aside=True) == ""


async def test_a_stated_schema_in_each_dialect():
    schema = json.loads(OWN)
    for request in (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}},
        {"text": {"format": {"type": "json_schema", "schema": schema}}},
        {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
        {"generationConfig": {"responseJsonSchema": schema}},
    ):
        assert stated_schema(msgspec.json.encode(request)) == schema
        assert await answered("request", '{"a": "1"}', request) == "it does not satisfy its schema"
    assert await answered("request", "anything", {"messages": []}) == ""


async def test_hostile_schemas_fetch_nothing_and_end():
    far = {"text": {"format": {"schema": {"$ref": "http://127.0.0.1:1/x"}}}}
    with pytest.raises(GuardUnavailableError, match="can be used"):
        await answered("request", "{}", far)
    slow = check_schema({"type": "string", "pattern": "^(a+)+$"})
    assert not slow.is_valid("a" * 100_000 + "b")
    with pytest.raises(SchemaError):
        check_schema({"type": "nonsense"})
