"""What operators and probes ask: /healthz, /readyz, /metrics, /config, /usage, /budgets.

/keys is `admin_keys`, /tools is `admin_tools`.

Served by the supervisor, never by a worker: a scrape costs no call anything. No anonymous administration, loopback
included: everything but the probes (and /metrics on loopback) needs the bearer token that is written to
`admin.token` (mode 0600) in the state directory at each start.
"""

import asyncio
import hashlib
import hmac
import logging
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from heddle.dataplane import sockets
from heddle.dataplane.admin_keys import KeyPages, Operations, is_about_keys
from heddle.dataplane.admin_tools import ToolDecisions, ToolPages, is_about_tools
from heddle.dataplane.admission import Admission
from heddle.dataplane.answer import answer, answer_status
from heddle.model.snapshot import AdminSpec, ListenerLimits, ListenerSpec
from heddle.net.address import is_loopback
from heddle.net.message import Reply, Request
from heddle.net.server import HttpServer
from heddle.pipeline.errors import CallError, Reason
from heddle.telemetry.exposition import CONTENT_TYPE
from heddle.telemetry.records import AuditRecord

_log = logging.getLogger("heddle.admin")

TOKEN_FILE = "admin.token"  # noqa: S105 - a file's name
_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_METRICS = (b"content-type", CONTENT_TYPE)
_LIMITS = ListenerLimits(
    max_connections=256, max_connections_per_address=64, body_timeout_s=10.0, max_body_bytes=64 * 1024
)
"""Whoever can connect must not use up the files of the process that keeps the workers alive."""


class Sources:
    """What the admin surface shows, asked anew for each request."""

    def __init__(
        self,
        ready: Callable[[], tuple[bool, str]],
        metrics: Callable[[], bytes],
        config: Callable[[], dict[str, object]],
        audit: Callable[[AuditRecord], None],
    ) -> None:
        self.ready = ready
        self.metrics = metrics
        self.config = config
        self.audit = audit
        self.usage: Callable[[str], dict[str, object]] = lambda query: {}  # noqa: ARG005
        """A report of the ledger by a query; ValueError for one that makes no sense. May block: asked in a thread."""
        self.budgets: Callable[[], list[dict[str, object]]] = list
        """Balances of all budgets, likewise."""
        self.keys: Operations | None = None
        """What is done with virtual keys; None where there are none."""
        self.tools: ToolDecisions | None = None
        """What is decided about definitions of tools; None where nobody is asked."""


def write_token(state_dir: Path) -> str:
    """A fresh admin credential, readable by this user only; the CLI of the same user finds it there."""
    token = secrets.token_urlsafe(32)
    path = state_dir / TOKEN_FILE
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    return token


class AdminServer:
    """The admin listener."""

    def __init__(self, spec: AdminSpec, token: str, sources: Sources) -> None:
        listener = ListenerSpec(name="admin", address=spec.address, port=spec.port, protocol="HTTP", limits=_LIMITS)
        self._spec = spec
        self._digest = hashlib.sha256(token.encode()).digest()
        self._sources = sources
        self._admission = Admission(listener)
        self._keys = KeyPages(sources.keys, sources.audit) if sources.keys is not None else None
        self._tools = ToolPages(sources.tools, sources.audit) if sources.tools is not None else None
        self._server = HttpServer(self.handle, listener, answer_error=answer_status)
        self._paths: dict[str, Callable[[Request], Reply]] = {
            "/healthz": self._health,
            "/readyz": self._ready,
            "/metrics": self._metrics,
            "/config": self._config,
        }
        self._reports: dict[str, Callable[[Request], object]] = {
            "/usage": lambda request: sources.usage(request.query),
            "/budgets": lambda request: sources.budgets(),  # noqa: ARG005
        }
        self.address = (spec.address, spec.port)

    async def start(self) -> None:
        """Bind and serve. Raises sockets.BindError."""
        sock: socket.socket = sockets.open_listener("admin", self._spec.address, self._spec.port)
        self.address = sock.getsockname()[:2]
        await self._server.start(sock, None)

    async def stop(self) -> None:
        """Stop serving at once."""
        self._server.stop_accepting()
        await self._server.drain(0.5)

    async def handle(self, request: Request) -> Reply:
        """Answer one request; failures become answers here, as on the data path."""
        try:
            self._admission.check(request)
            section = self._section(request.path)
            if section is not None:
                self._authenticate(request)
                return await section.handle(request)
            page, report = self._paths.get(request.path), self._reports.get(request.path)
            if page is None and report is None:
                served = ", ".join([*self._paths, *self._reports, "/keys", "/tools"])
                raise CallError(Reason.NOT_FOUND, f"Served here: {served}.")
            if request.method not in ("GET", "HEAD"):
                raise CallError(Reason.METHOD_NOT_ALLOWED, "Use GET here.", headers=[(b"allow", b"GET, HEAD")])
            return page(request) if page is not None else await self._report(request)
        except CallError as error:
            return answer(error)
        except Exception:
            _log.exception("unexpected failure of the admin listener")
            return answer(CallError(Reason.INTERNAL, "This page cannot be shown; the log says why."))

    def _section(self, path: str) -> KeyPages | ToolPages | None:
        if is_about_keys(path):
            return self._keys
        return self._tools if is_about_tools(path) else None

    def _health(self, request: Request) -> Reply:
        del request
        return Reply(200, [_TEXT], b"ok\n")

    def _ready(self, request: Request) -> Reply:
        del request
        ready, why = self._sources.ready()
        return Reply(200 if ready else 503, [_TEXT], f"{why}\n".encode())

    def _metrics(self, request: Request) -> Reply:
        if not is_loopback(request.peer.address):
            self._authenticate(request)
        return Reply(200, [_METRICS], self._sources.metrics())

    def _config(self, request: Request) -> Reply:
        self._authenticate(request)
        self._audit(request, "allow", "")
        return Reply(200, [_JSON], msgspec.json.format(msgspec.json.encode(self._sources.config()), indent=2))

    async def _report(self, request: Request) -> Reply:
        """What takes a while to read, without holding up the process that keeps workers alive."""
        self._authenticate(request)
        self._audit(request, "allow", "")
        try:
            shown = await asyncio.to_thread(self._reports[request.path], request)
        except ValueError as exc:
            raise CallError(Reason.BAD_REQUEST, f"{exc}.") from exc
        return Reply(200, [_JSON], msgspec.json.format(msgspec.json.encode(shown), indent=2))

    def _authenticate(self, request: Request) -> None:
        scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
        presented = hashlib.sha256(token.strip()).digest()
        if scheme.lower() != b"bearer" or not hmac.compare_digest(presented, self._digest):
            self._audit(request, "deny", "the admin token is wrong" if token else "no admin token")
            raise CallError(
                Reason.UNAUTHENTICATED,
                f"Send the token from {TOKEN_FILE} in the state directory as `Authorization: Bearer ...`.",
                headers=[(b"www-authenticate", b"Bearer")],
            )

    def _audit(self, request: Request, outcome: str, detail: str) -> None:
        """Who looked, or tried to. Scrapes and probes are no administration."""
        record = AuditRecord(
            kind="admin",
            outcome=outcome,
            source=request.peer.address,
            resource=request.path,
            policy="admin_token",
            detail=detail,
        )
        self._sources.audit(record)
