"""Whose a credential is: one name for the pair of a person and what acts for them.

Owns that name. Consent is given by a person to one agent, through one client: another agent of theirs, or another
client, asks again (a gateway with one client id at a server would else lend one client's consent to all of them).

*Source:* MCP, "Security Best Practices", "Confused Deputy Problem" (consent per client); RFC 9068 section 2.2
(`client_id`); OpenID Connect Core 1.0 section 2 (`azp`).
"""

from hashlib import sha256

import msgspec

from heddle.model.principal import Principal


def owner_of(principal: Principal) -> str:
    """A digest that is the same for the same caller only; empty for a caller who is nobody."""
    if not (principal.user or principal.workload or principal.key_id):
        return ""
    claims = principal.claims if principal.method == "jwt" else {}
    named = principal.user or principal.workload
    said = [
        principal.user,
        principal.workload,
        principal.tenant,
        principal.agent,
        "" if named else principal.key_id,
        # A user is who their issuer says; two issuers may both know an alice.
        _text(claims.get("iss")),
        _text(claims.get("client_id")) or _text(claims.get("azp")),
    ]
    return sha256(msgspec.json.encode(said)).hexdigest()


def label_of(principal: Principal) -> str:
    """Who it is, for people."""
    name = principal.user or principal.agent or principal.workload or principal.key_id or "an anonymous caller"
    agent = f", agent {principal.agent}" if principal.agent and principal.agent != name else ""
    return f"{name}{agent}" + (f", tenant {principal.tenant}" if principal.tenant else "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
