"""Who a request is from: what proves somebody, and what must prove nobody."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc import jws
from joserfc.jwk import ECKey, OctKey
from tests.unit.controlplane.access.rig import NOW_S, Rig, der

from heddle.controlplane.access.authority import Authority
from heddle.controlplane.access.caller import ADMINS
from heddle.controlplane.access.certificates import CertificateError, Signer, make_authority, new_key
from heddle.controlplane.access.failures import ALLOWED, WINDOW_S
from heddle.controlplane.access.tokens import AUDIENCE, LOCAL_ISSUER, TokenIssuer
from heddle.model.snapshot import IssuerSpec, JwksSpec
from heddle.wire.kube.status import ApiError

ISSUER = "https://login.example"
KEY = ECKey.generate_key("P-256", {"kid": "k", "alg": "ES256"})


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path)
    spec = IssuerSpec(issuer=ISSUER, audiences=(AUDIENCE,), jwks=JwksSpec(), algorithms=("ES256",))
    document = json.dumps({"keys": [KEY.as_dict(private=False)]}).encode()

    async def load() -> bytes:
        return document

    made.access.tokens.add(TokenIssuer(spec=spec, groups_claim="groups"), load, 3600.0)
    return made


async def refused(rig: Rig, headers: dict[str, str], certificate: bytes | None = None, path: str = "/api") -> ApiError:
    with pytest.raises(ApiError) as caught:
        await rig.access.authenticate(headers, certificate, source="192.0.2.1", path=path)
    return caught.value


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def signed(claims: dict[str, Any], key: Any = KEY, **header: Any) -> str:
    whole = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW_S + 600, "iat": NOW_S, **claims}
    shown = {"alg": "ES256", "kid": "k", **header}
    return jws.serialize_compact(shown, json.dumps(whole).encode(), key, [shown["alg"]])


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# Certificates


async def test_a_certificate_of_the_authority_proves_name_and_groups(rig: Rig):
    found = await rig.access.authenticate({}, der(rig.authority.issue("alice", ["dev"], 3600)))
    assert (found.name, found.groups) == ("alice", ("dev", "system:authenticated"))


async def test_nobody_is_anonymous_but_on_public_paths(rig: Rig):
    assert (await rig.access.authenticate({}, None, path="/healthz")).name == "system:anonymous"
    for path in ("", "/api", "/healthz/x", "//healthz", "/HEALTHZ"):
        assert (await refused(rig, {}, None, path)).code == 401


async def test_an_expired_certificate_proves_nothing_also_on_an_open_connection(rig: Rig):
    shown = der(rig.authority.issue("alice", [], 3600))
    await rig.access.authenticate({}, shown)
    rig.clock.now_s += 3600
    assert (await refused(rig, {}, shown)).code == 401


async def test_a_revoked_certificate_is_refused_also_on_an_open_connection(rig: Rig):
    shown = der(rig.authority.issue("alice", [], 3600))
    serial = rig.authority.proves(shown).serial
    await rig.access.authenticate({}, shown)
    rig.authority.deny(serial)
    assert (await refused(rig, {}, shown)).code == 401


async def test_a_certificate_of_another_authority_is_refused(rig: Rig, tmp_path: Path):
    other = Authority(tmp_path / "other", rig.clock)
    assert (await refused(rig, {}, der(other.issue("alice", [ADMINS], 3600)))).code == 401


def forged(signer: Signer, **said: Any) -> bytes:
    """A client certificate that the authority's key signed, but for what `said` says otherwise."""
    key = new_key()
    now = datetime.fromtimestamp(NOW_S, UTC)
    names = said.get("names", [(NameOID.COMMON_NAME, "alice")])
    builder = x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(*one) for one in names]))
    builder = builder.issuer_name(signer.certificate.subject).serial_number(7).public_key(key.public_key())
    builder = builder.not_valid_before(now + said.get("begins", timedelta(hours=-1)))
    builder = builder.not_valid_after(now + said.get("ends", timedelta(hours=1)))
    builder = builder.add_extension(x509.BasicConstraints(said.get("ca", False), None), critical=True)
    if said.get("purposes", True):
        purposes = said.get("purposes", [ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    made = builder.sign(said.get("by", signer.key), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


def test_the_forgery_proves_somebody_when_nothing_is_wrong_with_it(rig: Rig):
    assert rig.authority.proves(forged(rig.authority.signer)).name == "alice"


@pytest.mark.parametrize(
    "said",
    [
        {"purposes": None},
        {"purposes": [ExtendedKeyUsageOID.SERVER_AUTH]},
        {"purposes": [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]},
        {"purposes": [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]},
        {"ca": True},
        {"begins": timedelta(minutes=1)},
        {"ends": timedelta(0)},
        {"names": []},
        {"names": [(NameOID.ORGANIZATION_NAME, ADMINS)]},
        {"names": [(NameOID.COMMON_NAME, "alice"), (NameOID.COMMON_NAME, "root")]},
        {"names": [(NameOID.COMMON_NAME, "al\0ice")]},
        {"names": [(NameOID.COMMON_NAME, " alice")]},
        {"names": [(NameOID.COMMON_NAME, "a")] + [(NameOID.ORGANIZATION_NAME, f"g{n}") for n in range(65)]},
        {"by": ec.generate_private_key(ec.SECP256R1())},
    ],
)
def test_a_certificate_that_is_not_quite_one_is_refused(rig: Rig, said: dict[str, Any]):
    with pytest.raises(CertificateError):
        rig.authority.proves(forged(rig.authority.signer, **said))


async def test_an_authority_of_the_same_name_is_another(rig: Rig):
    other = make_authority(NOW_S)
    lookalike = Signer(rig.authority.signer.certificate, other.key)
    assert (await refused(rig, {}, forged(lookalike))).code == 401


async def test_the_servers_certificate_is_no_clients(rig: Rig):
    path, _ = rig.authority.server_certificate()
    shown = x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(serialization.Encoding.DER)
    assert (await refused(rig, {}, shown)).code == 401


async def test_the_authoritys_certificate_is_no_clients(rig: Rig):
    shown = rig.authority.signer.certificate.public_bytes(serialization.Encoding.DER)
    assert (await refused(rig, {}, shown)).code == 401


@pytest.mark.parametrize("shown", [b"x", b"\x30\x82", b"\x30" * 20_000, b"\0" * 100])
async def test_what_is_no_certificate_is_refused(rig: Rig, shown: bytes):
    assert (await refused(rig, {}, shown)).code == 401


# Requests for certificates


def request(name: str, *groups: str, curve: ec.EllipticCurve | None = None) -> bytes:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    names += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    key = ec.generate_private_key(curve or ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def test_a_request_gets_what_is_given_and_not_what_it_asks(rig: Rig):
    for asked in (request(""), request("system:gateway:g1"), request("system:gateway:g1", "system:gateways")):
        pem = rig.authority.sign(asked, "system:gateway:g1", ("system:gateways",), 3600)
        client = rig.authority.proves(x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER))
        assert (client.name, client.groups) == ("system:gateway:g1", ("system:gateways",))


@pytest.mark.parametrize(
    "asked",
    [
        request("system:gateway:g2"),
        request("admin"),
        request("system:gateway:g1", ADMINS),
        request("system:gateway:g1", "system:gateways", "system:masters"),
        request("", ADMINS),
        request("system:gateway:g1", curve=ec.SECP384R1()),
        b"",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        b"x" * 20_000,
    ],
)
def test_a_request_for_another_name_or_group_is_refused(rig: Rig, asked: bytes):
    with pytest.raises(CertificateError):
        rig.authority.sign(asked, "system:gateway:g1", ("system:gateways",), 3600)


def test_a_request_that_somebody_altered_is_refused(rig: Rig):
    body = base64.b64decode("".join(request("system:gateway:g1").decode().splitlines()[1:-1]))
    altered = base64.b64encode(body[:-1] + bytes([body[-1] ^ 1])).decode()
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{altered}\n-----END CERTIFICATE REQUEST-----\n".encode()
    with pytest.raises(CertificateError):
        rig.authority.sign(pem, "system:gateway:g1", ("system:gateways",), 3600)


# Tokens


async def test_a_local_token_proves_name_and_groups(rig: Rig):
    token, _ = rig.access.local_tokens.for_user("alice", ["dev"], 600)
    found = await rig.access.authenticate(bearer(token), None)
    assert (found.name, found.groups) == ("alice", ("dev", "system:authenticated"))
    rig.clock.now_s += 700
    assert (await refused(rig, bearer(token))).code == 401


async def test_a_revoked_token_is_refused(rig: Rig):
    token, token_id = rig.access.local_tokens.for_user("alice", [], 600)
    await rig.access.authenticate(bearer(token), None)
    rig.authority.deny(token_id)
    assert (await refused(rig, bearer(token))).code == 401


async def test_a_token_of_an_issuer_gets_its_prefix(rig: Rig):
    found = await rig.access.authenticate(bearer(signed({"groups": ["dev", "heddle:admins", "system:masters"]})), None)
    assert found.name == "oidc:alice"
    assert found.groups == ("oidc:dev", "oidc:heddle:admins", "oidc:system:masters", "system:authenticated")


NONE = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part({'iss': LOCAL_ISSUER, 'aud': AUDIENCE, 'sub': 'root'})}."
HMAC = OctKey.import_key(json.dumps({"keys": [KEY.as_dict(private=False)]}))


@pytest.mark.parametrize(
    "token",
    [
        NONE,
        signed({}, HMAC, alg="HS256"),
        signed({}, ECKey.generate_key("P-256")),
        signed({"aud": "another"}),
        signed({"aud": ["another", "third"]}),
        signed({"aud": None}),
        signed({"iss": "https://elsewhere.example"}),
        signed({"iss": LOCAL_ISSUER, "sub": "root", "groups": [ADMINS]}),
        signed({"exp": NOW_S - 100}),
        signed({"exp": None}),
        signed({"exp": "never"}),
        signed({"nbf": NOW_S + 100}),
        signed({"sub": ""}),
        signed({"sub": ["alice"]}),
        signed({"sub": "al\nice"}),
        signed({"groups": {"a": 1}}),
        signed({"groups": [1]}),
        signed({"groups": ["g"] * 201}),
        signed({}, jwk=KEY.as_dict(private=False)),
        signed({}, x5u="https://elsewhere.example"),
        "x",
        "a.b.c",
        "..",
        "A" * 10_000,
    ],
)
async def test_a_token_that_proves_nothing_is_refused(rig: Rig, token: str):
    error = await refused(rig, bearer(token))
    assert error.code == 401
    assert token[:40] not in error.message or len(token) < 5


@pytest.mark.parametrize(
    "claims",
    [{"sub": "system:admin"}, {"groups": ["system:masters"]}, {"groups": [ADMINS]}, {"groups": ["system:gateways"]}],
)
async def test_without_a_prefix_a_name_of_ours_is_refused(tmp_path: Path, claims: dict[str, Any]):
    rig = Rig(tmp_path)
    spec = IssuerSpec(issuer=ISSUER, audiences=(AUDIENCE,), jwks=JwksSpec(), algorithms=("ES256",))

    async def load() -> bytes:
        return json.dumps({"keys": [KEY.as_dict(private=False)]}).encode()

    bare = TokenIssuer(spec=spec, groups_claim="groups", user_prefix="", groups_prefix="")
    rig.access.tokens.add(bare, load, 3600.0)
    assert (await rig.access.authenticate(bearer(signed({})), None)).name == "alice"
    assert (await refused(rig, bearer(signed(claims)))).code == 401


@pytest.mark.parametrize("prefix", ["system:", "system:serviceaccount:", "heddle:", "a\n"])
def test_a_prefix_that_would_make_names_of_ours_is_refused(rig: Rig, prefix: str):
    spec = IssuerSpec(issuer="https://two.example", audiences=("a",), jwks=JwksSpec(), algorithms=("ES256",))

    async def load() -> bytes:
        return b""

    with pytest.raises(ValueError, match="prefix"):
        rig.access.tokens.add(TokenIssuer(spec=spec, user_prefix=prefix), load, 1.0)
    with pytest.raises(ValueError, match="prefix"):
        rig.access.tokens.add(TokenIssuer(spec=spec, groups_prefix=prefix), load, 1.0)


def test_nobody_else_issues_in_the_name_of_the_authority(rig: Rig):
    async def load() -> bytes:
        return b""

    spec = IssuerSpec(issuer=LOCAL_ISSUER, audiences=("a",), jwks=JwksSpec(), algorithms=("ES256",))
    with pytest.raises(ValueError, match="twice"):
        rig.access.tokens.add(TokenIssuer(spec=spec), load, 1.0)


async def test_while_an_issuers_keys_cannot_be_read_its_tokens_wait(tmp_path: Path):
    rig = Rig(tmp_path)

    async def load() -> bytes:
        raise OSError("away")

    spec = IssuerSpec(issuer=ISSUER, audiences=(AUDIENCE,), jwks=JwksSpec(), algorithms=("ES256",))
    rig.access.tokens.add(TokenIssuer(spec=spec), load, 3600.0)
    assert (await refused(rig, bearer(signed({})))).code == 503


# Accounts


def account(rig: Rig, uid: str = "u-1") -> None:
    rig.store.put("serviceaccounts", {"metadata": {"name": "bot", "namespace": "demo", "uid": uid}})


async def test_an_accounts_token_holds_while_the_account_is_there(rig: Rig):
    account(rig)
    made = rig.access.token_for("demo", "bot", {"spec": {"expirationSeconds": 900}})
    token = made["status"]["token"]
    found = await rig.access.authenticate(bearer(token), None)
    assert found.name == "system:serviceaccount:demo:bot"
    assert found.groups == ("system:serviceaccounts", "system:serviceaccounts:demo", "system:authenticated")
    account(rig, "u-2")  # another of the same name
    assert (await refused(rig, bearer(token))).code == 401


async def test_an_accounts_token_for_others_is_not_for_this_api(rig: Rig):
    account(rig)
    made = rig.access.token_for("demo", "bot", {"spec": {"audiences": ["vault"]}})
    assert (await refused(rig, bearer(made["status"]["token"]))).code == 401


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"expirationSeconds": 10}, 400),
        ({"expirationSeconds": "soon"}, 400),
        ({"audiences": "a"}, 400),
        ({"boundObjectRef": {"kind": "Pod"}}, 400),
    ],
)
def test_a_token_request_that_makes_no_sense_is_refused(rig: Rig, spec: dict[str, Any], code: int):
    account(rig)
    with pytest.raises(ApiError) as caught:
        rig.access.token_for("demo", "bot", {"spec": spec})
    assert caught.value.code == code


