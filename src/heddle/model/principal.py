"""Who is calling: the pair of a workload and, perhaps, a user behind it.

Owns the one identity type that crosses layers. It says nothing about how the identity was proven.
*Source:* architecture.md, "Identity"; SPIFFE-ID 1.0 section 2 for the form of `workload`.
"""

import msgspec

from heddle.model.snapshot import LimitSpec
from heddle.model.snapshot_budgets import BudgetSpec


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated caller. Immutable and shared between calls; equality is by value."""

    workload: str = ""
    """SPIFFE id, `spiffe://<trust domain>/ns/<tenant>/sa/<agent>`; empty when only a user is known."""
    user: str = ""
    """The human or system on whose behalf the workload acts; empty when there is none."""
    tenant: str = ""
    """The namespace the call belongs to; the same thing as `match.kubernetes.namespace`."""
    agent: str = ""
    """The workload's short name: the service account, or the `agent` of a key or claim."""
    key_id: str = ""
    """Stable, non-secret id of the credential: `key-` and 12 hex digits of its SHA-256, or a virtual key's id; empty
    for anonymous callers."""
    method: str = "none"
    """How it was proven: `api_key`, `jwt`, `kubernetes` or `none`."""
    models: tuple[str, ...] | None = None
    """Glob patterns of models this credential may name; None means that the credential sets no bound."""
    limits: tuple[LimitSpec, ...] = ()
    """What this credential may call, besides what the configuration says."""
    budgets: tuple[BudgetSpec, ...] = ()
    """What it may spend, likewise."""
    claims: dict[str, object] = msgspec.field(default_factory=dict)
    """Verified token claims, or a key's `metadata`; readable in CEL as `principal.claims`."""


ANONYMOUS = Principal()
"""The caller under `type: none`."""
