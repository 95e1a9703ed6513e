"""Do the credentials of tool servers make sense? Who gets a secret, whether it goes over TLS, whether it is one.

Owns the checks of `mcp.targets[].auth` and `mcp.credentials` that need nothing but the configuration itself.
*Source:* RFC 6749 sections 3.1, 3.2 and 10.8 (TLS); RFC 8414 section 2 (issuers have no query); MCP 2026-07-28,
"Authorization"; draft-ietf-oauth-client-id-metadata-document section 2 (https only).
"""

from collections.abc import Iterator

from heddle.model.config_mcp_auth import (
    Basic,
    Bearer,
    ClientCredentials,
    Credentials,
    Header,
    IdJag,
    OAuthClient,
    OAuthCode,
    Reach,
    TargetAuth,
    TokenExchange,
    UserSecret,
)
from heddle.model.formats import is_loopback, split_url
from heddle.model.problem import Place, Report

_FRAMING = frozenset(
    {
        "accept", "connection", "content-length", "content-type", "expect", "host", "keep-alive", "last-event-id",
        "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Fields that mean something else."""
_Asking = OAuthCode | ClientCredentials | TokenExchange | IdJag


def check_target_auth(auth: TargetAuth | None, place: Place, credentials: Credentials | None, report: Report) -> None:
    """The credential of one target, declared at `place`."""
    if auth is None:
        return
    _check_plain(auth, place, report)
    if isinstance(auth, OAuthCode | UserSecret) and (credentials is None or not credentials.public_url):
        message = "callers connect by themselves, and there is no page for that: their calls will be refused"
        report.warning(place, message, "set `mcp.credentials.public_url`")
    if isinstance(auth, _Asking):
        for client, here in _clients(auth, place):
            _check_client(client, here, report)
        _check_asking(auth, place, report)
        _check_reach(auth.reach, place.at("reach"), report)


def check_credentials(credentials: Credentials, place: Place, report: Report) -> None:
    """What all targets share."""
    url = split_url(credentials.public_url)
    if not credentials.public_url:
        return
    if url.scheme != "https" and not is_loopback(url.hostname or ""):
        report.error(place.at("public_url"), "must be https (http only on loopback): codes and keys go there")
    if credentials.proof == "none" and not is_loopback(url.hostname or ""):
        message = "whoever is sent a link by another caller can connect their account to that caller"
        report.warning(place.at("proof"), message, "leave it at `key`")


def _check_plain(auth: TargetAuth, place: Place, report: Report) -> None:
    if isinstance(auth, Header | UserSecret) and (
        auth.header.lower() in _FRAMING or auth.header.lower().startswith("mcp-")
    ):
        report.error(place.at("header"), "means something else; a credential cannot be sent in it")
    for value, name in _secrets(auth):
        given = getattr(auth, value), getattr(auth, name)
        if all(given) or not any(given):
            report.error(place, f"give exactly one of `{value}` and `{name}`")


def _secrets(auth: TargetAuth) -> Iterator[tuple[str, str]]:
    if isinstance(auth, Bearer):
        yield "token", "token_name"
    elif isinstance(auth, Header):
        yield "key", "key_name"
    elif isinstance(auth, Basic):
        yield "password", "password_name"


def _clients(auth: _Asking, place: Place) -> Iterator[tuple[OAuthClient, Place]]:
    if isinstance(auth, IdJag):
        yield auth.identity_provider, place.at("identity_provider")
    yield auth.client, place.at("client")


def _check_asking(auth: _Asking, place: Place, report: Report) -> None:
    """Grants without a person: somebody must be asked whom the configuration knows."""
    if isinstance(auth, OAuthCode):
        if not auth.client.client_id and not auth.registration:
            report.error(place.at("registration"), "without any way to register, `client.client_id` is needed")
        return
    for client, here in _clients(auth, place):
        if not client.client_id:
            report.error(here.at("client_id"), "is required: this grant cannot register by itself")
        if not client.issuer and not client.token_endpoint:
            report.error(here.at("issuer"), "is required (or `token_endpoint`): a target must not choose it")
    if isinstance(auth, IdJag) and auth.client.token_endpoint and not auth.client.issuer:
        message = "is required: the identity provider makes the assertion for it"
        report.error(place.at("client", "issuer"), message)


def _check_client(client: OAuthClient, place: Place, report: Report) -> None:
    secret = bool(client.client_secret or client.client_secret_name)
    if client.client_secret and client.client_secret_name:
        report.error(place, "give one of `client_secret` and `client_secret_name`")
    if (secret or client.private_key) and not client.client_id:
        report.error(place.at("client_id"), "is required: the secret is somebody's")
    if (secret or client.private_key) and not client.issuer and not client.token_endpoint:
        report.error(
            place.at("issuer"), "is required (or `token_endpoint`): a target must not choose who gets a secret"
        )
    if client.method == "private_key_jwt" and not client.private_key:
        report.error(place.at("method"), "needs `private_key`")
    if client.method.startswith("client_secret") and not secret:
        report.error(place.at("method"), "needs `client_secret`")
    for field in ("issuer", "token_endpoint"):
        _check_url(getattr(client, field), place.at(field), report)


def _check_url(text: str, place: Place, report: Report) -> None:
    if not text or report.is_broken(place):
        return
    try:
        url = split_url(text)
        host, _ = url.hostname or "", url.port
    except ValueError:
        report.error(place, "is no URL")
        return
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(host)):
        report.error(place, "must be https (http only on loopback): secrets are sent there")
    elif not host or url.username is not None or url.fragment:
        report.error(place, "must have a host, and neither credentials nor a fragment")


def _check_reach(reach: Reach, place: Place, report: Report) -> None:
    for index, network in enumerate(reach.private_networks):
        if network.endswith("/0"):
            message = "lets URLs that others choose lead anywhere"
            report.error(place.at("private_networks", index), message, "name the network of the authorization server")