def test_there_is_no_token_of_an_account_that_is_not_there(rig: Rig):
    with pytest.raises(ApiError) as caught:
        rig.access.token_for("demo", "bot", {})
    assert caught.value.code == 404


def test_a_token_lives_for_a_day_at_most(rig: Rig):
    account(rig)
    made = rig.access.token_for("demo", "bot", {"spec": {"expirationSeconds": 10**9}})
    assert made["spec"]["expirationSeconds"] == 86_400


# Requests


@pytest.mark.parametrize(
    "header", ["", "Basic YWRtaW46YWRtaW4=", "Bearer", "Bearer ", "bearertoken", "Bearer a, Bearer b", "Negotiate x"]
)
async def test_other_ways_to_say_who_one_is_are_refused(rig: Rig, header: str):
    assert (await refused(rig, {"authorization": header})).code == 401


@pytest.mark.parametrize(
    "name", ["impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-scopes"]
)
async def test_nobody_is_taken_for_somebody_else(rig: Rig, name: str):
    shown = der(rig.authority.issue("root", [ADMINS], 3600))
    error = await refused(rig, {name: "dev"}, shown)
    assert (error.code, error.reason) == (403, "Forbidden")
    assert "impersonate" in error.message


async def test_headers_of_proxies_prove_nothing(rig: Rig):
    headers = {"x-remote-user": "root", "x-remote-group": "system:masters", "x-forwarded-user": "root"}
    assert (await refused(rig, headers)).code == 401


