"""Credentials of tool servers, from files to a snapshot: what they become, and which never get that far."""

from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from heddle.controlplane.load import Loaded, load
from heddle.model.snapshot_mcp_auth import (
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    CredentialsSpec,
    HeaderAuth,
    IdJagAuth,
    OAuthClientSpec,
    OAuthCodeAuth,
    ReachSpec,
    TargetAuthSpec,
    TokenExchangeAuth,
    UserSecretAuth,
)

PEM = ECKey.generate_key("P-256").as_pem(private=True).decode()
PLANTED = {"TOKEN": "planted-1", "SECRET": "planted-2", "VAULT": "planted-3-planted-3-planted-3-planted"}
CONFIG = """
listeners: [{{name: tools, port: 8081, protocol: MCP}}]
security: {{authentication: {{type: none}}}}
mcp:
  credentials: {credentials}
  targets: [{{name: t, http: {{url: "https://t.example/mcp"}}, auth: {auth}}}]
  servers: [{{name: default, targets: [t]}}]
"""
PAGE = '{public_url: "https://mcp.example.com/"}'


def loaded(folder: Path, auth: str, credentials: str = PAGE) -> Loaded:
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(auth=auth, credentials=credentials))
    (folder / "key.pem").write_text(PEM)
    found = load([path], environ=PLANTED)
    shown = "\n".join(one.line_text() for one in found.problems)
    assert "planted" not in shown
    assert "PRIVATE" not in shown
    assert "planted" not in repr(found.snapshot)
    assert "PRIVATE" not in repr(found.snapshot)
    return found


def compiled(folder: Path, auth: str, credentials: str = PAGE) -> TargetAuthSpec:
    found = loaded(folder, auth, credentials)
    assert found.snapshot is not None, [one.line_text() for one in found.problems]
    return found.snapshot.mcp.targets[0].auth


def problems(found: Loaded, severity: str) -> str:
    return "\n".join(one.line_text() for one in found.problems if one.severity == severity)


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ('{type: bearer, token: "${TOKEN}"}', BearerAuth(credential="planted-1")),
        (
            '{type: header, header: X-Api-Key, prefix: "Key ", key: "${TOKEN}"}',
            HeaderAuth(header="x-api-key", prefix="Key ", credential="planted-1"),
        ),
        (
            '{type: basic, username: u, password: "${SECRET}"}',
            BasicAuth(username="u", credential="planted-2"),
        ),
        (
            "{type: user_secret, description: Make one., ttl: 30d}",
            UserSecretAuth(description="Make one.", ttl_s=30 * 86_400),
        ),
        (
            "{type: oauth_code, scopes: [a, 'b:c'], registration: [dcr], shared: true, send_resource: false}",
            OAuthCodeAuth(scopes=("a", "b:c"), registration=("dcr",), shared=True, send_resource=False),
        ),
        (
            '{type: client_credentials, audience: x, client: {issuer: "https://as", client_id: c, '
            'private_key: "file:key.pem", key_id: k}}',
            ClientCredentialsAuth(
                audience="x",
                client=OAuthClientSpec(issuer="https://as", client_id="c", private_key=PEM.rstrip("\n"), key_id="k"),
            ),
        ),
        (
            '{type: token_exchange, style: entra, client: {token_endpoint: "https://as/t", client_id: c, '
            'client_secret: "${SECRET}", method: client_secret_post}, reach: {private_networks: [10.0.0.0/8]}}',
            TokenExchangeAuth(
                style="entra",
                client=OAuthClientSpec(
                    token_endpoint="https://as/t", client_id="c", client_secret="planted-2", method="client_secret_post"
                ),
                reach=ReachSpec(private_networks=("10.0.0.0/8",)),
            ),
        ),
        (
            '{type: id_jag, identity_provider: {issuer: "https://idp", client_id: a}, '
            'client: {issuer: "https://as", client_id: b}}',
            IdJagAuth(
                identity_provider=OAuthClientSpec(issuer="https://idp", client_id="a"),
                client=OAuthClientSpec(issuer="https://as", client_id="b"),
            ),
        ),
    ],
)
def test_what_it_becomes(tmp_path: Path, auth: str, expected: TargetAuthSpec):
    assert compiled(tmp_path, auth) == expected


def test_what_all_share(tmp_path: Path):
    said = '{public_url: "https://mcp.example.com/x/", client_name: Team, vault_keys: ["${VAULT}"], keep: 30d}'
    found = loaded(tmp_path, "{type: oauth_code}", said)
    assert found.snapshot is not None
    assert found.snapshot.mcp.credentials == CredentialsSpec(
        public_url="https://mcp.example.com/x",
        client_name="Team",
        vault_keys=(PLANTED["VAULT"],),
        keep_s=30 * 86_400,
    )


