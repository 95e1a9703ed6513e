"""JWTs: every way a token is not what it says, and what is remembered of those that are."""

import asyncio
import base64
import hmac
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from heddle.identity.errors import TokenError, UnavailableError
from heddle.identity.jwks import MAX_DOCUMENT_BYTES, RETRY_S, UNKNOWN_KID_INTERVAL_S, JwksError, KeySource, decode_jwks
from heddle.identity.shape import peek
from heddle.identity.tokens import Issuer, TokenCache, lookup, principal_of
from heddle.model.principal import Principal
from heddle.model.snapshot import ClaimNames, IssuerSpec, JwksSpec

NOW_S = 1_800_000_000.0
EC = ECKey.generate_key("P-256", {"kid": "ec"})
EC384 = ECKey.generate_key("P-384", {"kid": "ec384"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
OTHER = ECKey.generate_key("P-256", {"kid": "ec"})
ALL = (EC, EC384, RSA, ED)
GOOD = {"iss": "https://issuer", "aud": "heddle", "sub": "alice", "exp": NOW_S + 60}


def jwks(*keys: Any) -> bytes:
    return json.dumps({"keys": [k.as_dict(private=False) for k in keys]}).encode()


class Source:
    """A key source whose document, failures and clock the test owns."""

    def __init__(self, document: bytes, refresh_s: float = 300.0) -> None:
        self.document: bytes | Exception = document
        self.loads = 0
        self.time_s = 0.0
        self.keys = KeySource(self.load, refresh_s=refresh_s, monotonic=lambda: self.time_s)

    async def load(self) -> bytes:
        self.loads += 1
        await asyncio.sleep(0)
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


def issuer(source: Source, **fields: Any) -> Issuer:
    base = {"issuer": "https://issuer", "audiences": ("heddle", "other"), "jwks": JwksSpec(inline="-")}
    algorithms = ("RS256", "ES256", "ES384", "EdDSA")
    return Issuer(IssuerSpec(**{**base, "algorithms": algorithms, **fields}), source.keys, lambda: NOW_S)


def sign(key: Any = EC, algorithm: str = "ES256", header: dict[str, Any] | None = None, **claims: Any) -> bytes:
    head = {"alg": algorithm, "kid": key.kid, **(header or {})}
    body = {name: value for name, value in {**GOOD, **claims}.items() if value is not ...}
    return jwt.encode({k: v for k, v in head.items() if v is not ...}, body, key, algorithms=[algorithm]).encode()


def raw(header: Any, claims: Any = GOOD, signature: bytes = b"x") -> bytes:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return b".".join(base64.urlsafe_b64encode(p).rstrip(b"=") for p in parts)


async def verify(token: bytes, checks: Issuer | None = None) -> tuple[dict[str, Any], float]:
    unverified = peek(token)
    if unverified is None:
        raise TokenError("not a token")
    return await (checks or issuer(Source(jwks(*ALL)))).verify(token, unverified)


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (EC384, "ES384"), (RSA, "RS256"), (ED, "EdDSA")])
@pytest.mark.filterwarnings("ignore:EdDSA")
async def test_a_good_token_holds_until_it_expires(key: Any, algorithm: str) -> None:
    claims, until_s = await verify(sign(key, algorithm))
    assert claims["sub"] == "alice"
    assert until_s == NOW_S + 60 + 30


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://issuer/"},
        {"iss": "https://evil"},
        {"iss": ["https://issuer"]},
        {"iss": ...},
        {"aud": "heddle2"},
        {"aud": "HEDDLE"},
        {"aud": ...},
        {"aud": []},
        {"aud": {"heddle": 1}},
        {"exp": ...},
        {"exp": NOW_S - 30},
        {"exp": str(NOW_S + 60)},
        {"exp": True},
        {"exp": None},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"nbf": NOW_S + 31},
        {"nbf": "soon"},
        {"iat": NOW_S + 3600},
    ],
)
async def test_claims_are_compared_exactly(claims: dict[str, Any]) -> None:
    token = forged({"alg": "ES256", "kid": "ec"}, {n: v for n, v in {**GOOD, **claims}.items() if v is not ...})
    if peek(token) is None:
        return  # not JSON (NaN): never gets as far as a verifier
    with pytest.raises(TokenError):
        await verify(token)


