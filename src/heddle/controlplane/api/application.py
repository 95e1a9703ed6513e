"""The resource API as an ASGI application: who asks, for what, and which verb answers.

Owns the table of methods and the one place where an exception becomes an answer. An unexpected one is a 500 with an id
that stands in the log beside its trace; nothing else of it leaves.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

from heddle.controlplane.access.audit import Occasion
from heddle.controlplane.access.caller import Caller, what_is_refused
from heddle.controlplane.api import (
    answer,
    bodies,
    changing,
    definitions,
    deleting,
    history,
    options,
    reading,
    watching,
    writing,
)
from heddle.controlplane.api.answer import NOT_FOUND, Answer, ReaderTooSlowError, Stream
from heddle.controlplane.api.core import Call, Core
from heddle.controlplane.api.discovery import Discovery
from heddle.controlplane.api.limits import Watches
from heddle.controlplane.api.paging import Snapshots
from heddle.controlplane.api.parts import Access, Hooks, Store
from heddle.controlplane.api.paths import Target, resolve
from heddle.controlplane.api.request import Receive, Request, Scope, Send, segments
from heddle.drivers.documents import UnavailableError
from heddle.model.kinds import Kinds
from heddle.wire.kube.status import ApiError, bad_request, forbidden, not_found

_log = logging.getLogger("heddle.api")

REQUEST_TIMEOUT_S = 60.0
"""How long a request may take until its answer begins, as in Kubernetes."""
_HEALTH = {"healthz", "livez", "readyz"}
_READS = {"GET", "HEAD"}
_WRITES = {"POST", "PUT", "PATCH", "DELETE"}
_METHOD_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
Verb = Callable[[Call], Awaitable[Answer]]
_NAMED: dict[str, Verb] = {
    "GET": reading.get,
    "HEAD": reading.get,
    "POST": writing.create,
    "PUT": changing.update,
    "PATCH": changing.patch,
    "DELETE": deleting.delete,
}
_COLLECTION: dict[str, Verb] = {"POST": writing.create, "DELETE": deleting.delete_collection}


class ResourceApi:
    """One ASGI application for every path of the API."""

    def __init__(self, store: Store, kinds: Kinds, access: Access, hooks: Hooks) -> None:
        self.core = Core(store, kinds, access, hooks)
        self.watches = Watches()
        self._snapshots = Snapshots()
        self._discovery = Discovery(kinds, hooks.openapi)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        answered = await self._guarded(request)
        if isinstance(answered, Answer):
            await answer.send_answer(answered, request, send)
        else:
            await self._stream(answered, request, send)

    async def _guarded(self, request: Request) -> Answer | Stream:
        """The answer, and its place in the audit."""
        why = ""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                answered = await self._answer(request)
        except ApiError as exc:
            answered, why = answer.failure(exc), exc.message
        except TimeoutError:
            said = "the request took too long; whether a write happened is not known"
            answered = answer.failure(ApiError(504, "Timeout", said, {"retryAfterSeconds": 1}))
        except UnavailableError as exc:
            _log.warning("the store is unavailable: %s", exc)
            said = "the store cannot be reached now; whether the write happened is not known"
            answered = answer.failure(ApiError(503, "ServiceUnavailable", said, {"retryAfterSeconds": 1}))
        except Exception:
            answered = answer.failure(_unexpected(request))
        code, version = (answered.status, answered.version) if isinstance(answered, Answer) else (200, 0)
        trail, connection = request.trail, request.connection
        source = connection.source if connection is not None else ""
        at = Occasion(source, "", trail.old, trail.new, why, trail.dry_run)
        self.core.hooks.audit(trail.caller, trail.asked, code, version, at)
        return answered

    async def _answer(self, request: Request) -> Answer | Stream:
        parts = segments(request.path)
        health = parts is not None and parts[0] in _HEALTH and request.method in _READS
        if parts is not None and health:
            return self._health(parts, request)
        _refuse_impersonation(request)
        # Rights that were taken away at another replica are not held here: what it wrote is seen first.
        await self.core.store.fresh()
        connection = request.connection
        caller = await self.core.access.authenticate(
            request.headers,
            connection.certificate if connection is not None else None,
            source=connection.source if connection is not None else "",
            path=request.path,
        )
        request.trail.caller = caller
        target = resolve(parts, self.core.kinds) if parts is not None else None
        if parts is None or target is None or _out_of_place(target, request.method):
            return self._path(parts, request, caller)
        return await self._resource(Call(self.core, request, caller, target))

    def _path(self, parts: list[str] | None, request: Request, caller: Caller) -> Answer:
        """What is no resource: discovery, descriptions, and what does not exist."""
        asked = request.trail.asked
        if not self.core.access.authorize(caller, asked).allowed:
            raise forbidden("", f'"{request.path[:200]}"', "", what_is_refused(caller, asked))
        if parts is None or request.method not in _READS:
            return NOT_FOUND
        page = self.core.hooks.pages.get("/".join(parts))
        if page is not None:
            return answer.of(page(caller, request.query))
        return self._discovery.answer(parts, request) or NOT_FOUND

    async def _resource(self, call: Call) -> Answer | Stream:
        target, method = call.target, call.request.method
        if not target.name or target.watch:
            return await self._collection(call)
        if target.subresource:
            return await self._subresource(call)
        verb = _NAMED.get(method)
        if verb is None:
            raise _not_allowed(method)
        return await self._done(call, verb)

    async def _collection(self, call: Call) -> Answer | Stream:
        method, kind = call.request.method, call.target.kind
        if method in _READS:
            if "list" not in kind.verbs:
                raise _not_allowed(method)
            if watching.wants_watch(call):
                return await watching.watch(call, self.watches)
            return await reading.list_all(call, self._snapshots)
        virtual = self.core.hooks.virtual.get(kind.resource)
        if virtual is not None and method == "POST":
            return await _reviewed(call)
        verb = _COLLECTION.get(method)
        if verb is None:
            raise _not_allowed(method)
        return await self._done(call, verb)

    async def _subresource(self, call: Call) -> Answer:
        target, method = call.target, call.request.method
        kind = target.kind
        if f"{kind.resource}/{target.subresource}" in self.core.hooks.virtual and method == "POST":
            return await _reviewed(call)
        if target.subresource in history.METHODS:
            if method not in history.METHODS[target.subresource]:
                raise _not_allowed(method)
            return await (history.history(call) if target.subresource == history.HISTORY else history.rollback(call))
        if target.subresource != "status" or not kind.has_status:
            raise not_found(kind.group, kind.plural, target.name)
        if method not in {"GET", "HEAD", "PUT", "PATCH"}:
            raise _not_allowed(method)
        return await self._done(call, _NAMED[method])

    async def _done(self, call: Call, verb: Verb) -> Answer:
        method, kind = call.request.method, call.target.kind
        if method in _WRITES and kind.resource == definitions.RESOURCE:
            return await definitions.pretend(call)
        if method in _WRITES and _METHOD_VERBS[method] not in kind.verbs and not kind.generated:
            raise _not_allowed(method)
        return await verb(call)

    def _health(self, parts: list[str], request: Request) -> Answer:
        checks = self.core.hooks.ready() if parts[0] != "livez" else {"ping": True}
        if len(parts) > 1:
            checks = {parts[1]: checks[parts[1]]} if parts[1] in checks else {}
            if not checks:
                return NOT_FOUND
        ok = all(checks.values())
        verbose = "verbose" in request.query or not ok
        lines = [f"[{'+' if passed else '-'}]{name} {'ok' if passed else 'failed'}" for name, passed in checks.items()]
        lines.append(f"{parts[0]} check {'passed' if ok else 'failed'}\n")
        body = "\n".join(lines) if verbose else "ok"
        return Answer(200 if ok else 503, body.encode(), "text/plain; charset=utf-8")

    async def _stream(self, stream: Stream, request: Request, send: Send) -> None:
        """Send a stream until it, or the client, ends."""
        sending = asyncio.ensure_future(answer.send_stream(stream, request, send))
        leaving = asyncio.ensure_future(request.gone())
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            results = await asyncio.gather(sending, leaving, return_exceptions=True)
            with contextlib.suppress(RuntimeError):
                await stream.chunks.aclose()  # type: ignore[attr-defined]
        error = results[0]
        if isinstance(error, ReaderTooSlowError):
            _log.info("a watch was ended: its client did not read")
        elif isinstance(error, Exception):
            _unexpected(request, error)
        if error is not None and request.connection is not None:
            # Half an answer cannot be taken back: the client must see that it is not whole.
            request.connection.abort()


def build(store: Store, kinds: Kinds, access: Access, hooks: Hooks, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The application of the control plane; `routes` are what other parts serve beside the API.

    The API itself is `application.state.api`.
    """
    api = ResourceApi(store, kinds, access, hooks)
    made = Starlette(routes=[*routes, Mount("/", app=api)])
    made.router.redirect_slashes = False
    if not routes:
        # Nothing to choose between, and no error that would not be answered already.
        made.middleware_stack = api
    made.state.api = api
    return made


