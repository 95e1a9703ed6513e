"""MCP of the snapshot: the credential that a target (a tool server) is called with, and where it comes from.

None of these can say "the caller's own": a caller's token is never passed on. It is at most exchanged for another.
"""

from typing import Literal

import msgspec

from heddle.model.config_base import Secret
from heddle.model.redact import hidden_repr
from heddle.model.snapshot_timeouts import TimeoutSpec

ClientMethod = Literal["auto", "none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
"""How the gateway proves itself at a token endpoint; `auto` takes what fits the credential there is."""
OAUTH_TIMEOUTS = TimeoutSpec(connect_s=5.0, first_byte_s=10.0, idle_s=10.0, total_s=15.0)


class OAuthClientSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway as a client of one authorization server."""

    issuer: str = ""
    """Exact issuer; empty is found out from the target."""
    token_endpoint: str = ""
    """For servers without metadata; empty is found out from the issuer."""
    client_id: str = ""
    """Empty registers: by its metadata document, else dynamically."""
    client_secret: Secret = ""
    private_key: Secret = ""
    """PEM of the key that assertions are signed with."""
    key_id: str = ""
    """`kid` of the assertions; empty is none."""
    algorithm: str = "ES256"
    """Of the assertions."""
    method: ClientMethod = "auto"

    def __repr__(self) -> str:
        return hidden_repr(self)


class ReachSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked while credentials are had."""

    private_networks: tuple[str, ...] = ()
    """Networks (CIDR) that discovered URLs may lead to although they are not public."""
    ca_file: str = ""
    """PEM bundle to trust instead of the system's."""
    timeouts: TimeoutSpec = OAUTH_TIMEOUTS


class NoTargetAuth(msgspec.Struct, frozen=True, kw_only=True, tag="none"):
    """Called without a credential."""


class BearerAuth(msgspec.Struct, frozen=True, kw_only=True, tag="bearer"):
    """One token for all callers."""

    credential: Secret = ""
    credential_error: str = ""
    """Why the configured secret could not be resolved (names it, never its value); calls are then refused."""

    def __repr__(self) -> str:
        return hidden_repr(self)


class HeaderAuth(msgspec.Struct, frozen=True, kw_only=True, tag="header"):
    """One key for all callers, in a field of its own."""

    header: str
    """Lower case."""
    prefix: str = ""
    """Stands before the key, with any space."""
    credential: Secret = ""
    credential_error: str = ""

    def __repr__(self) -> str:
        return hidden_repr(self)


class BasicAuth(msgspec.Struct, frozen=True, kw_only=True, tag="basic"):
    """One name and password for all callers."""

    username: str
    credential: Secret = ""
    credential_error: str = ""

    def __repr__(self) -> str:
        return hidden_repr(self)


class UserSecretAuth(msgspec.Struct, frozen=True, kw_only=True, tag="user_secret"):
    """A key of each caller's own, which they leave on the consent page."""

    header: str = "authorization"
    prefix: str = "Bearer "
    description: str = ""
    """Shown on the page: which key, and where to get it."""
    ttl_s: float = 0.0
    """How long a key is kept; 0 until it is taken back."""


class OAuthCodeAuth(msgspec.Struct, frozen=True, kw_only=True, tag="oauth_code"):
    """A token of each caller's own, by their consent (authorization code with PKCE)."""

    client: OAuthClientSpec = OAuthClientSpec()
    scopes: tuple[str, ...] = ()
    """Empty asks for what the target says it needs."""
    resource: str = ""
    """Empty is the target's own URI."""
    send_resource: bool = True
    """Some servers refuse the parameter (Entra: AADSTS9010010)."""
    shared: bool = False
    """One connection for all callers, whoever makes it."""
    registration: tuple[Literal["cimd", "dcr"], ...] = ("cimd", "dcr")
    """Ways to register where there is no `client_id`, in this order."""
    reach: ReachSpec = ReachSpec()
    credential_error: str = ""


class ClientCredentialsAuth(msgspec.Struct, frozen=True, kw_only=True, tag="client_credentials"):
    """A token of the gateway's own."""

    client: OAuthClientSpec
    scopes: tuple[str, ...] = ()
    resource: str = ""
    send_resource: bool = True
    audience: str = ""
    """Sent too where servers want it (Auth0); empty is not sent."""
    reach: ReachSpec = ReachSpec()
    credential_error: str = ""


class TokenExchangeAuth(msgspec.Struct, frozen=True, kw_only=True, tag="token_exchange"):
    """The caller's token, exchanged for one that is for the target (RFC 8693, or Entra's on-behalf-of)."""

    client: OAuthClientSpec
    style: Literal["rfc8693", "entra"] = "rfc8693"
    subject_token_type: str = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
    requested_token_type: str = ""
    """Empty leaves it to the server."""
    audience: str = ""
    scopes: tuple[str, ...] = ()
    resource: str = ""
    send_resource: bool = True
    reach: ReachSpec = ReachSpec()
    credential_error: str = ""


class IdJagAuth(msgspec.Struct, frozen=True, kw_only=True, tag="id_jag"):
    """The caller's identity, asserted by their company (Enterprise-Managed Authorization): an exchange at the identity
    provider, then a grant at the target's authorization server."""

    identity_provider: OAuthClientSpec
    client: OAuthClientSpec
    """At the target's authorization server; its issuer is configured, never discovered."""
    subject_token_type: str = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - the name of a type
    scopes: tuple[str, ...] = ()
    resource: str = ""
    send_resource: bool = True
    reach: ReachSpec = ReachSpec()
    credential_error: str = ""


TargetAuthSpec = (
    NoTargetAuth
    | BearerAuth
    | HeaderAuth
    | BasicAuth
    | UserSecretAuth
    | OAuthCodeAuth
    | ClientCredentialsAuth
    | TokenExchangeAuth
    | IdJagAuth
)


class CredentialsSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What all targets with credentials of callers share."""

    public_url: str = ""
    """Base URL at which browsers reach the MCP listener; empty offers no consent page."""
    client_name: str = "Heddle"
    """How authorization servers show this gateway to people."""
    vault_keys: tuple[Secret, ...] = ()
    """Secrets that stored credentials are encrypted with, the first for new ones; empty makes one in the state
    directory."""
    proof: Literal["key", "none"] = "key"
    """What a person shows on the consent page to be known as the caller who was sent there."""
    keep_s: float = 365 * 86_400.0
    """How long a credential is kept that was neither renewed nor replaced."""

    def __repr__(self) -> str:
        return hidden_repr(self)