def forged(header: dict[str, Any], claims: Any = GOOD) -> bytes:
    """A token with any header, truly signed by the issuer's key with ES256."""
    message = raw(header, claims).rpartition(b".")[0]
    return message + b"." + _signature(message)


def _signature(message: bytes) -> bytes:
    return base64.urlsafe_b64encode(JWSRegistry.algorithms["ES256"].sign(message, EC)).rstrip(b"=")


async def test_a_forgery_without_a_fault_would_pass() -> None:
    await verify(forged({"alg": "ES256", "kid": "ec", "typ": "at+jwt"}))


@pytest.mark.parametrize("audience", ["heddle", ["x", "heddle"], "other"])
async def test_any_of_our_audiences_will_do(audience: Any) -> None:
    assert (await verify(sign(aud=audience)))[0]["aud"] == audience


async def test_leeway_is_for_clocks_that_differ() -> None:
    await verify(sign(exp=NOW_S - 29, nbf=NOW_S + 30, iat=NOW_S + 30))


@pytest.mark.parametrize(
    "token",
    [
        raw({"alg": "none"}, signature=b""),
        forged({"alg": "none", "kid": "ec"}),
        forged({"alg": "None", "kid": "ec"}),
        forged({"alg": "HS256", "kid": "ec"}),
        forged({"alg": "ES512", "kid": "ec"}),
        forged({"alg": "", "kid": "ec"}),
        forged({"kid": "ec"}),
        forged({"alg": "ES256", "kid": "ec", "crit": ["exp"], "exp": 1}),
        forged({"alg": "ES256", "kid": "ec", "crit": []}),
        forged({"alg": "ES256", "kid": "ec", "b64": True}),
        forged({"alg": "ES256", "kid": "ec", "jku": "https://evil/keys"}),
        forged({"alg": "ES256", "kid": "ec", "x5u": "https://evil/cert"}),
        forged({"alg": "ES256", "kid": "ec", "jwk": OTHER.as_dict(private=False)}),
        forged({"alg": "ES256", "kid": "ec", "x5c": ["x"]}),
        forged({"alg": "ES256", "kid": 7}),
        forged({"alg": "ES256", "kid": "ec", "typ": "dpop+jwt"}),
        forged({"alg": "ES256", "kid": "ec", "typ": 1}),
        forged({"alg": "ES256", "kid": "ec"}, ["not", "an", "object"]),
        sign(OTHER),
        sign(EC, header={"kid": "unknown"}),
        sign(EC, header={"kid": "rsa"}),
        sign(EC, header={"kid": "../ec"}),
        sign(EC, header={"kid": ""}),
        sign()[:-4],
        sign()[:-4] + b"AAAA",
    ],
)
async def test_bad_headers_keys_and_signatures(token: bytes) -> None:
    with pytest.raises(TokenError) as caught:
        await verify(token)
    assert token.decode() not in caught.value.detail


async def test_a_public_key_is_no_shared_secret() -> None:
    """The classical confusion: HS256 keyed with the published key."""
    message = raw({"alg": "HS256", "kid": "rsa"}).rpartition(b".")[0]
    tag = hmac.digest(RSA.as_pem(private=False), message, "sha256")
    token = message + b"." + base64.urlsafe_b64encode(tag).rstrip(b"=")
    with pytest.raises(TokenError):
        await verify(token)


async def test_an_algorithm_of_another_issuer_is_not_ours() -> None:
    with pytest.raises(TokenError):
        await verify(sign(RSA, "RS256"), issuer(Source(jwks(*ALL)), algorithms=("ES256",)))


