"""Objects and lists in the form that a client asked for.

Owns how stored bytes become an answer without being decoded: what a client wants as it is kept is sent as it is kept.
"""

from collections.abc import Sequence
from typing import Any

from heddle.controlplane.api import tables, views
from heddle.controlplane.api.answer import encode
from heddle.controlplane.api.core import Call
from heddle.controlplane.api.negotiation import Form, form
from heddle.controlplane.api.parts import Object, Stored
from heddle.controlplane.api.request import Request
from heddle.wire.kube.status import bad_request

_INCLUDES = {"": "Metadata", "Metadata": "Metadata", "Object": "Object", "None": "None"}


def of_request(request: Request) -> Form:
    """The form that a request accepts. Raises ApiError 406."""
    return form(request.headers.get("accept", ""))


def as_kept(call: Call, wanted: Form) -> bool:
    """Stored bytes are what is wanted."""
    return wanted.shape == "object" and call.kind is call.target.kind


def included(call: Call) -> str:
    """`includeObject` of a Table. Raises ApiError 400."""
    asked = call.request.option("includeObject")
    if asked not in _INCLUDES:
        raise bad_request(f'includeObject: "{asked[:40]}" is not one of "", "Metadata", "None", "Object"')
    return _INCLUDES[asked]


def one(call: Call, wanted: Form, value: Object) -> bytes:
    """One object."""
    kind = call.target.kind
    if wanted.shape == "table":
        rows = [tables.row(call.kind, value, call.core.hooks.clock(), included(call))]
        return encode(tables.table(call.kind, rows, _version(value)))
    served = views.to_served(call.core, kind, value)
    return encode(tables.partial(served) if wanted.shape == "metadata" else served)


def _version(value: Object) -> Object:
    found = value["metadata"].get("resourceVersion")
    return {"resourceVersion": found} if found else {}


def many(call: Call, wanted: Form, found: Sequence[Stored], meta: Object) -> bytes:
    """A list."""
    if wanted.shape == "table":
        now_s, include = call.core.hooks.clock(), included(call)
        rows = [tables.row(call.kind, one.object, now_s, include) for one in found]
        return encode(tables.table(call.kind, rows, meta))
    head: Any = {"apiVersion": tables.API_VERSION, "kind": "PartialObjectMetadataList"}
    if wanted.shape == "object":
        kind = call.target.kind
        head = {"apiVersion": kind.api_version, "kind": kind.list_kind or f"{kind.kind}List"}
    opening = encode(head | {"metadata": meta})[:-1]
    return b"".join((opening, b',"items":[', b",".join(_item(call, wanted, one) for one in found), b"]}"))


def _item(call: Call, wanted: Form, stored: Stored) -> bytes:
    if as_kept(call, wanted):
        return stored.encoded
    if wanted.shape == "metadata":
        return encode(tables.partial(stored.object))
    return encode(views.to_served(call.core, call.target.kind, stored.object))
