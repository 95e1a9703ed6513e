"""Tasks, as the extension of 2026-07-28 has them: started by the server, polled, cancelled. SEP-2663."""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from tests.mcp_servers.asking import is_modern

EXTENSION = "io.modelcontextprotocol/tasks"
Context = ServerRequestContext[Any, Any]


class TaskParams(types.RequestParams):
    """Of every method of the extension."""

    task_id: str


def now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass
class Task:
    """One piece of work. Its outcome is shown once it is settled."""

    outcome: types.CallToolResult | MCPError
    task_id: str = field(default_factory=lambda: secrets.token_hex(16))
    status: str = "working"
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)
    running: asyncio.Task[None] | None = None

    def settle(self, status: str) -> None:
        self.status, self.updated = status, now()

    def complete(self) -> None:
        self.settle("failed" if isinstance(self.outcome, MCPError) else "completed")

    def shown(self) -> dict[str, Any]:
        """As the wire has it."""
        shown = {"taskId": self.task_id, "status": self.status, "createdAt": self.created}
        more: dict[str, Any] = {"lastUpdatedAt": self.updated, "ttlMs": 60_000, "pollIntervalMs": 50}
        if isinstance(self.outcome, MCPError):
            failure = {"code": self.outcome.code, "message": self.outcome.message}
            more |= {"error": failure} if self.status == "failed" else {}
        elif self.status == "completed":
            more["result"] = self.outcome.model_dump(by_alias=True, mode="json", exclude_none=True)
        return shown | more


TASKS: dict[str, Task] = {}


def knows_tasks(ctx: Context) -> bool:
    """Whether this client declared the extension."""
    capabilities = ctx.session.client_capabilities
    return is_modern(ctx) and EXTENSION in ((capabilities and capabilities.extensions) or {})


async def started(ctx: Context, outcome: types.CallToolResult | MCPError, seconds: float) -> Any:
    """The task that will have this outcome; the outcome itself for clients that know no tasks."""
    if not knows_tasks(ctx):
        await asyncio.sleep(seconds)
        if isinstance(outcome, MCPError):
            raise outcome
        return outcome
    task = Task(outcome)
    TASKS[task.task_id] = task

    async def work() -> None:
        await asyncio.sleep(seconds)
        task.complete()

    task.running = asyncio.get_running_loop().create_task(work())
    return {"resultType": "task", **task.shown()}


def found(ctx: Context, params: TaskParams) -> Task:
    """The task of this id. -32021 for clients that never declared the extension, -32602 for unknown ids."""
    if not knows_tasks(ctx):
        data = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "declare the tasks extension", data)
    task = TASKS.get(params.task_id)
    if task is None:
        raise MCPError(types.INVALID_PARAMS, "Unknown task")
    return task


async def get(ctx: Context, params: TaskParams) -> dict[str, Any]:
    return {"resultType": "complete", **found(ctx, params).shown()}


async def cancel(ctx: Context, params: TaskParams) -> dict[str, Any]:
    task = found(ctx, params)
    if task.status == "working" and task.running is not None:
        task.running.cancel()
        task.settle("cancelled")
    return {"resultType": "complete"}


async def update(ctx: Context, params: TaskParams) -> dict[str, Any]:
    found(ctx, params)
    return {"resultType": "complete"}


def serve(server: Server[Any]) -> None:
    """Adds the methods, and says so."""
    server.extensions[EXTENSION] = {}
    for method, handler in (("tasks/get", get), ("tasks/cancel", cancel), ("tasks/update", update)):
        server.add_request_handler(method, TaskParams, handler)
