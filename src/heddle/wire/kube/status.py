"""What the resource API answers when it does not do what it was asked: one `Status` for each way to fail.

Every client matches on `reason` and `code`, people read `message`; the words are those of a Kubernetes API server.
*Source:* Kubernetes API conventions, "Response Status Kind"; recorded answers of kube-apiserver 1.36.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Cause(NamedTuple):
    """One thing that is wrong with an object."""

    reason: str
    """`FieldValueInvalid`, `FieldValueNotSupported`, `FieldValueRequired`, `FieldValueTypeInvalid`, ..."""
    message: str
    """For people, with the value that was found."""
    field: str
    """Its path, such as `spec.tools[0].name`."""


class ApiError(Exception):
    """A refusal. `details` is that of the Status; `message` says to the caller what was expected, and no secrets."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        """HTTP status."""
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> dict[str, Any]:
        """The Status object."""
        made: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        made["message"] = self.message
        if self.reason:
            made["reason"] = self.reason
        if self.details is not None:
            made["details"] = self.details
        made["code"] = self.code
        return made


def _about(group: str, kind: str, name: str = "") -> dict[str, Any]:
    made = {"name": name, "group": group, "kind": kind}
    return {field: value for field, value in made.items() if value}


def _dotted(what: str, group: str) -> str:
    return f"{what}.{group}" if group else what


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> ApiError:
    """401."""
    return ApiError(401, "Unauthorized", message)


def forbidden(group: str, plural: str, name: str, why: str) -> ApiError:
    """403. `why` says who cannot do what."""
    quoted = f' "{name}"' if name else ""
    message = f"{_dotted(plural, group)}{quoted} is forbidden: {why}"
    return ApiError(403, "Forbidden", message, _about(group, plural, name))


def not_found(group: str, plural: str, name: str) -> ApiError:
    """404 of an object."""
    return ApiError(404, "NotFound", f'{_dotted(plural, group)} "{name}" not found', _about(group, plural, name))


def already_exists(group: str, plural: str, name: str) -> ApiError:
    """409 of a create."""
    message = f'{_dotted(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _about(group, plural, name))


CHANGED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(group: str, plural: str, name: str, why: str = CHANGED) -> ApiError:
    """409 of an update."""
    message = f'Operation cannot be fulfilled on {_dotted(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, _about(group, plural, name))


def apply_conflict(causes: Sequence[Cause], message: str) -> ApiError:
    """409 of a server-side apply: who else owns what it would change."""
    listed = [{"reason": one.reason, "message": one.message, "field": one.field} for one in causes]
    return ApiError(409, "Conflict", message, {"causes": listed})


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: what is wrong with an object, all of it."""
    said = [f"{one.field}: {one.message}" for one in causes]
    listed = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    message = f'{_dotted(kind, group)} "{name}" is invalid: {listed}'
    details = _about(group, kind, name)
    details["causes"] = [{"reason": one.reason, "message": one.message, "field": one.field} for one in causes]
    return ApiError(422, "Invalid", message, details)


def expired(message: str) -> ApiError:
    """410: a resource version or a `continue` token that is too old."""
    return ApiError(410, "Expired", message)


def unsupported_media(accepted: Sequence[str]) -> ApiError:
    """415."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return ApiError(415, "UnsupportedMediaType", message)


def too_many_requests(message: str, retry_s: int) -> ApiError:
    """429: come back after `retry_s` seconds."""
    return ApiError(429, "TooManyRequests", message, {"retryAfterSeconds": retry_s})
