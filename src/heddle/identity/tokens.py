"""JSON Web Tokens: what they claim, once it is proven that one of the configured issuers said so.

Owns the checks of a token: shape, header, signature, issuer, audience and time, and the mapping of claims to a
principal. It refuses `none`, symmetric algorithms, critical extensions, keys inside or named by the token, and any
claim that is not what it should be. Verifying one costs 50 to 130 us of CPU on the loop, so `TokenCache` remembers
what was proven, by the SHA-256 of the whole token (CVE-2026-35030: a cache keyed on its first characters).

*Source:* RFC 7515 sections 4.1, 5.2; RFC 7519 sections 4.1, 7.2; RFC 8725 sections 2 and 3.
"""

import math
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning

from heddle.identity.errors import TokenError
from heddle.identity.jwks import KEY_TYPES, KeySource
from heddle.identity.shape import Unverified
from heddle.identity.spiffe import SpiffeError, workload_id
from heddle.model.principal import Principal
from heddle.model.snapshot import ClaimNames, IssuerSpec

MAX_CLAIM_CHARS = 256
CACHE_ENTRIES = 8_192
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})
_FORBIDDEN_HEADERS = ("crit", "jwk", "jku", "x5u", "x5c", "b64", "zip")
"""RFC 7515 4.1.2 to 4.1.6 and 4.1.11: keys that a token brings along, and extensions that must be understood."""

Claims = dict[str, Any]


class Issuer:
    """One configured issuer, ready to verify its tokens."""

    __slots__ = ("_algorithms", "_audiences", "_leeway_s", "_now", "_registry", "keys", "name")

    def __init__(self, spec: IssuerSpec, keys: KeySource, now: Callable[[], float]) -> None:
        """ValueError when `spec` would accept what must not be: no audience, no or a symmetric algorithm."""
        unfit = sorted(set(spec.algorithms) - set(KEY_TYPES))
        if unfit or not spec.algorithms:
            raise ValueError(f"issuer {spec.issuer}: algorithms must be some of {', '.join(KEY_TYPES)}, not {unfit}")
        if not spec.audiences or not all(spec.audiences) or not spec.issuer:
            raise ValueError(f"issuer {spec.issuer or '(empty)'}: needs an issuer and at least one audience")
        self.name = spec.issuer
        self.keys = keys
        self._audiences = frozenset(spec.audiences)
        self._algorithms = frozenset(spec.algorithms)
        self._leeway_s = spec.leeway_s
        self._now = now
        self._registry = jws.JWSRegistry(algorithms=sorted(spec.algorithms), strict_check_header=False)

    async def verify(self, token: bytes, unverified: Unverified) -> tuple[Claims, float]:
        """Proven claims, and the Unix time until which they hold; TokenError or UnavailableError.

        `unverified` must be what `shape.peek` made of the same `token`.
        """
        algorithm, kid = self._checked_header(unverified.header)
        found = await self.keys.find(kid, algorithm)
        if found is None:
            raise TokenError("the token's key is not among its issuer's keys")
        try:
            with warnings.catch_warnings():
                # `EdDSA` is the older name of `Ed25519` (RFC 9864); whoever configured it knows.
                warnings.simplefilter("ignore", SecurityWarning)
                proven = jws.deserialize_compact(token, found.key, [algorithm], self._registry)
            claims = msgspec.json.decode(proven.payload)
        except (JoseError, ValueError, TypeError, RecursionError) as exc:
            raise TokenError("the token's signature is not valid") from exc
        if not isinstance(claims, dict):
            raise TokenError("the token's payload is not an object")
        return claims, self._checked_claims(claims)

    def _checked_header(self, header: Mapping[str, Any]) -> tuple[str, str | None]:
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if algorithm not in self._algorithms:
            raise TokenError("the token's algorithm is not allowed for its issuer")
        if any(name in header for name in _FORBIDDEN_HEADERS):
            raise TokenError("the token's header has a parameter that is not accepted")
        if not isinstance(kind, str) or kind.lower() not in _TYPES or not (kid is None or isinstance(kid, str)):
            raise TokenError("the token's header is not that of a JWT")
        return algorithm, kid

    def _checked_claims(self, claims: Claims) -> float:
        if claims.get("iss") != self.name:
            raise TokenError("the token's issuer is not accepted")
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(a, str) and a in self._audiences for a in audiences):
            raise TokenError("the token is for another audience")
        now, leeway_s = self._now(), self._leeway_s
        expires_s = _time(claims, "exp", required=True) + leeway_s
        if now >= expires_s:
            raise TokenError("the token has expired")
        if max(_time(claims, "nbf"), _time(claims, "iat")) > now + leeway_s:
            raise TokenError("the token is not valid yet")
        return expires_s


def _time(claims: Claims, name: str, *, required: bool = False) -> float:
    value = claims.get(name)
    if value is None and not required:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TokenError(f"the token's `{name}` is {'missing' if value is None else 'not a time'}")
    return float(value)


def principal_of(claims: Claims, names: ClaimNames, trust_domain: str) -> Principal:
    """The caller that proven `claims` describe; TokenError when a claim that should say so is missing or no name."""
    tenant = _named(claims, names.tenant)
    agent = _named(claims, names.agent)
    try:
        workload = workload_id(trust_domain, tenant, agent) if tenant and agent else ""
    except SpiffeError as exc:
        raise TokenError(str(exc)) from exc
    user = _named(claims, names.user)
    return Principal(workload=workload, user=user, tenant=tenant, agent=agent, method="jwt", claims=claims)


def _named(claims: Claims, name: str) -> str:
    return claim_text(lookup(claims, name), name) if name else ""


def claim_text(value: object, name: str) -> str:
    """`value` when it can name somebody: printable text of 1 to 256 characters; TokenError otherwise."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CLAIM_CHARS or not value.isprintable():
        raise TokenError(f"the token's claim `{name}` is missing or not a name")
    return value


def lookup(claims: Mapping[str, Any], name: str) -> object:
    """The claim called `name`; dots descend, but a claim whose own name has dots is found first. None if absent."""
    if name in claims:
        return claims[name]
    for dot in re.finditer(r"\.", name):
        below = claims.get(name[: dot.start()])
        if isinstance(below, dict):
            found = lookup(below, name[dot.end() :])
            if found is not None:
                return found
    return None


class TokenCache:
    """Who was proven by which token, by the SHA-256 of all of it. Refusals are never remembered."""

    __slots__ = ("_capacity", "_entries")

    def __init__(self, capacity: int = CACHE_ENTRIES) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[bytes, tuple[Principal, float, KeySource | None, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, digest: bytes, now_s: float) -> Principal | None:
        """The caller, while the token holds and the keys that proved it are still its issuer's."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        principal, until_s, keys, generation = entry
        if keys is not None:
            keys.touch()
        if now_s >= until_s or (keys is not None and keys.generation != generation):
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return principal

    def put(self, digest: bytes, principal: Principal, until_s: float, keys: KeySource | None = None) -> None:
        """Remember until Unix time `until_s`; the entry used longest ago makes room."""
        self._entries[digest] = (principal, until_s, keys, keys.generation if keys is not None else 0)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
