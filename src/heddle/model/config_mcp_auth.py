"""The short form's `mcp.targets[].auth` and `mcp.credentials`: what tool servers are called with.

There is no way to pass the caller's own token on: the MCP specification forbids it, and whoever runs a tool server
could call everything else with it. `token_exchange` and `id_jag` get one that is good for the target alone.

*Source:* MCP 2026-07-28, "Authorization"; RFC 6749, 7523, 7591, 7636, 8414, 8693, 8707, 9207, 9728;
draft-ietf-oauth-client-id-metadata-document; draft-ietf-oauth-identity-assertion-authz-grant.
"""

from typing import Annotated, Literal

import msgspec

from heddle.model.config_base import Duration, File, Identity, Network, Part, Period, Secret, SecretName, Url

Scope = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[!#-\[\]-~]+$")]
HeaderName = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
ClientMethod = Literal["auto", "none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
Printable = Annotated[str, msgspec.Meta(max_length=1024, pattern=r"^[ -~]*$")]


class OAuthTimeouts(Part, frozen=True, kw_only=True):
    """Deadlines of one question to an authorization server. `0s` turns one off."""

    connect: Duration = "5s"
    """Until the connection, with TLS, stands."""
    first_byte: Duration = "10s"
    """Until the first byte of an answer."""
    idle: Duration = "10s"
    """Longest silence inside an answer."""
    total: Duration = "15s"
    """The whole of it."""


class OAuthClient(Part, frozen=True, kw_only=True):
    """The gateway as a client of an authorization server."""

    issuer: Identity = ""
    """Exact issuer of the authorization server. Unset is found out from the target (only for `oauth_code` and
    `client_credentials`)."""
    token_endpoint: Url = ""
    """Token endpoint of a server that publishes no metadata. Unset is read from the issuer's metadata."""
    client_id: Printable = ""
    """Id under which the gateway is registered there. Unset registers: by the gateway's metadata document where the
    server takes one, else dynamically (RFC 7591)."""
    client_secret: Secret = ""
    """Its secret: `${ENV}`, `file:path`, or a literal (warned about)."""
    client_secret_name: SecretName = ""
    """Name of a secret to read it from instead, as `api_key_secret` of a provider."""
    private_key: Secret = ""
    """PEM of a private key, for `private_key_jwt` (RFC 7523): better than a secret, as it is never sent. Usually
    `file:key.pem`."""
    key_id: Printable = ""
    """`kid` in the assertions. Unset is none."""
    algorithm: Algorithm = "ES256"
    """Algorithm of the assertions; must fit the key."""
    method: ClientMethod = "auto"
    """How the client proves itself. `auto`: the private key if there is one, else the secret as the server says it
    wants it, else not at all."""


class Reach(Part, frozen=True, kw_only=True):
    """What may be asked on the way to a credential. URLs that a target or an authorization server names are somebody
    else's choice, so they must be https and public."""

    private_networks: tuple[Network, ...] = ()
    """Networks that such URLs may lead to although they are private (and, for loopback addresses, by http too)."""
    ca_file: File = ""
    """PEM bundle to trust instead of the system's. Relative to the configuration file."""
    timeouts: OAuthTimeouts = OAuthTimeouts()
    """Deadlines of each question."""


class Bearer(Part, frozen=True, kw_only=True, tag_field="type", tag="bearer"):
    """One token for all callers, as `Authorization: Bearer`."""

    token: Secret = ""
    """The token: `${ENV}`, `file:path`, or a literal (warned about)."""
    token_name: SecretName = ""
    """Name of a secret to read it from instead."""


class Header(Part, frozen=True, kw_only=True, tag_field="type", tag="header"):
    """One key for all callers, in a field of its own."""

    header: HeaderName
    """Name of the field, e.g. `x-api-key`."""
    prefix: Printable = ""
    """Text before the key, with any space."""
    key: Secret = ""
    """The key: `${ENV}`, `file:path`, or a literal (warned about)."""
    key_name: SecretName = ""
    """Name of a secret to read it from instead."""


class Basic(Part, frozen=True, kw_only=True, tag_field="type", tag="basic"):
    """One name and password for all callers (RFC 7617)."""

    username: Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^:\x00-\x1f\x7f]+$")]
    """The name; it has no colon."""
    password: Secret = ""
    """The password: `${ENV}`, `file:path`, or a literal (warned about)."""
    password_name: SecretName = ""
    """Name of a secret to read it from instead."""


class UserSecret(Part, frozen=True, kw_only=True, tag_field="type", tag="user_secret"):
    """A key of each caller's own, which they leave on the consent page."""

    header: HeaderName = "authorization"
    """Field that it is sent in."""
    prefix: Printable = "Bearer "
    """Text before it, with any space."""
    description: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    """Shown on the page: which key is meant, and where to get one."""
    ttl: Duration = "0s"
    """How long a key is kept. `0s` keeps it until it is taken back."""


class OAuthCode(Part, frozen=True, kw_only=True, tag_field="type", tag="oauth_code"):
    """A token of each caller's own: they are sent to the authorization server, and consent there."""

    client: OAuthClient = OAuthClient()
    """The gateway at the authorization server."""
    scopes: tuple[Scope, ...] = ()
    """Scopes to ask for. Empty asks for those that the target names."""
    resource: Identity = ""
    """Value of `resource` (RFC 8707). Unset is the URI of the target."""
    send_resource: bool = True
    """Send `resource`. Entra refuses it."""
    shared: bool = False
    """One connection for all callers, whoever makes it. For services with one account, and for machines with one
    user."""
    registration: tuple[Literal["cimd", "dcr"], ...] = ("cimd", "dcr")
    """How to register where no `client_id` is set: by metadata document (`cimd`), dynamically (`dcr`)."""
    reach: Reach = Reach()
    """What may be asked."""


class ClientCredentials(Part, frozen=True, kw_only=True, tag_field="type", tag="client_credentials"):
    """A token of the gateway's own, the same for all callers (RFC 6749 section 4.4)."""

    client: OAuthClient
    """The gateway at the authorization server; needs `client_id` and a credential."""
    scopes: tuple[Scope, ...] = ()
    """Scopes to ask for."""
    resource: Identity = ""
    """Value of `resource`. Unset is the URI of the target."""
    send_resource: bool = True
    """Send `resource`."""
    audience: Identity = ""
    """Value of `audience`, where a server wants one. Unset is not sent."""
    reach: Reach = Reach()
    """What may be asked."""


class TokenExchange(Part, frozen=True, kw_only=True, tag_field="type", tag="token_exchange"):
    """The caller's token, exchanged for one that is good for the target alone. Callers must come with a JWT."""

    client: OAuthClient
    """The gateway at the server that exchanges; its issuer or token endpoint is required."""
    style: Literal["rfc8693", "entra"] = "rfc8693"
    """`entra` asks as Microsoft Entra wants it (on-behalf-of)."""
    subject_token_type: Identity = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type
    """What the caller's token is."""
    requested_token_type: Identity = ""
    """What is wanted. Unset leaves it to the server."""
    audience: Identity = ""
    """Value of `audience`. Unset is not sent."""
    scopes: tuple[Scope, ...] = ()
    """Scopes to ask for."""
    resource: Identity = ""
    """Value of `resource`. Unset is the URI of the target."""
    send_resource: bool = True
    """Send `resource`."""
    reach: Reach = Reach()
    """What may be asked."""


class IdJag(Part, frozen=True, kw_only=True, tag_field="type", tag="id_jag"):
    """The caller's identity, asserted by their company's identity provider to the target's authorization server
    (Enterprise-Managed Authorization). Callers must come with a JWT of that provider."""

    identity_provider: OAuthClient
    """The gateway at the identity provider; its issuer or token endpoint is required."""
    client: OAuthClient
    """The gateway at the target's authorization server; its issuer is required: a target must not choose who gets the
    assertion."""
    subject_token_type: Identity = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a type
    """What the caller's token is."""
    scopes: tuple[Scope, ...] = ()
    """Scopes to ask for."""
    resource: Identity = ""
    """The target's resource identifier. Unset is its URI."""
    send_resource: bool = True
    """Send `resource`."""
    reach: Reach = Reach()
    """What may be asked."""


TargetAuth = Bearer | Header | Basic | UserSecret | OAuthCode | ClientCredentials | TokenExchange | IdJag
"""What a target is called with; none of them: nothing."""


class Credentials(Part, frozen=True, kw_only=True):
    """Credentials of callers: the page where they connect, and the vault."""

    public_url: Url = ""
    """Base URL at which people's browsers reach the MCP listener, e.g. `https://mcp.example.com`. Unset offers no
    consent page: calls that need a caller's own credential are then refused."""
    client_name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "Heddle"
    """How authorization servers show this gateway to people."""
    vault_keys: tuple[Secret, ...] = ()
    """Secrets of at least 32 characters that stored credentials are encrypted with: the first encrypts, all decrypt.
    Empty makes a key in the state directory, which is then this machine's alone."""
    proof: Literal["key", "none"] = "key"
    """What a person shows on the page before anything is connected: the key or token that the caller uses here. Else
    whoever is sent such a link by somebody would connect *their* account to the sender. `none` is for gateways where
    nobody can send links to others."""
    keep: Period = "365d"
    """How long a credential is kept that was neither renewed nor replaced."""