async def test_without_kid_only_a_single_fitting_key_will_do() -> None:
    await verify(sign(header={"kid": ...}), issuer(Source(jwks(EC, RSA))))
    second = ECKey.generate_key("P-256", {"kid": "ec2"})
    with pytest.raises(TokenError):
        await verify(sign(header={"kid": ...}), issuer(Source(jwks(EC, second))))


@pytest.mark.parametrize(
    "fields",
    [
        {"algorithms": ("HS256",)},
        {"algorithms": ("none",)},
        {"algorithms": ()},
        {"audiences": ()},
        {"audiences": ("",)},
        {"issuer": ""},
    ],
)
def test_unfit_issuers_are_refused_when_built(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        issuer(Source(b""), **fields)


@pytest.mark.parametrize(
    "credential",
    [
        b"sk-test-123",
        b"a.b",
        b"a.b.c",
        b"e30.e30.",
        b"e30.W10.x",
        b"....",
        b"e30.e30.x.y.z",
        b"e30.e30.x\n",
        b"e30 .e30.x",
        raw({"alg": "ES256"}) + b"=",
        raw({"alg": "ES256"}, {"x": "y" * 9000}),
    ],
)
def test_what_has_the_shape_of_a_token(credential: bytes) -> None:
    expected = credential == b"e30.e30."
    assert (peek(credential) is not None) is expected


def test_deep_nesting_is_no_token() -> None:
    deep = b".".join(base64.urlsafe_b64encode(p).rstrip(b"=") for p in (b"{}", b'{"a":' + b"[" * 5000, b"x"))
    assert peek(deep) is None
    with pytest.raises(JwksError):
        decode_jwks(b'{"keys": [{"x": ' + b"[" * 100_000)


def test_a_token_never_shows_in_a_repr() -> None:
    assert "alice" not in repr(peek(raw({"alg": "ES256"})))


# Principals


def test_claims_name_the_caller() -> None:
    claims = {"sub": "alice", "org": {"team": "dev"}, "https://x.io/agent": "planner"}
    who = principal_of(claims, ClaimNames(user="sub", tenant="org.team", agent="https://x.io/agent"), "heddle.local")
    assert (who.user, who.tenant, who.agent) == ("alice", "dev", "planner")
    assert who.workload == "spiffe://heddle.local/ns/dev/sa/planner"
    assert who.claims is claims


@pytest.mark.parametrize("value", [None, 7, ["a"], {"a": 1}, "", "x" * 257, "a\nb", "a\0b", "\ud800", True])
@pytest.mark.parametrize("field", ["user", "tenant", "agent"])
def test_a_claim_that_names_nobody_is_refused(field: str, value: Any) -> None:
    names = {"user": "", field: "c"}
    with pytest.raises(TokenError):
        principal_of({"c": value} if value is not None else {}, ClaimNames(**names), "heddle.local")


def test_a_tenant_is_refused_rather_than_repaired() -> None:
    with pytest.raises(TokenError):
        principal_of({"sub": "a", "t": "../prod", "g": "x"}, ClaimNames(tenant="t", agent="g"), "heddle.local")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a", {"b": 1, "c.d": 2}), ("a.b", 1), ("a.c.d", 2), ("x.y", 3), ("x.y.z", None), ("a.b.c", None), ("q", None)],
)
def test_dotted_names(name: str, expected: Any) -> None:
    assert lookup({"a": {"b": 1, "c.d": 2}, "x.y": 3}, name) == expected


# Key sets


def _base64(number: int, size: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(size, "big")).rstrip(b"=").decode()


def test_unusable_keys_are_left_out() -> None:
    listed = [
        EC.as_dict(private=False),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
        {**RSA.as_dict(private=False), "use": "enc"},
        {**RSA.as_dict(private=False), "key_ops": ["encrypt"]},
        {"kty": "RSA", "e": "AQAB", "n": _base64((1 << 1023) + 1, 128), "kid": "short"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "broken"},
        {"kty": "AKP", "alg": "ML-DSA-65", "pub": "x"},
    ]
    assert [k.kid for k in decode_jwks(json.dumps({"keys": listed}).encode())] == ["ec"]


