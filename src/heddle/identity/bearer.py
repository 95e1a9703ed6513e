"""Verification of JWT-shaped credentials: which of the configured verifiers a token goes to, and who it proves.

Owns the choice by `iss` and the cache of what was proven. Loaded only where a configuration has `jwt` or `kubernetes`:
the libraries behind it take some 25 MB.
"""

from collections.abc import Awaitable
from typing import Protocol

from heddle.identity.errors import NamespaceError, TokenError
from heddle.identity.fetch import jwks_loader
from heddle.identity.jwks import KeySource
from heddle.identity.kubernetes import TokenReviewer, account_principal, service_account
from heddle.identity.shape import Unverified
from heddle.identity.spiffe import check_trust_domain
from heddle.identity.tokens import Claims, Issuer, TokenCache, principal_of
from heddle.model.principal import Principal
from heddle.model.snapshot import IssuerSpec, JwtAuthn, KubernetesAuthn
from heddle.pipeline.assembly import Tools

Proof = tuple[Principal, float, KeySource | None]
"""Who, until which Unix time, and the keys that proved it."""
_Namespaces = frozenset[str] | None


class Verifier(Protocol):
    """Proves tokens of one origin."""

    def __call__(self, token: bytes, unverified: Unverified) -> Awaitable[Proof]:
        """TokenError when the token proves nothing, UnavailableError when that cannot be found out."""
        ...


class Tokens:
    """Every configured origin of tokens."""

    __slots__ = ("_by_issuer", "_cache", "_now", "_reviewer", "_tools", "_trust_domain")

    def __init__(self, tools: Tools, trust_domain: str) -> None:
        self._tools = tools
        self._now = tools.clock.now
        self._trust_domain = check_trust_domain(trust_domain)
        self._by_issuer: dict[str, Verifier] = {}
        self._reviewer: Verifier | None = None
        self._cache = TokenCache()

    def add_jwt(self, entry: JwtAuthn) -> None:
        """Accept the tokens of `entry`; ValueError when it is unfit, or an issuer is there already."""
        for spec in entry.issuers:
            issuer = self._issuer(spec)
            self._by_issuer[spec.issuer] = self._jwt(spec, issuer)

    def add_kubernetes(self, entry: KubernetesAuthn) -> None:
        """Accept the service accounts of `entry`; ValueError when it is unfit."""
        namespaces = None if entry.allowed_namespaces is None else frozenset(entry.allowed_namespaces)
        if entry.issuer is not None:
            self._by_issuer[entry.issuer.issuer] = self._local(self._issuer(entry.issuer), namespaces)
        elif self._reviewer is not None:
            raise ValueError("only one entry can ask an API server about tokens")
        else:
            reviewer = TokenReviewer(entry, self._tools)
            self._reviewer = self._reviewed(reviewer, namespaces)

    def known(self, digest: bytes) -> Principal | None:
        """Who was proven by the token with this SHA-256 before, while that still holds."""
        return self._cache.get(digest, self._now())

    async def verify(self, token: bytes, digest: bytes, unverified: Unverified) -> Principal:
        """Who the token proves; TokenError, NamespaceError or UnavailableError."""
        verifier = self._by_issuer.get(unverified.issuer, self._reviewer)
        if verifier is None:
            raise TokenError("the token's issuer is not accepted")
        principal, until_s, keys = await verifier(token, unverified)
        self._cache.put(digest, principal, until_s, keys)
        return principal

    def _issuer(self, spec: IssuerSpec) -> Issuer:
        if spec.issuer in self._by_issuer:
            raise ValueError(f"issuer {spec.issuer} is listed twice")
        load, refresh_s = jwks_loader(spec.jwks, self._tools)
        keys = KeySource(load, refresh_s=refresh_s, monotonic=self._tools.clock.monotonic)
        self._tools.closers.append(keys.close)
        return Issuer(spec, keys, self._now)

    def _jwt(self, spec: IssuerSpec, issuer: Issuer) -> Verifier:
        async def verify(token: bytes, unverified: Unverified) -> Proof:
            claims, until_s = await issuer.verify(token, unverified)
            return principal_of(claims, spec.claims, self._trust_domain), until_s, issuer.keys

        return verify

    def _local(self, issuer: Issuer, namespaces: _Namespaces) -> Verifier:
        async def verify(token: bytes, unverified: Unverified) -> Proof:
            claims, until_s = await issuer.verify(token, unverified)
            return self._account(claims, namespaces), until_s, issuer.keys

        return verify

    def _reviewed(self, reviewer: TokenReviewer, namespaces: _Namespaces) -> Verifier:
        async def verify(token: bytes, unverified: Unverified) -> Proof:
            claims, until_s = await reviewer.review(token, unverified)
            return self._account(claims, namespaces), until_s, None

        return verify

    def _account(self, claims: Claims, namespaces: _Namespaces) -> Principal:
        namespace, name = service_account(claims)
        principal = account_principal(namespace, name, claims, self._trust_domain)
        if namespaces is not None and namespace not in namespaces:
            raise NamespaceError(f"service accounts of namespace `{namespace}` may not authenticate here")
        return principal
