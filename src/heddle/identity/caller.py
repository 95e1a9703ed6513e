"""One text for who is calling: what belongs to a caller is kept under it, and opened to nobody else.

Owns which parts of a principal make two calls the same caller's. A new credential of the same workload and user is the
same caller; where neither is known, the credential itself is all there is.
"""

from heddle.model.principal import Principal


def caller_id(principal: Principal) -> str:
    """The same for two calls exactly when they are the same caller's; empty for anonymous callers. Not secret."""
    workload, user = principal.workload, principal.user
    if not (workload or user):
        return f"\0\0{principal.tenant}\0{principal.agent}\0{principal.key_id}" if principal.key_id else ""
    return f"{workload}\0{user}\0{principal.tenant}\0{principal.agent}"
