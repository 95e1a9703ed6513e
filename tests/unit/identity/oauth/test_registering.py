"""Becoming a client: in which order, as what, kept for whom; and what a server may not make of us."""

import json
from typing import Any

import pytest

from heddle.drivers.vault import CLIENT, Place
from heddle.drivers.vault.memory import MemoryVault
from heddle.identity.oauth.asking import Answer
from heddle.identity.oauth.documents import ServerDocument
from heddle.identity.oauth.errors import OAuthError
from heddle.identity.oauth.registering import Registrar, Site, check_public_url

SITE = Site("https://mcp.example.com", "Team gateway")
ISSUER = "https://as.example"


class Server:
    def __init__(self, status: int = 201, **given: Any) -> None:
        self.status, self.given = status, given
        self.asked: list[dict[str, Any]] = []

    async def post_json(self, url: str, body: bytes) -> Answer:
        assert url == f"{ISSUER}/register"
        self.asked.append(json.loads(body))
        made = {"client_id": f"id-{len(self.asked)}", **self.given}
        return Answer(self.status, json.dumps({name: one for name, one in made.items() if one is not None}).encode())


def registrar(
    server: Server, vault: MemoryVault, site: Site = SITE, ways: tuple[str, ...] = ("cimd", "dcr")
) -> Registrar:
    return Registrar(server, vault, site, "github", lambda: 1000.0, ways)  # type: ignore[arg-type]


def document(**fields: Any) -> ServerDocument:
    return ServerDocument(**{"issuer": ISSUER, "registration_endpoint": f"{ISSUER}/register", **fields})


async def test_a_document_of_our_own_comes_first() -> None:
    server = Server()
    client = await registrar(server, MemoryVault()).client(document(client_id_metadata_document_supported=True))
    assert client.client_id == "https://mcp.example.com/.heddle/client.json"
    assert client.method == "none"
    assert server.asked == []
    said = json.loads(SITE.document())
    assert said["client_id"] == client.client_id
    assert said["redirect_uris"] == ["https://mcp.example.com/.heddle/callback"]
    assert said["client_name"] == "Team gateway"


async def test_without_https_there_is_no_document() -> None:
    site = Site("http://localhost:9000")
    server = Server()
    client = await registrar(server, MemoryVault(), site).client(document(client_id_metadata_document_supported=True))
    assert client.client_id == "id-1"
    assert server.asked[0]["application_type"] == "native"


async def test_a_registration_is_kept_for_its_issuer() -> None:
    server, vault = Server(), MemoryVault()
    one = registrar(server, vault)
    assert (await one.client(document())).client_id == "id-1"
    assert (await registrar(server, vault).client(document())).client_id == "id-1"
    assert server.asked[0]["application_type"] == "web"
    assert vault.get(Place(CLIENT, "github", ISSUER)) is not None
    one.forget(ISSUER)
    assert one.known(ISSUER) is None
    assert (await one.client(document())).client_id == "id-2"


async def test_a_registration_for_another_address_is_none() -> None:
    server, vault = Server(), MemoryVault()
    await registrar(server, vault).client(document())
    moved = registrar(server, vault, Site("https://moved.example.com"))
    assert (await moved.client(document())).client_id == "id-2"


async def test_a_secret_that_ends() -> None:
    server, vault = (
        Server(client_secret="s", client_secret_expires_at=500, token_endpoint_auth_method="client_secret_post"),
        MemoryVault(),
    )
    for _ in range(2):
        await registrar(server, vault).client(document())
    assert len(server.asked) == 2


async def test_ways_can_be_taken_away() -> None:
    both = document(client_id_metadata_document_supported=True)
    assert (await registrar(Server(), MemoryVault(), ways=("dcr",)).client(both)).client_id == "id-1"
    for one, ways in ((document(registration_endpoint=""), ("cimd", "dcr")), (both, ())):
        with pytest.raises(OAuthError, match="let clients register"):
            await registrar(Server(), MemoryVault(), ways=ways).client(one)


async def test_a_server_that_wants_secrets_gets_a_client_with_one() -> None:
    server = Server(client_secret="s")
    client = await registrar(server, MemoryVault()).client(
        document(token_endpoint_auth_methods_supported=("client_secret_post",))
    )
    assert server.asked[0]["token_endpoint_auth_method"] == "client_secret_post"
    assert (client.method, client.client_secret) == ("client_secret_post", "s")
    assert "'s'" not in repr(client)


@pytest.mark.parametrize(
    "given",
    [
        {"client_id": None},
        {"client_id": ""},
        {"client_id": 5},
        {"client_id": "x" * 3000},
        {"client_secret": 5},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": ["none"]},
        {"redirect_uris": ["https://evil.example/"]},
        {"redirect_uris": []},
    ],
)
async def test_what_we_cannot_be_is_refused(given: dict[str, Any]) -> None:
    vault = MemoryVault()
    with pytest.raises(OAuthError, match="cannot use"):
        await registrar(Server(**given), vault).client(document())
    assert vault.list() == []
    assert vault.claim(Place(CLIENT, "github", ISSUER), 1) is not None, "nobody has to wait for who failed"


async def test_a_refusal_is_told_by_its_code() -> None:
    with pytest.raises(OAuthError, match=r"\(invalid_redirect_uri\)"):
        await registrar(Server(400, error="invalid_redirect_uri"), MemoryVault()).client(document())
    with pytest.raises(OAuthError, match=r"\(status 400\)"):
        await registrar(Server(400, error="<EVIL>"), MemoryVault()).client(document())
    with pytest.raises(OAuthError, match=r"\(status 500\)"):
        await registrar(Server(500), MemoryVault()).client(document())


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example/base", "http://localhost:1", "http://127.0.0.1:1"]
)
def test_public_urls(url: str) -> None:
    check_public_url(url)


@pytest.mark.parametrize(
    "url", ["", "a.example", "http://a.example", "https://", "https://a/?x", "https://a/#x", "https://u@a"]
)
def test_urls_that_browsers_should_not_be_sent_to(url: str) -> None:
    with pytest.raises(ValueError, match="public_url"):
        check_public_url(url)
