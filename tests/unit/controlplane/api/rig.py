"""The resource API without sockets: a real store on SQLite, an access that allows all, requests called in process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from heddle.controlplane.access.audit import Occasion
from heddle.controlplane.access.caller import Attributes, Caller, Decision
from heddle.controlplane.api.application import ResourceApi
from heddle.controlplane.api.housekeeping import Housekeeping
from heddle.controlplane.api.parts import Hooks
from heddle.controlplane.kinds import served_kinds
from heddle.controlplane.store import Store, seal_of
from heddle.drivers.documents.sqlite import SqliteDocuments
from heddle.model.kinds import Kinds

AGENTS = "/apis/kagent.dev/v1alpha2/namespaces/default/agents"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Clock:
    """Unix time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_760_000_000.0

    def __call__(self) -> float:
        return self.now_s


class Everybody:
    """Access that lets everybody do what is not listed."""

    def __init__(self) -> None:
        self.denied: set[tuple[str, str]] = set()
        """(verb, resource)."""
        self.name = "tester"

    async def authenticate(self, headers: Any, certificate: Any, *, source: str = "", path: str = "") -> Caller:
        return Caller(headers.get("x-user", self.name))

    def authorize(self, caller: Caller, asked: Attributes) -> Decision:
        return Decision((asked.verb, asked.resource) not in self.denied)

    def admit(self, caller: Caller, asked: Attributes, old: Any, new: Any) -> None:
        return None


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = [(name.decode(), value.decode()) for name, value in headers]
        self.body = body

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        return ", ".join(found) if found else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Rig:
    """One API, called in process."""

    def __init__(self, api: ResourceApi, store: Store, clock: Clock, access: Everybody) -> None:
        self.api, self.store, self.clock, self.access = api, store, clock, access
        self.audited: list[tuple[Attributes, int, int, Occasion]] = []

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A request, whole. `headers` have underscores for dashes."""
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await self.api(self._scope(method, path, headers), self._receive(body), send)
        content = b"".join(one.get("body", b"") for one in sent[1:])
        return Answer(sent[0]["status"], sent[0]["headers"], content)

    @asynccontextmanager
    async def watch(self, path: str, **headers: str) -> AsyncIterator["Lines"]:
        """A watch that is open."""
        lines = Lines()
        gone = asyncio.Event()
        first = self._receive(None)

        async def receive() -> Any:
            if not lines.asked:
                lines.asked = True
                return await first()
            await gone.wait()
            return {"type": "http.disconnect"}

        task = asyncio.create_task(self.api(self._scope("GET", path, headers), receive, lines.send))
        try:
            yield lines
        finally:
            gone.set()
            await asyncio.wait_for(task, 5)

    @staticmethod
    def _scope(method: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
        target, _, query = path.partition("?")
        listed = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        return {
            "type": "http",
            "method": method,
            "path": target,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "headers": listed,
        }

    @staticmethod
    def _receive(body: Any) -> Any:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()

        asked = False

        async def receive() -> Any:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()
            asked = True
            return {"type": "http.request", "body": raw, "more_body": False}

        return receive


class Lines:
    """Lines of a watch as they come."""

    def __init__(self) -> None:
        self.asked = False
        self.status = 0
        self.ended = False
        self.sizes: list[int] = []
        """Of the pieces that came."""
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.sizes.append(len(message.get("body", b"")))
        for line in message.get("body", b"").splitlines():
            self._queue.put_nowait(line)
        self.ended = self.ended or not message.get("more_body", False)

    async def next(self, timeout_s: float = 3.0) -> Any:
        """The next event."""
        return json.loads(await asyncio.wait_for(self._queue.get(), timeout_s))

    async def quiet(self, for_s: float = 0.05) -> bool:
        """Nothing comes for a while."""
        await asyncio.sleep(for_s)
        return self._queue.empty()


@asynccontextmanager
async def running(folder: Path, kinds: Kinds | None = None, **changed: Any) -> AsyncIterator[Rig]:
    """An API over an empty store; `changed` replaces hooks."""
    clock, access = Clock(), Everybody()
    store = Store(SqliteDocuments(folder / "resources.db"), seal_of(folder), asyncio.get_running_loop().time)
    await store.start()
    audited: list[tuple[Attributes, int, int, Occasion]] = []
    given: dict[str, Any] = {
        "check_owner": lambda caller, old, new: None,
        "rights_needed": lambda new, old: [],
        "check_rules": lambda new, old, schema: [],
        "virtual": {},
        "audit": lambda caller, asked, code, version, at: audited.append((asked, code, version, at)),
        "openapi": None,
        "clock": clock,
        "ready": lambda: {"ping": True},
    }
    api = ResourceApi(store, kinds or served_kinds(), access, Hooks(**given | changed))
    housekeeping = Housekeeping(api.core)
    await housekeeping.start()
    rig = Rig(api, store, clock, access)
    rig.audited = audited
    try:
        yield rig
    finally:
        api.watches.close()
        await housekeeping.stop()
        await store.stop()
