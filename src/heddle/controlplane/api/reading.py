"""Reads: one object, and lists.

Owns what `resourceVersion` and `resourceVersionMatch` mean for a list.
*Source:* Kubernetes API concepts, "Resource versions", "Semantics for get and list".
"""

from heddle.controlplane.api import answer, forms, paging, selecting
from heddle.controlplane.api.core import Call
from heddle.controlplane.api.options import refuse
from heddle.controlplane.api.paging import Snapshots
from heddle.wire.kube import status
from heddle.wire.kube.status import ApiError, bad_request

_MATCHES = {"", "Exact", "NotOlderThan"}
EXACT = "Exact"


async def get(call: Call) -> answer.Answer:
    """GET of one object, or of its status."""
    call.authorize("get")
    wanted = forms.of_request(call.request)
    await _reach(call)
    found = call.core.store.get(call.key)
    if found is None:
        kind = call.target.kind
        raise status.not_found(kind.group, kind.plural, call.target.name)
    body = found.encoded if forms.as_kept(call, wanted) else forms.one(call, wanted, found.object)
    return answer.Answer(200, body)


async def list_all(call: Call, snapshots: Snapshots) -> answer.Answer:
    """GET of a collection."""
    chosen = selecting.selector(call)
    call.authorize("list", chosen.name)
    wanted = forms.of_request(call.request)
    match = _match(call)
    version = await _reach(call)
    if match == EXACT and version != call.core.store.version:
        # Older states of a whole list are not kept; whoever needs this one reads the list as it is now.
        raise status.expired(f"The provided resource version {version} is no longer available for an exact list.")
    found = paging.page(call, chosen, snapshots)
    # The version is that of the whole sequence: a watch from here misses nothing.
    meta: dict[str, object] = {"continue": found.token, "resourceVersion": str(found.version)}
    if found.remaining and chosen.empty:
        meta["remainingItemCount"] = found.remaining
    return answer.Answer(200, forms.many(call, wanted, found.items, meta))


def _match(call: Call) -> str:
    option = call.request.option
    match, version = option("resourceVersionMatch"), option("resourceVersion")
    if not match:
        return ""
    about = "ListOptions"
    if match not in _MATCHES:
        supported = f'Unsupported value: "{match[:40]}": supported values: "", "Exact", "NotOlderThan"'
        raise refuse(about, "FieldValueNotSupported", supported, "resourceVersionMatch")
    why = ""
    if not version:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif option("continue"):
        why = "resourceVersionMatch is forbidden when continue is provided"
    elif match == EXACT and version == "0":
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
    if why:
        raise refuse(about, "FieldValueForbidden", f"Forbidden: {why}", "resourceVersionMatch")
    return match


def wanted_version(call: Call) -> int:
    """`resourceVersion` of the query; 0 where there is none. Raises ApiError 400."""
    text = call.request.option("resourceVersion")
    if not text:
        return 0
    if not text.isdecimal() or len(text) > 19:
        shown = text[:40]
        raise bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{shown}": strconv.ParseUint: '
            f'parsing "{shown}": invalid syntax'
        )
    return int(text)


async def _reach(call: Call) -> int:
    """See at least the version that is asked for; without one, all that was ever acknowledged. Returns it.

    Raises ApiError 400, and 504 for a version of the future.
    """
    store, version = call.core.store, wanted_version(call)
    if version == 0 and call.request.option("resourceVersion"):
        return 0
    if not version or version > store.version:
        await store.fresh()
    if version > store.version:
        raise too_large(version, store.version)
    return version


def too_large(version: int, current: int) -> ApiError:
    """504."""
    return paging.timed_out(version, current)
