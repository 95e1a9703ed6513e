"""The admin surface of tool definitions: /tools and what is below it.

Owns how decisions are asked for over HTTP and what is written down of them: who (from where, and as whom they say),
what, about which version. Whether the caller may ask at all was decided before (`admin`). Workers notice a decision by
themselves. Names of definitions are URIs as well, so they stand in queries and bodies, never in paths: what a proxy on
the way makes of a path must not change what is approved.

| | |
| --- | --- |
| `GET /tools` | what is known, without contents; `target`, `state` (`pending`) select |
| `GET /tools/diff?target=&kind=&name=` | the version that waits (or `digest`) against the approved one |
| `GET /tools/history?target=&kind=&name=` | every version, the latest first |
| `POST /tools/approve` | `{"target", "kind", "name", "digest"}`: exactly this version may be shown |
| `POST /tools/reject` | likewise: this version never |
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec

from heddle.dataplane.admission import check_json
from heddle.directory.changes import classify, render_diff
from heddle.directory.definitions import KINDS, Definition, Kind
from heddle.directory.visible import clipped
from heddle.drivers.approvals import Approvals, ApprovalsError, Pending, UnknownDefinitionError, Version
from heddle.net.errors import BodyError
from heddle.net.message import Headers, Reply, Request
from heddle.pipeline.errors import CallError, Reason
from heddle.telemetry.lines import timestamp
from heddle.telemetry.records import AuditRecord

PATH = "/tools"
MAX_BODY_BYTES = 64 * 1024
ACTOR_FIELD = b"x-heddle-actor"
"""As whom somebody with the admin token says to act. Believed by nobody, but written down."""
UNNAMED = "admin token"
"""Who decided, where nobody said as whom."""
_FIELDS: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_T = TypeVar("_T")
_NO_STORE = "What was approved cannot be read or written: {}."


class _Selection(msgspec.Struct, forbid_unknown_fields=True):
    target: str = ""
    state: Literal["", "pending"] = ""


class _Named(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which definition."""

    target: str
    kind: Kind
    name: str = ""
    digest: str = ""


_decode_named = msgspec.json.Decoder(_Named).decode


