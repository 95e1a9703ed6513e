"""Bearer tokens: those of the local authority, and those of the issuers that the configuration names.

Owns what a token's claims become. A local one carries names as they are, since only the authority's key makes it; an
account's holds while the account is there. What another issuer says gets that issuer's prefix, and is refused when it
would still be a name that is ours to give: no issuer can say that somebody is an administrator of the mesh.

*Source:* RFC 7519 section 4.1; Kubernetes authentication.k8s.io/v1 TokenRequest; "Authenticating", OpenID Connect
tokens (prefixes), bound service account tokens.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
from joserfc import jws
from joserfc.jwk import ECKey

from heddle.controlplane.access.authentication import TokenRefusedError
from heddle.controlplane.access.authority import Authority
from heddle.controlplane.access.caller import ACCOUNT, ACCOUNTS, AUTHENTICATED, RESERVED_GROUPS, SYSTEM, Caller
from heddle.controlplane.access.certificates import check_names
from heddle.identity.errors import TokenError, UnavailableError
from heddle.identity.jwks import KeySource, Load
from heddle.identity.shape import peek
from heddle.identity.tokens import Claims, Issuer, claim_text, lookup
from heddle.model.snapshot import IssuerSpec, JwksSpec
from heddle.wire.kube.status import ApiError, bad_request, not_found

LOCAL_ISSUER = "https://control-plane.heddle.local"
AUDIENCE = "heddle.dev/control-plane"
"""Audience of local tokens that are for this API; an account may ask for tokens for others."""
CACHED_TOKENS = 8_192
MAX_TOKEN_TTL_S = 366 * 86_400.0
MIN_ACCOUNT_TTL_S = 600.0
"""As a Kubernetes API server has it."""
MAX_ACCOUNT_TTL_S = 86_400.0
MAX_GROUPS = 200

AccountUid = Callable[[str, str], str]
"""(namespace, name) -> uid of a ServiceAccount; empty when there is none."""


class TokenIssuer(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer whose tokens open the resource API."""

    spec: IssuerSpec
    user_claim: str = "sub"
    user_prefix: str = "oidc:"
    """Put before the user's name."""
    groups_claim: str = ""
    """Empty: no groups."""
    groups_prefix: str = "oidc:"


class _Proven(NamedTuple):
    caller: Caller
    until_s: float
    issuer: Issuer
    generation: int
    token_id: str
    account: tuple[str, str, str] | None


class LocalTokens:
    """Makes tokens of the local authority."""

    def __init__(self, authority: Authority, now: Callable[[], float]) -> None:
        self._now = now
        self._key = ECKey.import_key(authority.token_key.decode())
        self._kid = self._key.thumbprint()
        public = msgspec.json.encode({"keys": [{**self._key.as_dict(private=False), "kid": self._kid, "alg": "ES256"}]})
        self.spec = IssuerSpec(
            issuer=LOCAL_ISSUER,
            audiences=(AUDIENCE,),
            jwks=JwksSpec(inline=public.decode()),
            algorithms=("ES256",),
            leeway_s=5.0,
        )

    def for_user(self, name: str, groups: Sequence[str], ttl_s: float) -> tuple[str, str]:
        """A token for a user, who has these groups, and its id. Whoever calls this decides about names.

        Raises ValueError."""
        if not 0 < ttl_s <= MAX_TOKEN_TTL_S:
            raise ValueError("a token lives for a year at most")
        check_names(name, tuple(groups))
        token_id = uuid4().hex
        claims = {"sub": name, "groups": list(groups), "aud": AUDIENCE, "jti": token_id}
        return self._signed(claims, ttl_s), token_id

    def for_account(
        self, place: tuple[str, str], uid: str, audiences: Iterable[str], ttl_s: float
    ) -> tuple[str, float]:
        """A token of a ServiceAccount (namespace and name), for `audiences` (empty: this API), and when it ends."""
        namespace, name = place
        ttl_s = min(max(ttl_s, MIN_ACCOUNT_TTL_S), MAX_ACCOUNT_TTL_S)
        about = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}
        named = {"sub": f"{ACCOUNT}{namespace}:{name}", "kubernetes.io": about}
        return self._signed({**named, "aud": list(audiences) or [AUDIENCE]}, ttl_s), self._now() + ttl_s

    def _signed(self, claims: Claims, ttl_s: float) -> str:
        now = int(self._now())
        whole = {"iss": LOCAL_ISSUER, "iat": now, "nbf": now, "exp": now + int(ttl_s), "jti": uuid4().hex, **claims}
        header = {"alg": "ES256", "typ": "JWT", "kid": self._kid}
        return jws.serialize_compact(header, msgspec.json.encode(whole), self._key, ["ES256"])


