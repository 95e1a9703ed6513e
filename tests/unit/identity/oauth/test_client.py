"""How a client proves itself, and which configurations say too little or too much."""

import base64
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from heddle.identity.oauth.client import Client, configured_client, prove
from heddle.identity.oauth.documents import ServerDocument
from heddle.identity.oauth.errors import OAuthError
from heddle.model.snapshot_mcp_auth import OAuthClientSpec

ISSUER = "https://as.example"
EC = ECKey.generate_key("P-256")
RSA = RSAKey.generate_key(2048)
ED = OKPKey.generate_key("Ed25519")


def server(*methods: str) -> ServerDocument:
    return ServerDocument(
        issuer=ISSUER, token_endpoint=f"{ISSUER}/token", token_endpoint_auth_methods_supported=methods or None
    )


def sent(client: Client, *methods: str) -> tuple[dict[str, str], dict[bytes, bytes]]:
    form = {"grant_type": "x"}
    fields = prove(client, server(*methods), form, lambda: 1000.5)
    return form, dict(fields)


def test_basic_encodes_each_half() -> None:
    form, fields = sent(Client(client_id="a:b c", client_secret="p:/\u00e9"))
    pair = base64.b64decode(fields[b"authorization"].removeprefix(b"Basic "))
    assert pair == b"a%3Ab+c:p%3A%2F%C3%A9"
    assert form == {"grant_type": "x"}


def test_auto_takes_what_the_server_takes() -> None:
    client = Client(client_id="c", client_secret="s")
    assert b"authorization" in sent(client)[1]
    assert sent(client, "client_secret_post") == ({"grant_type": "x", "client_id": "c", "client_secret": "s"}, {})
    with pytest.raises(OAuthError, match="in no way"):
        sent(client, "tls_client_auth")
    assert sent(Client(client_id="c")) == ({"grant_type": "x", "client_id": "c"}, {})


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    ("key", "algorithm"), [(EC, "ES256"), (RSA, "RS256"), (RSA, "PS256"), (ED, "EdDSA")], ids=["ec", "rs", "ps", "ed"]
)
def test_assertions(key: Any, algorithm: str) -> None:
    pem = key.as_pem(private=True).decode()
    spec = OAuthClientSpec(issuer=ISSUER, client_id="c", private_key=pem, key_id="k", algorithm=algorithm)
    client = configured_client(spec)
    assert client is not None
    form, fields = sent(client)
    assert fields == {}
    assert pem not in str(form)
    token = jwt.decode(form["client_assertion"], key, algorithms=[algorithm])
    assert token.header == {"alg": algorithm, "typ": "JWT", "kid": "k"}
    jti = token.claims.pop("jti")
    assert token.claims == {"iss": "c", "sub": "c", "aud": ISSUER, "iat": 1000, "exp": 1060}
    again = jwt.decode(sent(client)[0]["client_assertion"], key, algorithms=[algorithm])
    assert again.claims["jti"] != jti
    assert "PRIVATE" not in repr(client) + repr(spec) + repr(client.sign)


@pytest.mark.parametrize(
    "fields",
    [
        {"client_secret": "s"},
        {"client_id": "c", "client_secret": "s", "issuer": ""},
        {"client_id": "c", "method": "private_key_jwt"},
        {"client_id": "c", "method": "client_secret_basic"},
        {"client_id": "c", "private_key": "garbage"},
        {"client_id": "c", "private_key": EC.as_pem(private=True).decode(), "algorithm": "RS256"},
        {"client_id": "c", "private_key": EC.as_pem(private=True).decode(), "algorithm": "ES384"},
        {"client_id": "c", "private_key": EC.as_pem(private=False).decode()},
        {"client_id": "c", "private_key": EC.as_pem(private=True).decode(), "algorithm": "HS256"},
    ],
)
def test_configurations_that_do_not_fit(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        configured_client(OAuthClientSpec(**{"issuer": ISSUER, **fields}))
    assert "PRIVATE" not in str(caught.value)
    assert "garbage" not in str(caught.value)


def test_nothing_configured_registers() -> None:
    assert configured_client(OAuthClientSpec()) is None