async def test_two_proofs_must_be_of_one_user(rig: Rig):
    shown = der(rig.authority.issue("alice", ["dev"], 3600))
    own, _ = rig.access.local_tokens.for_user("alice", ["ops"], 600)
    other, _ = rig.access.local_tokens.for_user("bob", [], 600)
    assert (await rig.access.authenticate(bearer(own), shown)).groups == ("ops", "system:authenticated")
    assert (await refused(rig, bearer(other), shown)).code == 401
    assert (await refused(rig, bearer("bad"), shown)).code == 401


async def test_after_a_few_failures_tokens_wait_and_who_was_proven_does_not(rig: Rig):
    good, _ = rig.access.local_tokens.for_user("alice", [], 600)
    fresh, _ = rig.access.local_tokens.for_user("bob", [], 600)
    await rig.access.authenticate(bearer(good), None, source="192.0.2.1")
    for _ in range(ALLOWED):
        assert (await refused(rig, bearer("a.b.c"))).code == 401
    error = await refused(rig, bearer(fresh))
    assert (error.code, error.reason) == (429, "TooManyRequests")
    assert error.details is not None
    assert 0 < error.details["retryAfterSeconds"] <= WINDOW_S + 1
    assert (await rig.access.authenticate(bearer(good), None, source="192.0.2.1")).name == "alice"
    assert (await rig.access.authenticate(bearer(fresh), None, source="192.0.2.9")).name == "bob"
    rig.clock.now_s += WINDOW_S
    assert (await rig.access.authenticate(bearer(fresh), None, source="192.0.2.1")).name == "bob"
