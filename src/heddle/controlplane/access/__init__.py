"""Access to the resource API: who is asking, what they may do, and what is written down about it.

Owns the local certificate authority, authentication, RBAC and its escalation checks, access reviews and the audit of
writes. It answers no request: the API server asks it. Everything is refused that nothing allows, on loopback too.
"""

from heddle.controlplane.access.access import Access
from heddle.controlplane.access.caller import Attributes, Caller, Decision

__all__ = ["Access", "Attributes", "Caller", "Decision"]
