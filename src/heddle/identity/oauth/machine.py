"""Tokens that no person has to do anything for: the gateway's own, and those a caller's token is exchanged for.

Owns the three grants. A token that was exchanged is kept for exactly the caller's token it was made of. A caller's key
of this gateway is no token: it is never sent anywhere.

*Source:* RFC 6749 section 4.4; RFC 8693 section 2.1; RFC 7523 section 2.1; MCP extension "Enterprise-Managed
Authorization"; draft-ietf-oauth-identity-assertion-authz-grant sections 4.3 and 4.4; Microsoft identity platform,
"On-Behalf-Of flow".
"""

from abc import ABC, abstractmethod
from hashlib import sha256
from typing import Any

from heddle.drivers.vault import SHARED
from heddle.identity.oauth.challenge import read_challenge
from heddle.identity.oauth.client import Client, Form, configured_client
from heddle.identity.oauth.errors import CredentialUnavailable, OAuthError
from heddle.identity.oauth.granting import Granted, Granter
from heddle.identity.oauth.grants import Grants
from heddle.identity.oauth.owner import owner_of
from heddle.identity.oauth.setting import Setting
from heddle.identity.oauth.stepping import Steps, union
from heddle.identity.shape import peek
from heddle.model.principal import Principal
from heddle.model.snapshot_mcp_auth import ClientCredentialsAuth, IdJagAuth, OAuthClientSpec, TokenExchangeAuth
from heddle.net.message import Headers

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
_ID_JAG_TYPE = "oauth-id-jag+jwt"


class MachineCredentials(ABC):
    """What the three grants have in common. Each says whose its tokens are, and how they are asked for."""

    def __init__(self, setting: Setting, error: str) -> None:
        """`error` is why the configured secret could not be had."""
        self._setting = setting
        self._error = error
        self._grants = Grants(setting.now)
        self._steps = Steps(setting.monotonic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._setting.name!r})"

    async def headers(self, principal: Principal, caller_token: bytes) -> Headers:
        """See `TargetCredentials`."""
        if self._error:
            raise self._unavailable(self._error)
        owner, subject = self._owner(principal), self._subject(principal, caller_token)
        try:
            granted = await self._grants.get((owner, sha256(subject).digest()), lambda: self._ask(owner, subject))
        except OAuthError as exc:
            raise self._unavailable(exc.detail) from exc
        return [(b"authorization", b"Bearer " + granted.token.encode("ascii"))]

    async def refused(self, principal: Principal, status: int, www_authenticate: str) -> bool:
        """See `TargetCredentials`."""
        owner, challenge = self._owner(principal), read_challenge(www_authenticate)
        if status == 403 and challenge is not None and challenge.error == "insufficient_scope":
            again = self._steps.step(owner, self._scopes, challenge.scopes)
        else:
            again = status == 401 and self._steps.renewal(owner)
            self._setting.discovery.forget()
        if again:
            self._grants.drop(owner)
        return again

    def _wanted(self, owner: str) -> str:
        return " ".join(union(self._scopes, self._steps.scopes(owner)))

    def _unavailable(self, detail: str) -> CredentialUnavailable:
        return CredentialUnavailable(f"The credential for `{self._setting.name}` cannot be had: {detail}.")

    _scopes: tuple[str, ...] = ()

    @abstractmethod
    def _owner(self, principal: Principal) -> str:
        """Whose the token is."""

    @abstractmethod
    def _subject(self, principal: Principal, caller_token: bytes) -> bytes:
        """What the token is made of; empty where it is made of nothing of the caller's."""

    @abstractmethod
    async def _ask(self, owner: str, subject: bytes) -> Granted:
        """A new token. Raises OAuthError."""

    def _subject_token(self, principal: Principal, caller_token: bytes) -> bytes:
        # A key of this gateway is a secret between it and its caller.
        if principal.method not in {"jwt", "kubernetes"} or peek(caller_token) is None:
            raise self._unavailable("it is exchanged for the caller's token, and the caller came without one")
        return caller_token

    async def _exchanged(self, spec: OAuthClientSpec, client: Client, form: Form, kind: str = "bearer") -> Granted:
        server = await self._setting.server(spec)
        granter = Granter(self._setting.asker, server, client, self._setting.now)
        return await granter.ask({name: value for name, value in form.items() if value}, kind=kind)

    def _resource(self, spec: Any) -> str:
        return self._setting.discovery.known_resource(spec.resource) if spec.send_resource else ""


