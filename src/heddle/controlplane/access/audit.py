"""What is written down about requests of the resource API: each write, each refusal, each reading of a Secret.

Owns which requests that are and what is said of them: who, what, from where, what came of it, and which fields were
changed, as paths. Values are never written, nor what an error says of them. The records go where all audit records go
(`telemetry.spool`): to the disk before the answer, then to the configured sinks.

*Source:* Kubernetes "Auditing" (what is recorded at level Metadata).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from heddle.controlplane.access.caller import Attributes, Caller, full_resource
from heddle.model.principal import Principal
from heddle.telemetry.records import MAX_LISTED, AuditRecord

CREDENTIAL = "heddle.dev/credential"
"""What of `Caller.extra` says how the caller was proven: `certificate:SERIAL`, `token:ID`, `issuer:NAME`."""
_READS = frozenset({"get", "list", "watch", "head", "options"})
_REFUSED = frozenset({401, 403, 429})
_UNSAID = frozenset({"metadata.managedFields", "metadata.resourceVersion", "metadata.generation"})
_MAX_DEPTH = 32

Object = Mapping[str, Any]


class Occasion(NamedTuple):
    """What else is known of a request."""

    source: str = ""
    """Address of the peer."""
    request_id: str = ""
    old: Object | None = None
    """The object before a write."""
    new: Object | None = None
    """The object after it."""
    why: str = ""
    """What a refusal said."""
    dry_run: bool = False


UNKNOWN = Occasion()


class Audit:
    """Writes records of requests."""

    def __init__(self, write: Callable[[AuditRecord], None]) -> None:
        """`write` returns once the record is kept."""
        self._write = write

    def request(
        self, caller: Caller | None, asked: Attributes, code: int, version: int = 0, at: Occasion = UNKNOWN
    ) -> None:
        """A request was answered with `code`; `version` is what it made, 0 where nothing. Cheap for what is not
        written down."""
        refused = code in _REFUSED
        if asked.verb in _READS and not refused and not _reads_secrets(asked, code):
            return
        what = f"{full_resource(asked)}.{asked.group}" if asked.group else full_resource(asked)
        place = "/".join(part for part in (asked.namespace, asked.name) if part)
        self._write(
            AuditRecord(
                kind="authn" if code == 401 else "api",
                outcome="deny" if refused else "allow" if code < 400 else "error",
                principal=_principal(caller),
                groups=caller.groups if caller is not None else (),
                verb=asked.verb,
                resource=(f"{what}/{place}" if place else what) if asked.resource else asked.path,
                # A caller chooses names: refusals of one verb and kind are counted together.
                entry=f"{asked.verb} {what}",
                code=code,
                source=at.source,
                trace_id=at.request_id,
                changes=tuple(changed_paths(at.old, at.new)) if version else (),
                # Errors of other kinds quote what they do not like, which may be a Secret's.
                detail=at.why if refused else _came_of_it(version, at.dry_run),
            )
        )


def changed_paths(old: Object | None, new: Object | None) -> list[str]:
    """Paths of the fields in which two versions differ, at most as many as a record keeps; none where one is all new
    or all gone."""
    if old is None or new is None:
        return []
    found: list[str] = []
    for path in _differences(old, new, "", 0):
        if path not in _UNSAID:
            found.append(path)
            if len(found) == MAX_LISTED:
                break
    return found


def _differences(old: Any, new: Any, path: str, depth: int) -> Iterator[str]:
    if old == new:
        return
    if depth < _MAX_DEPTH and isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            below = f"{path}.{name}" if path else str(name)
            yield from _differences(old.get(name), new.get(name), below, depth + 1)
    elif depth < _MAX_DEPTH and isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(before, after, f"{path}[{index}]", depth + 1)
    else:
        yield path


def _reads_secrets(asked: Attributes, code: int) -> bool:
    return asked.resource == "secrets" and not asked.group and code < 400


def _principal(caller: Caller | None) -> Principal:
    if caller is None:
        return Principal()
    method, _, key_id = (caller.extra.get(CREDENTIAL) or ("",))[0].partition(":")
    return Principal(user=caller.name, method=method or "none", key_id=key_id)


def _came_of_it(version: int, dry_run: bool) -> str:
    if dry_run:
        return "dry run"
    return f"resourceVersion {version}" if version else ""
