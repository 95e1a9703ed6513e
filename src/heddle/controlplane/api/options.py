"""Options of writes as the query and DeleteOptions give them, checked before anything else happens.

*Source:* Kubernetes API reference: CreateOptions, UpdateOptions, PatchOptions, DeleteOptions, ListOptions.
"""

from typing import Any, NamedTuple

from heddle.controlplane.api.request import TRUE, Request
from heddle.wire.kube.status import ApiError, Cause, bad_request, invalid

FOREGROUND, BACKGROUND, ORPHAN = "Foreground", "Background", "Orphan"
_POLICIES = {"", FOREGROUND, BACKGROUND, ORPHAN}
_VALIDATIONS = {"", "Ignore", "Strict", "Warn"}
_MAX_OWNER = 128
"""Characters of a field manager's name."""


class WriteOptions(NamedTuple):
    """Of a create, update, patch or apply."""

    dry_run: bool = False
    validation: str = "Warn"
    """`Ignore`, `Warn`, `Strict`."""
    owner: str = "unknown"
    """Field manager."""
    named: bool = False
    """The field manager was given, not guessed."""
    force: bool | None = None


class DeleteOptions(NamedTuple):
    """Of a delete."""

    dry_run: bool = False
    policy: str = ""
    """`Foreground`, `Background`, `Orphan`; empty leaves what the object says."""
    uid: str = ""
    version: str = ""
    """Preconditions."""


def refuse(options: str, reason: str, message: str, field: str) -> ApiError:
    """422 about an option; `options` is `CreateOptions`, ..."""
    return invalid("meta.k8s.io", options, "", [Cause(reason, message, field)])


def _unsupported(options: str, field: str, value: str, supported: str) -> ApiError:
    message = f"Unsupported value: {value}: supported values: {supported}"
    return refuse(options, "FieldValueNotSupported", message, field)


def _dry_run(request: Request, options: str, given: Any = None) -> bool:
    values = request.query.get("dryRun", []) or given or []
    if not isinstance(values, list) or any(value != "All" for value in values if value != ""):
        shown = ", ".join(f'"{value}"' for value in values) if isinstance(values, list) else str(values)
        raise _unsupported(options, "dryRun", f"[{shown}]", '"All"')
    return "All" in values


def write_options(request: Request, options: str) -> WriteOptions:
    """Options in the query. `options` names them in errors. Raises ApiError 422."""
    if not request.query_string:
        return WriteOptions(owner=_from_agent(request))
    validation = request.option("fieldValidation")
    if validation not in _VALIDATIONS:
        supported = '"", "Ignore", "Strict", "Warn"'
        raise _unsupported(options, "fieldValidation", f'"{validation}"', supported)
    named = request.option("fieldManager")
    if len(named) > _MAX_OWNER or not named.isprintable():
        message = f"Invalid value: may not be longer than {_MAX_OWNER} characters, and must be printable"
        raise refuse(options, "FieldValueInvalid", message, "fieldManager")
    force = request.option("force")
    return WriteOptions(
        _dry_run(request, options),
        validation or "Warn",
        named or _from_agent(request),
        bool(named),
        None if not force else force in TRUE,
    )


def _from_agent(request: Request) -> str:
    """The program that writes without saying who it is is named after its User-Agent."""
    name = request.headers.get("user-agent", "").partition("/")[0]
    return "".join(c for c in name if c.isprintable())[:_MAX_OWNER] or "unknown"


def delete_options(request: Request, body: Any) -> DeleteOptions:
    """Options in the query and in a body, where there is one. Raises ApiError 400 and 422."""
    given = body if body is not None else {}
    if not isinstance(given, dict):
        raise bad_request("the body of a delete must be DeleteOptions")
    if given.get("kind", "DeleteOptions") != "DeleteOptions":
        raise bad_request(f"the body of a delete must be DeleteOptions, not {given['kind']!r}")
    policy = request.option("propagationPolicy") or given.get("propagationPolicy") or ""
    if policy not in _POLICIES:
        supported = '"Foreground", "Background", "Orphan", "nil"'
        raise _unsupported("DeleteOptions", "propagationPolicy", f'"{policy}"', supported)
    # The field before `propagationPolicy`; lightkube and old programs still send it.
    if not policy and (request.flag("orphanDependents") or given.get("orphanDependents") is True):
        policy = ORPHAN
    conditions = given.get("preconditions") or {}
    if not isinstance(conditions, dict):
        raise bad_request("preconditions: expected an object")
    uid, version = conditions.get("uid") or "", conditions.get("resourceVersion") or ""
    if not isinstance(uid, str) or not isinstance(version, str):
        raise bad_request("preconditions: uid and resourceVersion are text")
    return DeleteOptions(_dry_run(request, "DeleteOptions", given.get("dryRun")), policy, uid, version)
