"""A tool server that does as it is told, and the tools of a worker whose clock a test owns."""

import asyncio
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from heddle.backends.mcp.contract import Caller, Described, Hear, Params, TargetRequest, Wanted
from heddle.backends.mcp.upstream import Upstream
from heddle.model.snapshot_mcp import HttpSpec, McpHealthSpec, McpTargetSpec, McpTimeoutSpec
from heddle.net.client import Client
from heddle.pipeline.assembly import Clock, Tools
from heddle.telemetry.metrics import Metrics

Answer = dict[str, Any] | BaseException | Callable[[TargetRequest, Caller], Any]


class Time:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def fake_tools(time: Time | None = None) -> Tools:
    """Tools of a worker that is alone."""
    clock = time or Time()
    folder = Path(tempfile.gettempdir())
    return Tools(Clock(clock, clock), Client(), Metrics.in_memory(), None, lambda _: None, folder)  # type: ignore[arg-type]


class FakeTarget:
    """Answers each method with what `answers` has for it: a result, an error to raise, or a function of the request."""

    def __init__(self, name: str = "t", *, stateful: bool = False, capabilities: Any = None, **answers: Answer) -> None:
        self.name, self.stateful = name, stateful
        self.capabilities = {"tools": {}} if capabilities is None else capabilities
        self.answers: dict[str, Answer] = {"tools/list": {"tools": [{"name": "echo", "inputSchema": {}}]}}
        self.answers |= {name.replace("_", "/"): answer for name, answer in answers.items()}
        self.down: BaseException | None = None
        self.instructions = ""
        self.ttl_s = 0.0
        self.asked: list[TargetRequest] = []
        self.told: list[str] = []
        self.ended: list[str] = []
        self.hearing: list[Hear] = []
        self.closed = False
        self.hang: asyncio.Event | None = None

    async def describe(self, caller: Caller) -> Described:
        await self._answer("server/discover", None, caller)
        return Described(
            version="2026-07-28", capabilities=self.capabilities, instructions=self.instructions, ttl_s=self.ttl_s
        )

    async def call(self, request: TargetRequest, caller: Caller) -> bytes:
        self.asked.append(request)
        return await self._answer(request.method, request, caller)

    async def _answer(self, method: str, request: TargetRequest | None, caller: Caller) -> bytes:
        if self.hang is not None:
            await self.hang.wait()
        if self.down is not None:
            raise self.down
        answer = self.answers.get(method, {})
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            assert request is not None
            answer = answer(request, caller)
            if asyncio.iscoroutine(answer):
                answer = await answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    async def notify(self, method: str, params: Params, caller: Caller) -> None:
        if self.down is not None:
            raise self.down
        self.told.append(method)

    async def listen(self, wanted: Wanted, caller: Caller, hear: Hear) -> None:
        self.hearing.append(hear)
        await asyncio.Event().wait()

    async def knows(self, caller: Caller) -> bool:
        return self.stateful

    async def end(self, caller: Caller) -> None:
        self.ended.append(caller.key)

    def close(self) -> None:
        self.closed = True


def upstream(target: FakeTarget, tools: Tools | None = None, **spec: Any) -> Upstream:
    """The target as a worker keeps it."""
    spec.setdefault("timeouts", McpTimeoutSpec(list_s=1.0))
    spec.setdefault("health", McpHealthSpec(interval_s=0.0))
    declared = McpTargetSpec(name=target.name, connect=HttpSpec(url="http://127.0.0.1:1/mcp"), **spec)
    return Upstream(declared, target, tools or fake_tools())


def raw(value: Any) -> msgspec.Raw:
    """A value as it would have been written."""
    return msgspec.Raw(json.dumps(value).encode())
