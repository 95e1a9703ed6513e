"""Credentials for tool servers, compiled: secrets resolved, durations in seconds, networks as they are.

Owns what is said of a secret that cannot be had: a warning, and calls to that target are refused, while all others are
served. What does not fit together is for `rules_mcp_auth`, and no error here.
"""

from heddle.controlplane.paths import absolute
from heddle.controlplane.secrets import SecretError, Secrets
from heddle.model.config_mcp_auth import (
    Basic,
    Bearer,
    ClientCredentials,
    Credentials,
    Header,
    IdJag,
    OAuthClient,
    OAuthCode,
    OAuthTimeouts,
    Reach,
    TargetAuth,
    TokenExchange,
    UserSecret,
)
from heddle.model.formats import duration_s
from heddle.model.plan import Placed
from heddle.model.problem import Place, Report
from heddle.model.snapshot import TimeoutSpec
from heddle.model.snapshot_mcp_auth import (
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    CredentialsSpec,
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

MIN_KEY_CHARS = 32
"""Of a secret that session tokens or stored credentials are sealed with."""


def compile_target_auth(
    auth: TargetAuth | None, place: Place, target: str, secrets: Secrets, report: Report
) -> TargetAuthSpec:
    """The credential of `target`, declared at `place`."""
    if auth is None:
        return NoTargetAuth()
    had = _Had(place, target, secrets, report)
    if isinstance(auth, (Bearer, Header, Basic, UserSecret)):
        return _plain(auth, had)
    if isinstance(auth, IdJag):
        return _id_jag(auth, had)
    return _oauth(auth, had)


def sealing_keys(texts: tuple[str, ...], place: Place, secrets: Secrets, report: Report) -> tuple[str, ...]:
    """Secrets that something is sealed with. One that cannot be had is an error, as what it sealed cannot be read."""
    keys: list[str] = []
    for index, text in enumerate(texts):
        try:
            key = secrets.resolve(text, place.source.folder)
        except SecretError as exc:
            report.error(place.at(index), str(exc))
            continue
        if len(key) < MIN_KEY_CHARS:
            hint = "openssl rand -base64 32 makes one"
            report.error(place.at(index), f"is shorter than {MIN_KEY_CHARS} characters", hint)
        keys.append(key)
    return tuple(keys)


def compile_credentials(placed: Placed[Credentials] | None, secrets: Secrets, report: Report) -> CredentialsSpec:
    """What all targets share. Keys of the vault that cannot be had are errors: what is stored could not be read."""
    if placed is None:
        return CredentialsSpec()
    said, place = placed
    keys = sealing_keys(said.vault_keys, place.at("vault_keys"), secrets, report)
    return CredentialsSpec(
        public_url=said.public_url.rstrip("/"),
        client_name=said.client_name,
        vault_keys=keys,
        proof=said.proof,
        keep_s=duration_s(said.keep),
    )


class _Had:
    """Secrets of one target, as far as they can be had."""

    def __init__(self, place: Place, target: str, secrets: Secrets, report: Report) -> None:
        self.folder = place.source.folder
        self._place = place
        self._target = target
        self._secrets = secrets
        self._report = report
        self.error = ""
        """Why the first that could not be had could not, in words for callers."""

    def secret(self, value: str, name: str, *path: str) -> str:
        """`value` is a reference or literal, `name` that of a secret; the last of `path` is the field of `value`."""
        try:
            if value:
                return self._secrets.resolve(value, self.folder)
            return self._secrets.named(name, self.folder) if name else ""
        except SecretError as exc:
            return self._missing(exc, path if value else (*path[:-1], f"{path[-1]}_name"))

    def document(self, value: str, *path: str) -> str:
        """A secret of several lines."""
        try:
            return self._secrets.document(value, self.folder) if value else ""
        except SecretError as exc:
            return self._missing(exc, path)

    def _missing(self, error: SecretError, path: tuple[str, ...]) -> str:
        self._report.warning(self._place.at(*path), f"{error}; calls to `{self._target}` will be refused")
        self.error = self.error or error.public
        return ""


def _plain(auth: Bearer | Header | Basic | UserSecret, had: _Had) -> TargetAuthSpec:
    if isinstance(auth, Bearer):
        token = had.secret(auth.token, auth.token_name, "token")
        return BearerAuth(credential=token, credential_error=had.error)
    if isinstance(auth, Basic):
        password = had.secret(auth.password, auth.password_name, "password")
        return BasicAuth(username=auth.username, credential=password, credential_error=had.error)
    if isinstance(auth, Header):
        key = had.secret(auth.key, auth.key_name, "key")
        header = auth.header.lower()
        return HeaderAuth(header=header, prefix=auth.prefix, credential=key, credential_error=had.error)
    return UserSecretAuth(
        header=auth.header.lower(), prefix=auth.prefix, description=auth.description, ttl_s=duration_s(auth.ttl)
    )


def _oauth(auth: OAuthCode | ClientCredentials | TokenExchange, had: _Had) -> TargetAuthSpec:
    client, reach = _client(auth.client, had, "client"), _reach(auth.reach, had.folder)
    if isinstance(auth, OAuthCode):
        return OAuthCodeAuth(
            client=client,
            scopes=auth.scopes,
            resource=auth.resource,
            send_resource=auth.send_resource,
            shared=auth.shared,
            registration=auth.registration,
            reach=reach,
            credential_error=had.error,
        )
    if isinstance(auth, ClientCredentials):
        return ClientCredentialsAuth(
            client=client,
            scopes=auth.scopes,
            resource=auth.resource,
            send_resource=auth.send_resource,
            audience=auth.audience,
            reach=reach,
            credential_error=had.error,
        )
    return TokenExchangeAuth(
        client=client,
        style=auth.style,
        subject_token_type=auth.subject_token_type,
        requested_token_type=auth.requested_token_type,
        audience=auth.audience,
        scopes=auth.scopes,
        resource=auth.resource,
        send_resource=auth.send_resource,
        reach=reach,
        credential_error=had.error,
    )


def _id_jag(auth: IdJag, had: _Had) -> IdJagAuth:
    return IdJagAuth(
        identity_provider=_client(auth.identity_provider, had, "identity_provider"),
        client=_client(auth.client, had, "client"),
        subject_token_type=auth.subject_token_type,
        scopes=auth.scopes,
        resource=auth.resource,
        send_resource=auth.send_resource,
        reach=_reach(auth.reach, had.folder),
        credential_error=had.error,
    )


def _client(client: OAuthClient, had: _Had, field: str) -> OAuthClientSpec:
    return OAuthClientSpec(
        issuer=client.issuer,
        token_endpoint=client.token_endpoint,
        client_id=client.client_id,
        client_secret=had.secret(client.client_secret, client.client_secret_name, field, "client_secret"),
        private_key=had.document(client.private_key, field, "private_key"),
        key_id=client.key_id,
        algorithm=client.algorithm,
        method=client.method,
    )


def _reach(reach: Reach, folder: str) -> ReachSpec:
    return ReachSpec(
        private_networks=reach.private_networks,
        ca_file=absolute(folder, reach.ca_file),
        timeouts=_timeouts(reach.timeouts),
    )


def _timeouts(timeouts: OAuthTimeouts) -> TimeoutSpec:
    return TimeoutSpec(
        connect_s=duration_s(timeouts.connect),
        first_byte_s=duration_s(timeouts.first_byte),
        idle_s=duration_s(timeouts.idle),
        total_s=duration_s(timeouts.total),
    )
