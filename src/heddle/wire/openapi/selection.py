"""Which operations of a document become tools.

Owns the filters: each states what it states, all of it must hold, and a field that it leaves empty says nothing.
Deprecated operations are left out unless they are asked for.

*Source:* OpenAPI Specification 3.1.1 section 4.8.10 (Operation Object): `operationId`, `tags`, `deprecated`.
"""

from collections.abc import Iterable

import msgspec

from heddle.model.match import glob_match
from heddle.wire.openapi.operation import Service


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Operations by what they are called. In all but `method`, `*` stands for any run of characters."""

    operation_id: str = ""
    tag: str = ""
    method: str = ""
    path: str = ""
    """Of the document's templates: `/pets/*` is everything below `/pets/`, `/pets/{petId}/photos` included."""

    def matches(self, operation_id: str, tags: Iterable[str], method: str, path: str) -> bool:
        """Whether everything that is stated holds."""
        return (
            (not self.operation_id or glob_match(self.operation_id, operation_id))
            and (not self.tag or any(glob_match(self.tag, tag) for tag in tags))
            and (not self.method or self.method.upper() == method)
            and (not self.path or glob_match(self.path, path))
        )


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What is offered: that which some filter includes (all, when there are none) and none excludes."""

    include: tuple[Filter, ...] = ()
    exclude: tuple[Filter, ...] = ()
    deprecated: bool = False
    """Whether deprecated operations are offered too."""

    def takes(self, operation_id: str, tags: Iterable[str], method: str, path: str) -> bool:
        """Whether an operation is offered, so far as its deprecation does not decide."""
        known = list(tags)
        if any(one.matches(operation_id, known, method, path) for one in self.exclude):
            return False
        return not self.include or any(one.matches(operation_id, known, method, path) for one in self.include)


def select(service: Service, selection: Selection) -> Service:
    """The service with those of its operations that are offered; names of tools stay as they are."""
    kept = [
        one
        for one in service.operations
        if (selection.deprecated or not one.deprecated)
        and selection.takes(one.operation_id, one.tags, one.method, one.path)
    ]
    return msgspec.structs.replace(service, operations=tuple(kept))
