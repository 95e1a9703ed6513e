"""The form of `control-plane/authentication.yaml` in a state directory: who, besides the mesh itself, proves callers of
the resource API.

Owns the fields. Nothing in it can make a name that only the control plane gives: what an issuer says is prefixed, and
refused where a name of the mesh's own would come of it.

*Source:* RFC 7519 (JWT), RFC 7517 (JWKS), RFC 8725 section 3.1; Kubernetes "Authenticating", structured authentication
configuration.
"""

from typing import Annotated

import msgspec

from heddle.model.config_base import Duration, Identity, Part
from heddle.model.config_security import Algorithm, Audiences, ClaimName, Jwks


class ApiIssuer(Part, frozen=True, kw_only=True):
    """An issuer of JSON Web Tokens, such as an OpenID provider."""

    issuer: Identity
    """Exact value of `iss`."""
    audiences: Audiences
    """Accepted values of `aud`, compared exactly. Required: a token made for another service must not open this
    one."""
    jwks: Jwks
    """Where its verification keys come from."""
    algorithms: Annotated[tuple[Algorithm, ...], msgspec.Meta(min_length=1)] = ("RS256", "ES256")
    """Accepted signature algorithms."""
    user_claim: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "sub"
    """Claim that names the user; a dotted name descends into objects."""
    user_prefix: Annotated[str, msgspec.Meta(max_length=64)] = "oidc:"
    """Put before the user's name, so that two issuers cannot name the same user. Empty puts nothing; names that begin
    with `system:` are refused then."""
    groups_claim: ClaimName = ""
    """Claim that lists the user's groups, or names one. Empty reads none."""
    groups_prefix: Annotated[str, msgspec.Meta(max_length=64)] = "oidc:"
    """Put before each group's name. Empty puts nothing; `system:*` and `heddle:admins`, `heddle:editors`,
    `heddle:viewers` are refused then."""
    leeway: Duration = "30s"
    """How far clocks may differ when `exp` and `nbf` are compared."""


class ApiAuthentication(Part, frozen=True, kw_only=True):
    """Who may prove callers of the resource API, beside certificates and tokens of its own authority."""

    issuers: tuple[ApiIssuer, ...] = ()
    """Whose tokens are accepted. Each `iss` once."""