async def _reviewed(call: Call) -> Answer:
    """POST to a kind that is not kept: asked, answered, forgotten."""
    call.authorize("create")
    options.write_options(call.request, "CreateOptions")
    await call.request.read()
    name, target = call.target.kind.resource, call.target
    if target.subresource:
        name = f"{name}/{target.subresource}"
        value = bodies.read_body(call.request, target.subresource, target.kind.builtin).value
        if not isinstance(value, dict):
            raise bad_request(f"the body of a request for {name} must be an object")
        # Its form is its own; what it is asked of is said by the path alone.
        value["metadata"] = {"name": target.name}
    else:
        value, _ = writing.read_object(call)
    made = await call.core.hooks.virtual[name](call.caller, value, target.namespace or "")
    return answer.of(made, 201)


def _out_of_place(target: Target, method: str) -> bool:
    """A write to all namespaces at once has no path."""
    return not target.name and target.kind.namespaced and target.namespace is None and method not in _READS


def _refuse_impersonation(request: Request) -> None:
    if any(name.startswith("impersonate-") for name in request.headers):
        raise ApiError(403, "Forbidden", "impersonation is not supported: this server acts for nobody but its caller")


def _not_allowed(method: str) -> ApiError:
    if method not in _READS | _WRITES:
        return bad_request(f"the method {method[:20]} is not supported")
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def _unexpected(request: Request, error: Exception | None = None) -> ApiError:
    number = secrets.token_hex(6)
    _log.error("%s %s failed unexpectedly (%s)", request.method, request.path, number, exc_info=error or True)
    return ApiError(500, "InternalError", f"an unexpected error; it is in the log as {number}")