class ToolDecisions:
    """What is done with definitions. Blocks: asked in a thread."""

    def __init__(self, open_store: Callable[[], Approvals], targets: Callable[[], Iterable[str]]) -> None:
        """The store is opened when it is first needed; `targets` are those of the configuration that runs."""
        self._open, self._targets = open_store, targets
        self._store: Approvals | None = None
        self._opening = threading.Lock()

    @property
    def store(self) -> Approvals:
        """Raises ApprovalsError."""
        with self._opening:
            if self._store is None:
                self._store = self._open()
            return self._store

    def known(self, target: str = "", *, pending: bool = False) -> list[dict[str, Any]]:
        """One row for each name: what is approved of it, what waits."""
        waiting = self.store.pending(target or None)
        rows = {(one.target, one.proposal.kind, one.proposal.name): _waiting(one) for one in waiting}
        if not pending:
            names = [target] if target else dict.fromkeys([*self._targets(), *(one.target for one in waiting)])
            for name in names:
                self._add_decided(name, rows)
        return [rows[key] for key in sorted(rows)]

    def _add_decided(self, target: str, rows: dict[tuple[str, str, str], dict[str, Any]]) -> None:
        for (kind, name, digest), state in self.store.decided(target).items():
            if state not in ("approved", "rejected"):
                continue
            row = rows.setdefault((target, kind, name), {"target": target, "kind": kind, "name": name, "state": state})
            if row["state"] == "rejected" and state == "approved":
                row["state"] = state
            if state == "approved":
                row["approved"] = digest
            else:
                row.setdefault("rejected", []).append(digest)

    def diff(self, named: _Named) -> dict[str, Any]:
        """A version beside the approved one. Raises UnknownDefinitionError."""
        versions = self._versions(named)
        chosen = _chosen(versions, named)
        approved = next((one for one in versions if one.state == "approved" and one.digest != chosen.digest), None)
        old, new = _definition(approved) if approved is not None else None, _definition(chosen)
        change = classify(old, new) if old is not None else None
        waiting = [one for one in self.store.pending(named.target) if _key(one) == (chosen.kind, chosen.name)]
        proposal = waiting[0].proposal if waiting and waiting[0].proposal.digest == chosen.digest else None
        return {
            **_version(chosen),
            "target": named.target,
            "approved": approved.digest if approved is not None else None,
            "reason": proposal.reason if proposal is not None else "",
            "notes": list(proposal.notes) if proposal is not None else list(change.reasons) if change else [],
            "change": change.severity if change is not None else "added",
            "diff": render_diff(old, new),
            "definition": msgspec.Raw(chosen.content),
        }

    def history(self, named: _Named) -> list[dict[str, Any]]:
        """Every version. Raises UnknownDefinitionError."""
        return [_version(one) for one in self._versions(named)]

    def _versions(self, named: _Named) -> Sequence[Version]:
        found = self.store.history(named.target, named.kind, named.name)
        if not found:
            known = ", ".join(sorted(self._targets())) or "none"
            raise UnknownDefinitionError(
                f"no {named.kind} {clipped(named.name)!r} of {clipped(named.target)!r} was ever seen"
                f" (targets: {clipped(known, 300)})"
            )
        return found

    def decide(self, named: _Named, by: str, *, approve: bool) -> dict[str, Any]:
        """Approve or reject exactly one version. Raises UnknownDefinitionError, CallError when another one waits."""
        if len(named.digest) != 64:
            # A server chooses what it offers, and so could make two versions whose digests begin alike.
            raise CallError(Reason.BAD_REQUEST, "`digest` must be the whole digest that was shown: 64 characters.")
        chosen = _chosen(self._versions(named), named)
        waiting = [one for one in self.store.pending(named.target) if _key(one) == (chosen.kind, chosen.name)]
        if approve and waiting and waiting[0].proposal.digest != named.digest:
            detail = "Another version waits by now: it changed after it was shown. Look at the difference again."
            raise CallError(Reason.BAD_REQUEST, detail)
        act = self.store.approve if approve else self.store.reject
        act(named.target, named.kind, named.name, named.digest, by)
        return next(_version(one) | {"target": named.target} for one in self._versions(named)
                    if one.digest == named.digest)  # fmt: skip

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()


def is_about_tools(path: str) -> bool:
    """Whether a path belongs here."""
    return path == PATH or path.startswith(f"{PATH}/")


