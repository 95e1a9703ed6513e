"""The admin surface of virtual keys: /keys and what is below it.

Owns how operations are asked for over HTTP and what is written down of them: who (from where, and as whom they say),
what, of which key; never a secret. Whether the caller may ask at all was decided before (`admin`).

| | |
| --- | --- |
| `GET /keys` | all keys; `name`, `user`, `tenant`, `agent` select |
| `POST /keys` | makes one; its secret is in the answer, this once |
| `GET /keys/{id}` | one key |
| `PATCH /keys/{id}` | changes what is given; null takes back (RFC 7396) |
| `DELETE /keys/{id}` | revokes it |
| `POST /keys/{id}/rotate` | gives it another secret; `{"overlap": "24h"}` keeps the former for so long |
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

from heddle.dataplane.admission import check_json
from heddle.model.virtual_keys import KeyRefusedError, KeyStoreError, UnknownKeyError
from heddle.net.errors import BodyError
from heddle.net.message import Headers, Reply, Request
from heddle.pipeline.errors import CallError, Reason
from heddle.telemetry.records import AuditRecord

PATH = "/keys"
MAX_BODY_BYTES = 64 * 1024
ACTOR_FIELD = b"x-heddle-actor"
"""As whom somebody with the admin token says to act. Believed by nobody, but written down."""
_SELECTORS = frozenset({"name", "user", "tenant", "agent"})
# What is told once must not be kept on its way.
_FIELDS: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_DONE = {"POST": "created", "PATCH": "updated", "DELETE": "revoked"}


class Operations(Protocol):
    """What is done with keys. Raises UnknownKeyError, KeyRefusedError and KeyStoreError."""

    def list(self, where: dict[str, str]) -> list[dict[str, Any]]:
        """Keys whose fields are as given. Asked in a thread."""
        ...

    def show(self, name: str) -> dict[str, Any]:
        """One key."""
        ...

    async def create(self, said: dict[str, Any]) -> dict[str, Any]:
        """A key, and its `secret`."""
        ...

    async def update(self, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        """A changed key."""
        ...

    async def rotate(self, name: str, overlap: str) -> dict[str, Any]:
        """A key, and its other `secret`."""
        ...

    async def revoke(self, name: str) -> dict[str, Any]:
        """The key that is no more."""
        ...


class _Rotation(msgspec.Struct, forbid_unknown_fields=True):
    overlap: str = "1h"


_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode
_decode_rotation = msgspec.json.Decoder(_Rotation).decode


def is_about_keys(path: str) -> bool:
    """Whether a path belongs here."""
    return path == PATH or path.startswith(f"{PATH}/")


class KeyPages:
    """Answers for /keys; every request has shown the admin token."""

    def __init__(self, keys: Operations, audit: Callable[[AuditRecord], None]) -> None:
        self._keys = keys
        self._audit = audit

    async def handle(self, request: Request) -> Reply:
        """Do what is asked. Raises CallError."""
        name, _, action = request.path.removeprefix(PATH).removeprefix("/").partition("/")
        if action not in ("", "rotate") or (action and not name) or request.path.endswith("/"):
            raise CallError(Reason.NOT_FOUND, "Served here: /keys, /keys/{id}, /keys/{id}/rotate.")
        methods = self._methods(request, name, action)
        answer = methods.get("GET" if request.method == "HEAD" else request.method)
        if answer is None:
            allow = ", ".join(methods)
            detail = f"Use {allow} here."
            raise CallError(Reason.METHOD_NOT_ALLOWED, detail, headers=[(b"allow", allow.encode())])
        done = "rotated" if action else _DONE.get(request.method, "")
        # What was changed is on record, whether or not whoever asked is still there.
        shown = await asyncio.shield(self._do(request, answer, done))
        body = await asyncio.to_thread(msgspec.json.encode, shown)
        return Reply(201 if request.method == "POST" and not action else 200, [*_FIELDS], body + b"\n")

    async def _do(self, request: Request, ask: Callable[[], Awaitable[Any]], done: str) -> Any:
        """Do it, and write down that it was `done`."""
        try:
            shown = await ask()
        except UnknownKeyError as exc:
            raise CallError(Reason.NOT_FOUND, _sentence(exc)) from exc
        except KeyRefusedError as exc:
            raise CallError(Reason.BAD_REQUEST, _sentence(exc)) from exc
        except KeyStoreError as exc:
            raise CallError(Reason.OVERLOADED, _sentence(exc)) from exc
        if done:
            self._write(request, done, shown)
        return shown

    def _methods(self, request: Request, name: str, action: str) -> dict[str, Callable[[], Awaitable[Any]]]:
        keys = self._keys

        async def listed() -> Any:
            # There may be tens of thousands, and this process keeps the workers alive.
            return {"keys": await asyncio.to_thread(keys.list, _selection(request.query))}

        async def create() -> Any:
            return await keys.create(await _fields(request))

        async def show() -> Any:
            return keys.show(name)

        async def update() -> Any:
            return await keys.update(name, await _fields(request))

        async def revoke() -> Any:
            return await keys.revoke(name)

        async def rotate() -> Any:
            return await keys.rotate(name, await _overlap(request))

        if not name:
            return {"GET": listed, "POST": create}
        return {"POST": rotate} if action else {"GET": show, "PATCH": update, "DELETE": revoke}

    def _write(self, request: Request, outcome: str, shown: dict[str, Any]) -> None:
        actor = (request.header(ACTOR_FIELD) or b"").decode("latin-1")
        said = [f"{field}={shown[field]}" for field in ("name", "user", "tenant", "agent") if shown.get(field)]
        said += [f"by {actor}"] if actor else []
        record = AuditRecord(
            kind="key",
            outcome=outcome,
            source=request.peer.address,
            resource=f"key:{shown['id']}",
            policy="admin_token",
            detail=", ".join(said),
        )
        self._audit(record)


async def _read(request: Request) -> bytes:
    try:
        return await request.body.read(MAX_BODY_BYTES)
    except BodyError as exc:
        raise CallError(Reason.BAD_REQUEST, "The body did not arrive whole, or is larger than 64 KiB.") from exc


async def _fields(request: Request) -> dict[str, Any]:
    check_json(request)
    try:
        return _decode_fields(await _read(request))
    except (msgspec.DecodeError, RecursionError) as exc:
        raise CallError(Reason.BAD_JSON, "The body must be one JSON object.") from exc


async def _overlap(request: Request) -> str:
    body = await _read(request)
    if not body:
        return _Rotation().overlap
    check_json(request)
    try:
        return _decode_rotation(body).overlap
    except msgspec.DecodeError as exc:
        raise CallError(Reason.BAD_JSON, 'The body must be empty, or such as {"overlap": "24h"}.') from exc


def _selection(query: str) -> dict[str, str]:
    where = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(where.keys() - _SELECTORS)
    if unknown:
        detail = f"Keys are selected by {', '.join(sorted(_SELECTORS))}; another parameter was given."
        raise CallError(Reason.BAD_REQUEST, detail)
    return where


def _sentence(error: Exception) -> str:
    text = str(error.args[0])
    return f"{text[:1].upper()}{text[1:]}."