class ClientCredentials(MachineCredentials):
    """The gateway's own token."""

    def __init__(self, setting: Setting, spec: ClientCredentialsAuth) -> None:
        """ValueError when the client is not usable."""
        super().__init__(setting, spec.credential_error)
        self._spec, self._scopes = spec, spec.scopes
        self._client = required_client(spec.client, "client", spec.credential_error)

    def _owner(self, principal: Principal) -> str:
        del principal
        return SHARED

    def _subject(self, principal: Principal, caller_token: bytes) -> bytes:
        del principal, caller_token
        return b""

    async def _ask(self, owner: str, subject: bytes) -> Granted:
        del subject
        spec = self._spec
        form = {
            "grant_type": "client_credentials",
            "scope": self._wanted(owner),
            "resource": self._resource(spec),
            "audience": spec.audience,
        }
        return await self._exchanged(spec.client, self._client, form)


class TokenExchange(MachineCredentials):
    """The caller's token, exchanged."""

    def __init__(self, setting: Setting, spec: TokenExchangeAuth) -> None:
        """ValueError when the client is not usable."""
        super().__init__(setting, spec.credential_error)
        self._spec, self._scopes = spec, spec.scopes
        self._client = required_client(spec.client, "client", spec.credential_error)

    def _owner(self, principal: Principal) -> str:
        return owner_of(principal)

    def _subject(self, principal: Principal, caller_token: bytes) -> bytes:
        return self._subject_token(principal, caller_token)

    async def _ask(self, owner: str, subject: bytes) -> Granted:
        form = self._entra(subject) if self._spec.style == "entra" else self._rfc8693(subject)
        form["scope"] = self._wanted(owner)
        granted = await self._exchanged(self._spec.client, self._client, form)
        if granted.token.encode("ascii") == subject:
            raise OAuthError("the authorization server gave the caller's own token back, which must not be passed on")
        return granted

    def _rfc8693(self, subject: bytes) -> Form:
        spec = self._spec
        return {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token": subject.decode("ascii"),
            "subject_token_type": spec.subject_token_type,
            "requested_token_type": spec.requested_token_type,
            "audience": spec.audience,
            "resource": self._resource(spec),
        }

    def _entra(self, subject: bytes) -> Form:
        return {
            "grant_type": JWT_BEARER,
            "assertion": subject.decode("ascii"),
            "requested_token_use": "on_behalf_of",
        }


class IdentityAssertion(MachineCredentials):
    """The caller's identity, asserted: an exchange at the identity provider, a grant at the target's server."""

    def __init__(self, setting: Setting, spec: IdJagAuth) -> None:
        """ValueError when one of the clients is not usable, or the server is left to the target."""
        super().__init__(setting, spec.credential_error)
        if not spec.client.issuer:
            raise ValueError("client: needs the issuer of the target's authorization server")
        self._spec, self._scopes = spec, spec.scopes
        self._provider = required_client(spec.identity_provider, "identity_provider", spec.credential_error)
        self._client = required_client(spec.client, "client", spec.credential_error)

    def _owner(self, principal: Principal) -> str:
        return owner_of(principal)

    def _subject(self, principal: Principal, caller_token: bytes) -> bytes:
        return self._subject_token(principal, caller_token)

    async def _ask(self, owner: str, subject: bytes) -> Granted:
        spec, resource = self._spec, self._setting.discovery.known_resource(self._spec.resource)
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "requested_token_type": ID_JAG,
            "audience": spec.client.issuer,
            "resource": resource,
            "scope": self._wanted(owner),
            "subject_token": subject.decode("ascii"),
            "subject_token_type": spec.subject_token_type,
        }
        asserted = await self._exchanged(spec.identity_provider, self._provider, form, "n_a")
        _check_assertion(asserted, spec.client.issuer)
        form = {
            "grant_type": JWT_BEARER,
            "assertion": asserted.token,
            "scope": self._wanted(owner),
            "resource": resource if spec.send_resource else "",
        }
        return await self._exchanged(spec.client, self._client, form)


def _check_assertion(asserted: Granted, issuer: str) -> None:
    """What the identity provider issued must be good at the one server only. Its signature is for that to check."""
    seen = peek(asserted.token.encode("ascii"))
    if asserted.issued_type != ID_JAG or seen is None or str(seen.header.get("typ")).lower() != _ID_JAG_TYPE:
        raise OAuthError("the identity provider issued something that is no identity assertion")
    audience = seen.claims.get("aud")
    if audience not in (issuer, [issuer]):
        raise OAuthError("the identity provider issued an assertion for another server")


def required_client(spec: OAuthClientSpec, field: str, error: str = "") -> Client:
    """A client that is registered already. ValueError."""
    if not (spec.issuer or spec.token_endpoint):
        raise ValueError(f"{field}: needs an issuer or a token endpoint")
    if error:
        return Client(client_id=spec.client_id)
    client = configured_client(spec)
    if client is None:
        raise ValueError(f"{field}: needs a client_id")
    return client
