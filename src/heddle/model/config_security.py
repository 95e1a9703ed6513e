"""The short form's `security`: who may call, and how callers prove who they are.

*Source:* RFC 7519 (JWT), RFC 7517 (JWKS), RFC 8725 section 3.1 (algorithms are listed, never taken from the token);
Kubernetes authentication.k8s.io/v1 TokenReview.
"""

from typing import Annotated, Any, Literal

import msgspec

from heddle.model.config_base import (
    Duration,
    File,
    FilePath,
    Identity,
    Part,
    Pattern,
    Period,
    Secret,
    Segment,
    Sha256,
    Timestamp,
    Url,
)

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Asymmetric only: with a shared secret, everybody who can verify a token can forge one."""
ClaimName = Annotated[str, msgspec.Meta(max_length=256)]
Audiences = Annotated[tuple[Identity, ...], msgspec.Meta(min_length=1)]


class Key(Part, frozen=True, kw_only=True):
    """An API key, and who calls with it. Only its digest is kept."""

    key: Secret = ""
    """The key: `${ENV}`, `file:path`, or a literal (warned about). Give this or `key_sha256`."""
    key_sha256: Sha256 = ""
    """SHA-256 of the key (`printf %s KEY | sha256sum`), so that the configuration need not hold the key itself."""
    user: Identity = ""
    """Who calls; unset is no user."""
    tenant: Segment = ""
    """Tenant (namespace) of the caller; unset is none."""
    agent: Segment = ""
    """Agent (workload) that calls; unset is none."""
    models: tuple[Pattern, ...] | None = None
    """Models this key may name. Unset sets no bound; `[]` allows none."""
    expires: Timestamp = ""
    """Time from which the key is refused, e.g. `2027-01-31T00:00:00Z`; a date means its first moment in UTC. Unset
    never expires."""
    metadata: Annotated[dict[str, Any], msgspec.Meta(extra={"secret": True})] = msgspec.field(default_factory=dict)
    """Anything; policies read it as `principal.claims`."""


class ApiKey(Part, frozen=True, kw_only=True, tag_field="type", tag="api_key"):
    """Keys, sent as `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`."""

    keys: tuple[Key, ...] = ()
    """Keys that the configuration knows. May be empty where virtual ones are accepted."""
    virtual: bool | None = None
    """Accept virtual keys too: those that are made, limited, rotated and revoked while the mesh runs, by `heddle keys`
    and the admin API. Unset accepts them; `true` also says that rules may be for callers of such keys only, and need
    not match a configured one."""


class Jwks(Part, frozen=True, kw_only=True):
    """Where an issuer's verification keys come from: exactly one of `file`, `url` and `inline`."""

    file: File = ""
    """File with a JWK set. Relative to the configuration file."""
    url: Url = ""
    """URL of a JWK set; https, or http on loopback: whoever can change it on the way can forge every token."""
    inline: str | dict[str, Any] = ""
    """The JWK set itself, as a mapping or as JSON text."""
    refresh: Period = "5m"
    """How often file or URL is read again. An unknown key id makes it read earlier."""


class Claims(Part, frozen=True, kw_only=True):
    """Which claim says what; a dotted name descends into objects. An empty one reads nothing."""

    user: ClaimName = "sub"
    """Claim naming the user."""
    tenant: ClaimName = ""
    """Claim naming the tenant; empty is no tenant."""
    agent: ClaimName = ""
    """Claim naming the agent; empty is no agent."""


class Issuer(Part, frozen=True, kw_only=True):
    """A token issuer."""

    issuer: Identity
    """Exact value of `iss`."""
    audiences: Audiences
    """Accepted values of `aud`, compared exactly. Required: a token made for another service must not open this
    one."""
    jwks: Jwks
    """Where its verification keys come from."""
    algorithms: Annotated[tuple[Algorithm, ...], msgspec.Meta(min_length=1)] = ("RS256", "ES256")
    """Accepted signature algorithms."""
    claims: Claims = Claims()
    """Which claims name user, tenant and agent."""
    leeway: Duration = "30s"
    """How far clocks may differ when `exp` and `nbf` are compared."""


class Jwt(Part, frozen=True, kw_only=True, tag_field="type", tag="jwt"):
    """Bearer JWTs."""

    issuers: Annotated[tuple[Issuer, ...], msgspec.Meta(min_length=1)]
    """Whose tokens are accepted."""


class Kubernetes(Part, frozen=True, kw_only=True, tag_field="type", tag="kubernetes"):
    """Service-account tokens: asked of the API server (TokenReview), or verified locally when `issuer` and `jwks`
    are given."""

    service_account_validation: bool = True
    """Tokens are always validated; `false` is refused."""
    allowed_namespaces: tuple[Pattern, ...] | None = None
    """Namespaces whose accounts may call. Unset is every namespace; `[]` is none."""
    audiences: tuple[Identity, ...] = ()
    """Accepted audiences. Unset is the API server's own; required for local verification."""
    issuer: Identity = ""
    """Exact `iss` of the cluster's tokens; set it, with `jwks`, to verify outside of a cluster."""
    jwks: Jwks | None = None
    """The cluster's verification keys, as its `/openid/v1/jwks` serves them."""
    algorithms: Annotated[tuple[Algorithm, ...], msgspec.Meta(min_length=1)] = ("RS256", "ES256")
    """Accepted signature algorithms of local verification."""
    leeway: Duration = "30s"
    """How far clocks may differ in local verification."""
    api_server: Url = ""
    """Base URL of the API server for TokenReview. Unset reads the in-cluster environment."""
    token_file: FilePath = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path
    """Credential of this gateway at the API server. It is rotated by the cluster and read anew."""
    ca_file: FilePath = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
    """PEM bundle that the API server's certificate must chain to."""


class Nobody(Part, frozen=True, kw_only=True, tag_field="type", tag="none"):
    """No authentication: everybody is anonymous. Loopback listeners only. Beside other entries, callers without a
    credential are anonymous."""


Authentication = ApiKey | Jwt | Kubernetes | Nobody


class Security(Part, frozen=True, kw_only=True):
    """Who may call."""

    authentication: Authentication | tuple[Authentication, ...] = ()
    """One way to authenticate, or a list of ways that are tried in order. Required where a listener is served."""
