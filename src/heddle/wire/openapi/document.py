"""A document as a service: which operations it has, and each of them as a tool.

Owns the order of reading: names first, over all operations, then what is offered of them. What is not offered is not
read, so that a document that is too large, or wrong in one place, serves without that place. `TRACE` is never offered:
a request that is sent back shows its credentials.

*Source:* OpenAPI Specification 3.0.4 and 3.1.1, section 4 (OpenAPI, Info, Paths, Path Item Objects); RFC 9110 section
9.3.8.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from heddle.wire.errors import ProtocolError
from heddle.wire.openapi.cycles import Cycles
from heddle.wire.openapi.names import tool_names
from heddle.wire.openapi.operation import Service
from heddle.wire.openapi.reading import Document, field_bool, field_list, field_object, field_text, object_at, wrong
from heddle.wire.openapi.schemas import Schemas
from heddle.wire.openapi.security import read_demands, read_schemes
from heddle.wire.openapi.selection import Selection
from heddle.wire.openapi.servers import read_place
from heddle.wire.openapi.tools import Found, Surroundings, read_operation

MAX_OPERATIONS = 2_000
"""That are offered of one document."""
MAX_PATHS = 20_000
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")

_VERSION = re.compile(r"3\.(0|1)(?:\.[0-9]{1,3})?(?:-[a-z0-9]{1,16})?")


class _Listed(NamedTuple):
    """An operation that is only known to exist."""

    operation_id: str
    method: str
    path: str
    item: dict[str, Any]
    item_at: str
    given: dict[str, Any]


def read_document(value: object, *, base_url: str = "", selection: Selection | None = None) -> Service:
    """The service that a parsed document describes.

    `base_url` wins over every `servers`. Raises ProtocolError with the place in the document as `param`
    (`paths./pets.get.parameters[0]`).
    """
    root = object_at(value, "document")
    version = _VERSION.fullmatch(root["openapi"]) if isinstance(root.get("openapi"), str) else None
    if version is None:
        raise wrong("openapi", "a version of OpenAPI 3.0 or 3.1, as text")
    document = Document(root)
    schemes = read_schemes(document, field_object(root, "components", ""))
    cycles = Cycles(document)
    siblings = version[1] == "1"
    around = Surroundings(
        document=document,
        inputs=Schemas(document, cycles, "input", siblings=siblings),
        outputs=Schemas(document, cycles, "output", siblings=siblings),
        schemes=schemes,
        place=read_place(base_url, root),
        security=read_demands(root, "", schemes) or (),
    )
    info = field_object(root, "info", "")
    offered = _offered(document, selection or Selection())
    return Service(
        title=field_text(info, "title", "info"),
        description=field_text(info, "description", "info"),
        base_url=around.place.origin,
        operations=tuple(read_operation(found, around) for found in offered),
        schemes=schemes,
    )


def _offered(document: Document, selection: Selection) -> list[Found]:
    """The operations that are offered, under names that do not depend on which are."""
    listed = list(_listed(document))
    names = tool_names((one.operation_id, one.method, one.path) for one in listed)
    if len(set(names)) != len(names):
        raise wrong("paths", "operations that can be named apart")
    offered = []
    for name, one in zip(names, listed, strict=True):
        at = f"{one.item_at}.{one.method}"
        tags = [tag for tag in field_list(one.given, "tags", at) if isinstance(tag, str)]
        method = one.method.upper()
        if field_bool(one.given, "deprecated", at) and not selection.deprecated:
            continue
        if selection.takes(one.operation_id, tags, method, one.path):
            offered.append(Found(name, method, one.path, one.item, one.given, at, one.item_at))
    if len(offered) > MAX_OPERATIONS:
        detail = f"paths: {len(offered)} operations, more than {MAX_OPERATIONS}; select fewer of them."
        raise ProtocolError(detail, param="paths")
    return offered


def _listed(document: Document) -> Iterator[_Listed]:
    paths = field_object(document.root, "paths", "")
    if len(paths) > MAX_PATHS:
        raise wrong("paths", f"at most {MAX_PATHS} paths")
    for path, value in paths.items():
        if not isinstance(path, str) or path.startswith("x-"):
            continue
        item, item_at = document.resolve(value, f"paths.{path}")
        for method in METHODS:
            if item.get(method) is not None:
                given = object_at(item[method], f"{item_at}.{method}")
                operation_id = field_text(given, "operationId", f"{item_at}.{method}")
                yield _Listed(operation_id, method, path, item, item_at, given)
