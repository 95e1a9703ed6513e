"""Pages of a list: the same snapshot on every page, and 410 once the list is too old.

Owns `continue` tokens and the snapshots that they point at. A snapshot holds references to versions that are kept
anyway, a bounded number of them for a bounded time; nothing is copied. Where it was dropped to make room, or another
replica has it, the next page shows the present state under the version of the first page: a watch from that version
tells the rest, and nobody's list breaks because somebody else lists much.
*Source:* Kubernetes API concepts, "Retrieving large results sets in chunks", "Resource versions".
"""

import base64
import binascii
import hashlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from heddle.controlplane.api.core import Call
from heddle.controlplane.api.parts import Stored
from heddle.controlplane.api.selecting import Selector
from heddle.wire.kube.status import ApiError, bad_request, expired

KEPT_SNAPSHOTS = 64
KEPT_S = 300.0
"""How long after its first page a list can be read on, as in Kubernetes."""
_MAX_TOKEN = 1024


class Token(msgspec.Struct, frozen=True):
    """Where the next page begins."""

    v: int
    """Version of the snapshot."""
    after: tuple[str, str]
    """Namespace and name of the last object that was sent."""
    s: int
    """When the list began, Unix time."""
    of: str
    """Digest of what the list is of, so that a token is of use for that list only."""


class Page(NamedTuple):
    """Part of a list."""

    items: Sequence[Stored]
    version: int
    token: str
    remaining: int


class Snapshots:
    """Lists that somebody is in the middle of."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], tuple[float, Sequence[Stored]]] = OrderedDict()

    def keep(self, of: str, version: int, items: Sequence[Stored], now_s: float) -> None:
        """Remember a list as it was."""
        self._forget(now_s)
        self._kept[of, version] = (now_s, items)
        while len(self._kept) > KEPT_SNAPSHOTS:
            self._kept.popitem(last=False)

    def find(self, of: str, version: int, now_s: float) -> Sequence[Stored] | None:
        """A list as it was, while it is remembered."""
        self._forget(now_s)
        found = self._kept.get((of, version))
        return found[1] if found else None

    def _forget(self, now_s: float) -> None:
        while self._kept:
            oldest = next(iter(self._kept))
            if now_s - self._kept[oldest][0] < KEPT_S:
                return
            del self._kept[oldest]


def scan(call: Call, chosen: Selector) -> Sequence[Stored]:
    """Candidates of a list: one object where its name is known, or all of the kind."""
    namespace = call.target.namespace
    if chosen.name and (namespace is not None or not call.kind.namespaced):
        found = call.core.store.get(call.key_of(chosen.name))
        return [] if found is None else [found]
    items: Sequence[Stored] = call.core.store.list(call.kind.stored_as, namespace)
    return items


def _identity(call: Call) -> str:
    request = call.request
    parts = (call.kind.stored_as, call.target.namespace or "*", request.option("labelSelector"))
    told = "\0".join((*parts, request.option("fieldSelector")))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def page(call: Call, chosen: Selector, snapshots: Snapshots) -> Page:
    """What a list answers. Raises ApiError 400 and 410."""
    limit = _limit(call.request.option("limit"))
    if call.request.option("continue"):
        return _next_page(call, chosen, snapshots, limit)
    version = call.core.store.version
    found = scan(call, chosen)
    if not chosen.empty:
        found = [one for one in found if chosen.matches(one.object)]
    if not limit or len(found) <= limit:
        return Page(found, version, "", 0)
    of, now_s = _identity(call), call.core.hooks.clock()
    # A copy: the list of the store goes on changing.
    snapshots.keep(of, version, tuple(found), now_s)
    return _cut(found, 0, Token(version, ("", ""), int(now_s), of), limit)


def _next_page(call: Call, chosen: Selector, snapshots: Snapshots, limit: int) -> Page:
    token, now_s = _read(call.request.option("continue")), call.core.hooks.clock()
    if token.of != _identity(call):
        raise bad_request("invalid continue token: it is of another list")
    if now_s - token.s > KEPT_S:
        raise expired(
            "The provided continue parameter is too old to display a consistent list result. You must start a new list "
            "without the continue parameter."
        )
    found = snapshots.find(token.of, token.v, now_s)
    if found is None:
        found = [one for one in scan(call, chosen) if chosen.matches(one.object)]
    start = bisect_right(found, token.after, key=lambda one: (one.key.namespace, one.key.name))
    return _cut(found, start, token, limit)


def _cut(found: Sequence[Stored], start: int, token: Token, limit: int) -> Page:
    end = min(start + limit, len(found)) if limit else len(found)
    remaining = len(found) - end
    written = ""
    if remaining:
        last = found[end - 1].key
        written = _write(msgspec.structs.replace(token, after=(last.namespace, last.name)))
    return Page(found[start:end], token.v, written, remaining)


def _limit(text: str) -> int:
    if not text:
        return 0
    if not text.isdecimal() or len(text) > 10:
        raise bad_request("limit: expected a number that is not negative")
    return int(text)


def _write(token: Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")


def _read(text: str) -> Token:
    try:
        if len(text) > _MAX_TOKEN:
            raise ValueError("too long")
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        token = msgspec.json.decode(raw, type=Token)
    except (msgspec.MsgspecError, ValueError, binascii.Error) as exc:
        raise bad_request("invalid continue token: continue key is not valid") from exc
    if token.v < 0:
        raise bad_request("invalid continue token: continue key is not valid")
    return token


def timed_out(version: int, current: int) -> ApiError:
    """504 for a version that is not reached yet."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Timeout: Too large resource version: {version}, current: {current}"
    return ApiError(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})
