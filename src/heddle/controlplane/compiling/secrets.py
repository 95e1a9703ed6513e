"""Secrets: each of their values is a part of its own, sent to those gateways alone that run something it is for.

Owns what others may know of a Secret: which keys it has, and why one cannot be used. Its values go into its own parts,
so that a rotated key is one changed part, however many objects name it.
"""

from heddle.controlplane.compiling.fragment import Fragment, Work
from heddle.controlplane.compiling.objects import mapping
from heddle.controlplane.secrets import SecretError, secret_value
from heddle.model.resources_core import SecretResource

MAX_KEYS = 1_000
"""Of one Secret that are looked at."""


def compile_secret(work: Work) -> Fragment:
    """A Secret. It has no status; what is wrong with a key is said where it is named."""
    resource: SecretResource = work.seen.resource
    usable: dict[str, str] = {}
    keys = dict.fromkeys([*resource.data, *resource.string_data])
    for key in list(keys)[:MAX_KEYS]:
        try:
            value = secret_value(work.seen.key.name, resource, key)
        except SecretError as exc:
            usable[key] = str(exc)
            continue
        usable[key] = ""
        work.part(f"secret/{work.namespace}/{work.seen.key.name}/{key}", value, order="-")
    return Fragment(work.parts, usable)


def compile_map(work: Work) -> Fragment:
    """A ConfigMap; others read it as it is."""
    return Fragment(outcome=tuple(sorted(mapping(work.seen.raw.get("data")))))
