"""From what the configuration says of a target's credential to what gives it out."""

from collections.abc import Iterable

from heddle.identity.oauth.asking import Asker
from heddle.identity.oauth.discovery import Discovery
from heddle.identity.oauth.machine import ClientCredentials, IdentityAssertion, TokenExchange
from heddle.identity.oauth.registering import check_public_url
from heddle.identity.oauth.setting import Setting, Shared, TargetCredentials
from heddle.identity.oauth.static import StaticCredentials
from heddle.identity.oauth.user import UserSecrets, UserTokens
from heddle.model.snapshot_mcp_auth import (
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    HeaderAuth,
    IdJagAuth,
    NoTargetAuth,
    OAuthClientSpec,
    OAuthCodeAuth,
    ReachSpec,
    TargetAuthSpec,
    TokenExchangeAuth,
    UserSecretAuth,
)
from heddle.net.address import is_loopback
from heddle.net.client import Client
from heddle.net.screening import Resolve, resolve

_Static = NoTargetAuth | BearerAuth | HeaderAuth | BasicAuth
_Asking = OAuthCodeAuth | ClientCredentialsAuth | TokenExchangeAuth | IdJagAuth


def build_credentials(
    target: str, url: str, spec: TargetAuthSpec, shared: Shared, client: Client, resolver: Resolve = resolve
) -> tuple[TargetCredentials, Asker]:
    """What calls to `target` at `url` are authorized with; close the second when its snapshot is gone.

    ValueError when the configuration does not fit together.
    """
    reach = spec.reach if isinstance(spec, _Asking) else ReachSpec()
    clients = [one for one in _clients(spec) if one.issuer or one.token_endpoint]
    _check(clients)
    asker = Asker(client, reach, [url, *_urls(clients)], resolver)
    if isinstance(spec, _Static):
        return StaticCredentials(target, spec), asker
    if shared.site.public_url:
        check_public_url(shared.site.public_url)
    setting = Setting(target, url, asker, Discovery(asker, url, shared.clock.monotonic), shared)
    return _build(setting, spec), asker


def _build(setting: Setting, spec: TargetAuthSpec) -> TargetCredentials:
    if isinstance(spec, UserSecretAuth):
        return UserSecrets(setting, spec)
    if isinstance(spec, OAuthCodeAuth):
        return UserTokens(setting, spec)
    if isinstance(spec, ClientCredentialsAuth):
        return ClientCredentials(setting, spec)
    if isinstance(spec, TokenExchangeAuth):
        return TokenExchange(setting, spec)
    assert isinstance(spec, IdJagAuth)
    return IdentityAssertion(setting, spec)


def _clients(spec: TargetAuthSpec) -> Iterable[OAuthClientSpec]:
    if isinstance(spec, IdJagAuth):
        return spec.identity_provider, spec.client
    if isinstance(spec, (OAuthCodeAuth, ClientCredentialsAuth, TokenExchangeAuth)):
        return (spec.client,)
    return ()


def _urls(clients: Iterable[OAuthClientSpec]) -> list[str]:
    return [url for one in clients for url in (one.issuer, one.token_endpoint) if url]


def _check(clients: Iterable[OAuthClientSpec]) -> None:
    """Secrets are sent there: https, or this machine."""
    for url in _urls(clients):
        scheme, _, rest = url.partition("://")
        host = rest.partition("/")[0].rpartition("@")[2]
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if scheme != "https" and not (scheme == "http" and is_loopback(name)):
            raise ValueError("an issuer or token endpoint must be https (http only on loopback addresses)")