class BearerTokens:
    """Proves tokens of the local authority and of the configured issuers."""

    def __init__(
        self, authority: Authority, local: LocalTokens, account_uid: AccountUid, now: Callable[[], float]
    ) -> None:
        self._authority, self._account_uid, self._now = authority, account_uid, now
        self._local = Issuer(local.spec, _keys(_inline(local.spec), float("inf")), now)
        self._others: dict[str, tuple[Issuer, TokenIssuer]] = {}
        self._cache: OrderedDict[bytes, _Proven] = OrderedDict()

    def add(self, issuer: TokenIssuer, load: Load, refresh_s: float) -> None:
        """Accept the tokens of another issuer, whose keys `load` reads. Raises ValueError when that must not be."""
        check_issuer(issuer)
        name = issuer.spec.issuer
        if name == LOCAL_ISSUER or name in self._others:
            raise ValueError(f"issuer {name} is listed twice")
        self._others[name] = (Issuer(issuer.spec, _keys(load, refresh_s), self._now), issuer)

    def close(self) -> None:
        """Stop reading keys."""
        for issuer, _ in self._others.values():
            issuer.keys.close()

    def known(self, token: bytes) -> Caller | None:
        """Who the token proved before, while that still holds. Raises TokenRefusedError when it was revoked."""
        digest = sha256(token).digest()
        proven = self._cache.get(digest)
        if proven is None:
            return None
        proven.issuer.keys.touch()
        if self._now() >= proven.until_s or proven.generation != proven.issuer.keys.generation:
            del self._cache[digest]
            return None
        self._check_alive(proven)
        self._cache.move_to_end(digest)
        return proven.caller

    async def verify(self, token: bytes) -> Caller:
        """Who the token proves. Raises TokenRefusedError; ApiError 503 when its issuer's keys cannot be had."""
        unverified = peek(token)
        if unverified is None:
            raise TokenRefusedError("the token is not a JWT")
        issuer, mapped = self._others.get(unverified.issuer, (None, None))
        if unverified.issuer == LOCAL_ISSUER:
            issuer = self._local
        if issuer is None:
            raise TokenRefusedError("the token's issuer is not accepted")
        try:
            claims, until_s = await issuer.verify(token, unverified)
            caller = _external(claims, mapped) if mapped is not None else _own(claims)
        except TokenError as exc:
            raise TokenRefusedError(exc.detail) from exc
        except UnavailableError as exc:
            raise ApiError(503, "ServiceUnavailable", "the keys of the token's issuer cannot be read now") from exc
        token_id = claims.get("jti")
        account = _account(claims) if mapped is None else None
        proven = _Proven(caller, until_s, issuer, issuer.keys.generation, str(token_id or ""), account)
        self._check_alive(proven)
        self._cache[sha256(token).digest()] = proven
        if len(self._cache) > CACHED_TOKENS:
            self._cache.popitem(last=False)
        return caller

    def _check_alive(self, proven: _Proven) -> None:
        if proven.token_id and self._authority.is_denied(proven.token_id):
            raise TokenRefusedError("the token has been revoked")
        if proven.account is not None:
            namespace, name, uid = proven.account
            if not uid or self._account_uid(namespace, name) != uid:
                raise TokenRefusedError("the token's ServiceAccount is gone")


class _TokenRequest(msgspec.Struct, frozen=True, rename="camel"):
    audiences: list[str] = []
    expiration_seconds: float | None = None
    bound_object_ref: dict[str, Any] | None = None