def test_a_keys_own_algorithm_binds_it() -> None:
    key = decode_jwks(json.dumps({"keys": [{**RSA.as_dict(private=False), "alg": "RS512"}]}).encode())[0]
    assert key.fits("RS512")
    assert not key.fits("RS256")


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": [1]}', b"\xff", b" " * (MAX_DOCUMENT_BYTES + 1), jwks(EC, OTHER)],
)
def test_unusable_documents(document: bytes) -> None:
    with pytest.raises(JwksError):
        decode_jwks(document)


async def test_a_bad_document_keeps_the_old_keys() -> None:
    source = Source(jwks(EC))
    assert await source.keys.find("ec", "ES256")
    for bad in (b"{}", OSError("gone"), TimeoutError()):
        source.document = bad
        source.time_s += 301
        assert await source.keys.find("ec", "ES256")
        await source.keys._refreshed()
        assert source.keys.failure
    assert source.loads == 4
    assert source.keys.generation == 1


async def test_keys_are_refreshed_behind_the_call_that_notices() -> None:
    source = Source(jwks(EC))
    await source.keys.find("ec", "ES256")
    source.document = jwks(OTHER)
    source.time_s += 300
    before = await source.keys.find("ec", "ES256")
    await source.keys._refreshed()
    after = await source.keys.find("ec", "ES256")
    assert before is not after
    assert source.keys.generation == 2


async def test_unknown_kids_cause_one_refresh_per_interval() -> None:
    source = Source(jwks(EC), refresh_s=1e9)
    await source.keys.find("ec", "ES256")
    source.time_s += RETRY_S
    for n in range(50):
        assert await source.keys.find(f"new-{n}", "ES256") is None
    assert source.loads == 2
    source.time_s += UNKNOWN_KID_INTERVAL_S
    source.document = jwks(EC, RSA)
    assert await source.keys.find("rsa", "RS256")
    assert source.loads == 3


async def test_without_any_keys_identity_is_unavailable_and_asked_for_sparingly() -> None:
    source = Source(jwks(EC))
    source.document = OSError("connection refused")
    for _ in range(10):
        with pytest.raises(UnavailableError):
            await source.keys.find("ec", "ES256")
    assert source.loads == 1
    source.document = jwks(EC)
    source.time_s += RETRY_S
    assert await source.keys.find("ec", "ES256")


async def test_many_first_callers_cause_one_load() -> None:
    source = Source(jwks(EC))
    found = await asyncio.gather(*(source.keys.find("ec", "ES256") for _ in range(20)))
    assert all(found)
    assert source.loads == 1


async def test_a_caller_that_goes_away_does_not_stop_the_load() -> None:
    source = Source(jwks(EC))
    first = asyncio.ensure_future(source.keys.find("ec", "ES256"))
    second = asyncio.ensure_future(source.keys.find("ec", "ES256"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
    assert source.loads == 1


# The cache


def test_the_cache_forgets_what_expired_and_what_was_used_longest_ago() -> None:
    cache = TokenCache(2)
    who = Principal(user="a")
    cache.put(b"1", who, 10.0)
    cache.put(b"2", who, 100.0)
    assert cache.get(b"1", 9.9) is who
    assert cache.get(b"1", 10.0) is None
    cache.put(b"3", who, 100.0)
    assert cache.get(b"2", 11.0) is who
    cache.put(b"4", who, 100.0)
    assert cache.get(b"3", 11.0) is None
    assert len(cache) == 2


async def test_a_key_that_is_withdrawn_takes_its_tokens_with_it() -> None:
    source = Source(jwks(EC))
    await source.keys.find("ec", "ES256")
    cache = TokenCache()
    cache.put(b"1", Principal(user="a"), 1e12, source.keys)
    assert cache.get(b"1", 0.0)
    source.document = jwks(RSA)
    source.time_s += 300
    assert cache.get(b"1", 0.0)  # starts the refresh
    await source.keys._refreshed()
    assert cache.get(b"1", 0.0) is None