@pytest.mark.parametrize(
    ("auth", "where", "field"),
    [
        ('{type: bearer, token: "${GONE}"}', "auth.token", "credential"),
        ("{type: bearer, token_name: gone}", "auth.token_name", "credential"),
        (
            '{type: client_credentials, client: {issuer: "https://as", client_id: c, client_secret: "${GONE}"}}',
            "auth.client.client_secret",
            "client",
        ),
        (
            '{type: oauth_code, client: {issuer: "https://as", client_id: c, private_key: "file:gone.pem"}}',
            "auth.client.private_key",
            "client",
        ),
    ],
)
def test_a_secret_that_cannot_be_had_takes_nothing_else_down(tmp_path: Path, auth: str, where: str, field: str):
    found = loaded(tmp_path, auth)
    assert found.snapshot is not None
    made = found.snapshot.mcp.targets[0].auth
    assert made.credential_error
    assert getattr(made, field) is not None
    warned = problems(found, "warning")
    assert where in warned
    assert "calls to `t` will be refused" in warned


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        ("{type: bearer}", "exactly one of `token` and `token_name`"),
        ("{type: bearer, token: a, token_name: b}", "exactly one of"),
        ("{type: basic, username: 'a:b', password: x}", "username"),
        ("{type: header, header: host, key: x}", "means something else"),
        ("{type: header, header: Mcp-Session-Id, key: x}", "means something else"),
        ("{type: header, header: 'a b', key: x}", "header"),
        ("{type: user_secret, header: content-type}", "means something else"),
        ("{type: passthrough}", "type"),
        ("{type: oauth_code, registration: []}", "client_id` is needed"),
        ("{type: oauth_code, scopes: ['a b']}", "scopes"),
        ("{type: oauth_code, client: {client_secret: x}}", "client.client_id"),
        ("{type: oauth_code, client: {client_id: c, client_secret: x}}", "must not choose who gets a secret"),
        ('{type: oauth_code, client: {issuer: "http://as.example", client_id: c}}', "must be https"),
        ('{type: oauth_code, client: {issuer: "https://u:p@as.example", client_id: c}}', "neither credentials"),
        ('{type: oauth_code, client: {issuer: "https://[", client_id: c}}', "no URL"),
        ("{type: client_credentials, client: {client_id: c}}", "must not choose it"),
        ('{type: client_credentials, client: {issuer: "https://as"}}', "cannot register by itself"),
        (
            '{type: token_exchange, client: {issuer: "https://as", client_id: c, method: private_key_jwt}}',
            "private_key",
        ),
        (
            '{type: token_exchange, client: {issuer: "https://as", client_id: c, method: client_secret_post}}',
            "needs `client_secret`",
        ),
        (
            '{type: id_jag, identity_provider: {issuer: "https://i", client_id: a}, '
            'client: {token_endpoint: "https://as/t", client_id: b}}',
            "makes the assertion for it",
        ),
    ],
)
def test_what_does_not_fit_together(tmp_path: Path, auth: str, said: str):
    found = loaded(tmp_path, auth)
    assert said in problems(found, "error"), problems(found, "error")


@pytest.mark.parametrize(
    ("credentials", "said"),
    [
        ('{public_url: "http://mcp.example.com"}', "must be https"),
        ('{public_url: "https://mcp.example.com/?x=1"}', "without query and fragment"),
        ('{public_url: "https://mcp.example.com", vault_keys: [short]}', "shorter than 32"),
        ('{public_url: "https://mcp.example.com", vault_keys: ["${GONE}"]}', "GONE"),
        ('{public_url: "https://mcp.example.com", proof: sms}', "proof"),
    ],
)
def test_what_all_share_and_does_not_fit(tmp_path: Path, credentials: str, said: str):
    assert said in problems(loaded(tmp_path, "{type: oauth_code}", credentials), "error")


def test_dangers_are_told(tmp_path: Path):
    found = loaded(tmp_path, "{type: oauth_code, reach: {private_networks: [10.0.0.0/8, '::/0']}}", "{}")
    assert "no page for that" in problems(found, "warning")
    assert "private_networks[1]: lets URLs that others choose lead anywhere" in problems(found, "error")
    said = '{public_url: "https://mcp.example.com", proof: none}'
    assert "sent a link" in problems(loaded(tmp_path, "{type: oauth_code}", said), "warning")
