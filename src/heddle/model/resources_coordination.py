"""coordination.k8s.io/v1: Lease, by which programs agree who of them leads.

*Source:* Kubernetes coordination.k8s.io/v1.
"""

from typing import Annotated, ClassVar, Literal

from heddle.model.config_base import Part
from heddle.model.kube import AGE, Served, column, form
from heddle.model.meta import Resource


class LeaseSpec(Part, frozen=True, kw_only=True):
    """Who holds it, and until when."""

    holder_identity: str = ""
    """Who holds it."""
    lease_duration_seconds: Annotated[int | None, form("int32")] = None
    """Seconds it holds without being renewed."""
    acquire_time: Annotated[str | None, form("date-time")] = None
    """When it was taken."""
    renew_time: Annotated[str | None, form("date-time")] = None
    """When it was last renewed."""
    lease_transitions: Annotated[int | None, form("int32")] = None
    """How often it changed hands."""
    strategy: str = ""
    """How a holder is chosen; not read."""
    preferred_holder: str = ""
    """Who should have it next; not read."""


class Lease(Resource, frozen=True, kw_only=True):
    """Something only one holds at a time."""

    SERVED: ClassVar = Served("leases", columns=(column("Holder", ".spec.holderIdentity"), AGE), builtin=True)
    api_version: Literal["coordination.k8s.io/v1"]
    """API group and version."""
    kind: Literal["Lease"]
    """Kind."""
    spec: LeaseSpec = LeaseSpec()
    """Who holds it."""