def token_request(local: LocalTokens, place: tuple[str, str], uid: str, body: dict[str, Any]) -> dict[str, Any]:
    """A TokenRequest, answered for the ServiceAccount at `place` (empty `uid`: it is not there). Raises ApiError."""
    if not uid:
        raise not_found("", "serviceaccounts", place[1])
    try:
        spec = msgspec.convert(body.get("spec") or {}, _TokenRequest)
    except msgspec.ValidationError as exc:
        raise bad_request(f"the TokenRequest cannot be read: {str(exc).replace('$', 'spec')}") from exc
    if spec.bound_object_ref is not None:
        raise bad_request("spec.boundObjectRef: tokens are bound to their ServiceAccount only")
    wanted_s = 3_600.0 if spec.expiration_seconds is None else spec.expiration_seconds
    if not wanted_s >= MIN_ACCOUNT_TTL_S:
        raise bad_request(f"spec.expirationSeconds: a token lives for {MIN_ACCOUNT_TTL_S:.0f} seconds at least")
    token, ends_s = local.for_account(place, uid, spec.audiences, wanted_s)
    ends = datetime.fromtimestamp(ends_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = {"audiences": spec.audiences or [AUDIENCE], "expirationSeconds": int(min(wanted_s, MAX_ACCOUNT_TTL_S))}
    meta = {"name": place[1], "namespace": place[0], "creationTimestamp": None}
    made = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": meta}
    return made | {"spec": asked, "status": {"token": token, "expirationTimestamp": ends}}


def check_issuer(issuer: TokenIssuer) -> None:
    """ValueError when a prefix would make names that are ours to give."""
    for prefix in (issuer.user_prefix, issuer.groups_prefix):
        if prefix.startswith((SYSTEM, "heddle:")) or not prefix.isprintable():
            raise ValueError(f"issuer {issuer.spec.issuer}: a prefix must not begin with `system:` or `heddle:`")


def reserved(name: str) -> bool:
    """Whether a user or group of this name is ours to give."""
    return name.startswith(SYSTEM) or name in RESERVED_GROUPS


def _external(claims: Claims, issuer: TokenIssuer) -> Caller:
    name = issuer.user_prefix + claim_text(lookup(claims, issuer.user_claim), issuer.user_claim)
    found = lookup(claims, issuer.groups_claim) if issuer.groups_claim else None
    listed = [found] if isinstance(found, str) else found
    if listed is None:
        listed = []
    if not isinstance(listed, list) or len(listed) > MAX_GROUPS:
        raise TokenError(f"the token's claim `{issuer.groups_claim}` is not a list of at most {MAX_GROUPS} groups")
    groups = [issuer.groups_prefix + claim_text(one, issuer.groups_claim) for one in listed]
    if any(map(reserved, (name, *groups))):
        raise TokenError("the token names a user or group that only the control plane itself can give")
    extra = {"heddle.dev/credential": (f"issuer:{issuer.spec.issuer}",)}
    return Caller(name, tuple(dict.fromkeys((*groups, AUTHENTICATED))), "", extra)


def _own(claims: Claims) -> Caller:
    name = claim_text(claims.get("sub"), "sub")
    extra = {"heddle.dev/credential": (f"token:{claims.get('jti', '')}",)}
    account = _account(claims)
    if account is not None:
        namespace, _, uid = account
        return Caller(name, (ACCOUNTS, f"{ACCOUNTS}:{namespace}", AUTHENTICATED), uid, extra)
    groups = [claim_text(one, "groups") for one in claims.get("groups", [])]
    return Caller(name, tuple(dict.fromkeys((*groups, AUTHENTICATED))), "", extra)


def _account(claims: Claims) -> tuple[str, str, str] | None:
    about: Any = claims.get("kubernetes.io")
    if about is None:
        return None
    return about["namespace"], about["serviceaccount"]["name"], about["serviceaccount"]["uid"]


def _keys(load: Load, refresh_s: float) -> KeySource:
    return KeySource(load, refresh_s=refresh_s, monotonic=time.monotonic)


def _inline(spec: IssuerSpec) -> Load:
    async def load() -> bytes:
        return spec.jwks.inline.encode()

    return load