class ToolPages:
    """Answers for /tools; every request has shown the admin token."""

    def __init__(self, tools: ToolDecisions, audit: Callable[[AuditRecord], None]) -> None:
        self._tools = tools
        self._audit = audit
        self._pages: dict[str, tuple[str, Callable[[Request, bytes], Any]]] = {
            "": ("GET", self._list),
            "diff": ("GET", lambda request, _: self._tools.diff(_asked(request))),
            "history": ("GET", lambda request, _: {"versions": self._tools.history(_asked(request))}),
            "approve": ("POST", lambda request, body: self._decide(request, body, approve=True)),
            "reject": ("POST", lambda request, body: self._decide(request, body, approve=False)),
        }

    async def handle(self, request: Request) -> Reply:
        """Do what is asked. Raises CallError."""
        page = self._pages.get(request.path.removeprefix(PATH).removeprefix("/"))
        if page is None or request.path.endswith("/"):
            served = ", ".join(f"{PATH}/{name}".rstrip("/") for name in self._pages)
            raise CallError(Reason.NOT_FOUND, f"Served here: {served}.")
        method, answer = page
        if request.method != method and (method, request.method) != ("GET", "HEAD"):
            raise CallError(Reason.METHOD_NOT_ALLOWED, f"Use {method} here.", headers=[(b"allow", method.encode())])
        body = await _read(request) if method == "POST" else b""
        # What was decided is on record, whether or not whoever asked is still there.
        shown = await asyncio.shield(asyncio.to_thread(self._do, answer, request, body))
        return Reply(200, [*_FIELDS], shown + b"\n")

    def _do(self, answer: Callable[[Request, bytes], Any], request: Request, body: bytes) -> bytes:
        try:
            return msgspec.json.encode(answer(request, body))
        except UnknownDefinitionError as exc:
            text = str(exc.args[0])
            raise CallError(Reason.STATE_NOT_FOUND, f"{text[:1].upper()}{text[1:]}.") from exc
        except ApprovalsError as exc:
            raise CallError(Reason.OVERLOADED, _NO_STORE.format(exc)) from exc

    def _list(self, request: Request, body: bytes) -> Any:
        del body
        asked = _converted(dict(parse_qsl(request.query, keep_blank_values=True)), _Selection)
        return {"tools": self._tools.known(asked.target, pending=asked.state == "pending")}

    def _decide(self, request: Request, body: bytes, *, approve: bool) -> Any:
        try:
            named = _decode_named(body)
        except msgspec.DecodeError as exc:
            detail = f"The body must name `target`, `kind` ({', '.join(KINDS)}), `name` and `digest`."
            raise CallError(Reason.BAD_JSON, detail) from exc
        actor = clipped((request.header(ACTOR_FIELD) or b"").decode("latin-1"), 64)
        shown = self._tools.decide(named, actor or UNNAMED, approve=approve)
        record = AuditRecord(
            kind="definition",
            outcome=shown["state"],
            source=request.peer.address,
            resource=f"{named.kind}:{named.name}"[:256],
            entry=named.target,
            policy="admin_token",
            detail=f"target={named.target}, digest={named.digest}" + (f", by {actor}" if actor else ""),
        )
        self._audit(record)
        return shown


async def _read(request: Request) -> bytes:
    check_json(request)
    try:
        return await request.body.read(MAX_BODY_BYTES)
    except BodyError as exc:
        raise CallError(Reason.BAD_REQUEST, "The body did not arrive whole, or is larger than 64 KiB.") from exc


def _asked(request: Request) -> _Named:
    return _converted(dict(parse_qsl(request.query, keep_blank_values=True)), _Named)


def _converted(given: dict[str, str], shape: type[_T]) -> _T:
    try:
        return msgspec.convert(given, shape)
    except msgspec.ValidationError as exc:
        names = ", ".join(shape.__struct_fields__)  # type: ignore[attr-defined]
        raise CallError(Reason.BAD_REQUEST, f"The query is one of {names}, each with a known value.") from exc


def _chosen(versions: Sequence[Version], named: _Named) -> Version:
    """The version with the digest, or the one that waits, or the one that is approved."""
    for state in ("pending", "approved", "rejected", "seen"):
        for one in versions:
            if one.digest == named.digest or (not named.digest and one.state == state):
                return one
    raise UnknownDefinitionError(f"{clipped(named.target)} never offered {clipped(named.name)!r} with that digest")


def _key(one: Pending) -> tuple[str, str]:
    return one.proposal.kind, one.proposal.name


def _definition(one: Version) -> Definition:
    return Definition(msgspec.convert(one.kind, Kind), one.name, one.content, one.digest)


def _waiting(one: Pending) -> dict[str, Any]:
    proposal = one.proposal
    row = {"target": one.target, "kind": proposal.kind, "name": proposal.name, "state": "pending"}
    row |= {"pending": proposal.digest, "reason": proposal.reason, "change": proposal.change}
    return row | {"notes": list(proposal.notes), "seen": timestamp(one.seen_s)}


def _version(one: Version) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": one.kind, "name": one.name, "digest": one.digest, "state": one.state}
    shown["seen"] = timestamp(one.seen_s)
    if one.decided_by:
        shown |= {"decided": timestamp(one.decided_s), "decided_by": one.decided_by}
    return shown
