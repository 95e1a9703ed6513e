"""API keys: a table from the digest of a key to the caller it stands for.

Owns the look-up and the building of principals ahead of it. No key is kept, only its SHA-256.

Constant time: a caller chooses the key, not its digest. How long a look-up by digest takes tells about the digest's
leading bits at most, and to make use of that one would have to choose keys by their digest, that is, invert SHA-256. No
comparison anywhere takes a time that depends on how many characters of a key were right.

*Source:* FIPS 180-4; CVE-2026-35030 (a cache keyed on the first characters of a token).
"""

from collections.abc import Iterable

from heddle.identity.spiffe import SpiffeError, workload_id
from heddle.model.principal import Principal
from heddle.model.snapshot import KeySpec
from heddle.model.virtual_keys import VirtualKey

KeyTable = dict[bytes, tuple[Principal, float]]
"""SHA-256 digest (32 bytes) of a key -> its caller, and the Unix time at which it expires (0: never)."""


def key_table(keys: Iterable[KeySpec], trust_domain: str) -> KeyTable:
    """The table of all keys; ValueError names the key (by id) that cannot be used, or that stands there twice."""
    table: KeyTable = {}
    for spec in keys:
        key_id = f"key-{spec.sha256[:12]}"
        digest = _digest(spec.sha256)
        if digest in table:
            raise ValueError(f"{key_id} is listed twice")
        try:
            workload = workload_id(trust_domain, spec.tenant, spec.agent) if spec.tenant and spec.agent else ""
        except SpiffeError as exc:
            raise ValueError(f"{key_id}: {exc}") from exc
        table[digest] = (_principal(spec, key_id, workload), spec.expires_at_s)
    return table


def virtual_principal(key: VirtualKey, trust_domain: str) -> Principal:
    """The caller that a virtual key stands for. SpiffeError when no id can carry its names."""
    return Principal(
        workload=workload_id(trust_domain, key.tenant, key.agent) if key.tenant and key.agent else "",
        user=key.user,
        tenant=key.tenant,
        agent=key.agent,
        key_id=key.id,
        method="api_key",
        models=key.models,
        limits=key.limits,
        budgets=key.budgets,
        claims=dict(key.metadata),
    )


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32 or text != digest.hex():
        raise ValueError("a key's sha256 must be 64 lower-case hexadecimal digits")
    return digest


def _principal(spec: KeySpec, key_id: str, workload: str) -> Principal:
    return Principal(
        workload=workload,
        user=spec.user,
        tenant=spec.tenant,
        agent=spec.agent,
        key_id=key_id,
        method="api_key",
        models=spec.models,
        claims=dict(spec.metadata),
    )
