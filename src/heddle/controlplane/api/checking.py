"""Whether an object is one of its kind: unknown fields, defaults, types, rules.

Owns the order of these steps and what `fieldValidation` makes of unknown and repeated fields.
*Source:* Kubernetes API concepts, "Field validation"; apiextensions.k8s.io/v1 (pruning, defaulting).
"""

from collections.abc import Callable, Sequence

from heddle.controlplane.api import metadata, naming
from heddle.controlplane.api.core import Core
from heddle.controlplane.api.parts import Object
from heddle.model.kinds import Kind
from heddle.wire.kube.schema import default, prune, validate
from heddle.wire.kube.status import ApiError, Cause, bad_request, invalid

MAX_WARNED = 32
"""Unknown fields that are told one by one."""


def tidy(core: Core, kind: Kind, new: Object) -> list[str]:
    """Make an object well-formed in place; paths of the fields that were removed. Raises ApiError 400."""
    unknown = metadata.take(new, kind.kind, kind.version)
    unknown += prune(new, core.structure(kind))
    default(new, core.structure(kind))
    return unknown


def strictness(
    validation: str, unknown: Sequence[str], repeated: Sequence[str], refusal: Callable[[str], ApiError]
) -> list[str]:
    """Warnings about fields that were dropped, by `fieldValidation`. Raises what `refusal` makes when strict."""
    if validation == "Ignore" or not (unknown or repeated):
        return []
    said = [f'duplicate field "{path}"' for path in sorted(repeated)]
    said += [f'unknown field "{path}"' for path in sorted(unknown)]
    if len(said) > MAX_WARNED:
        said = [*said[:MAX_WARNED], f"and {len(said) - MAX_WARNED} more"]
    if validation == "Strict":
        raise refusal("strict decoding error: " + ", ".join(said))
    return said


def undecodable(kind: Kind) -> Callable[[str], ApiError]:
    """400 for a body that is not exactly of its kind."""
    return lambda why: bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')


def unpatchable(why: str) -> ApiError:
    """422 for a patch that would add what the kind does not have. The object stays out of the message: it may be
    secret."""
    return invalid("", "", "", [Cause("FieldValueInvalid", f"Invalid value: {why}", "patch")])


def check(core: Core, kind: Kind, new: Object, old: Object | None) -> None:
    """All that is wrong with an object. Raises ApiError 422."""
    meta = new["metadata"]
    name = meta.get("name", "")
    causes: list[Cause] = []
    if old is None:
        causes += naming.name_causes(kind, name)
    causes += naming.metadata_causes(meta)
    schema_causes = validate(new, core.structure(kind))
    # Rules see only objects of the right shape: they would err on others, and say nothing of use.
    causes += schema_causes or core.hooks.check_rules(new, old, kind.schema)
    if causes:
        raise invalid(kind.group, kind.kind, name, causes)
