"""Authentication, compiled: keys become digests, token issuers get their files and times.

A key that cannot be resolved is an error: to leave it out would lock its owner out unseen.
"""

import hashlib

import msgspec

from heddle.controlplane.paths import absolute
from heddle.controlplane.secrets import SecretError, Secrets
from heddle.model.config_security import ApiKey, Authentication, Issuer, Jwks, Jwt, Key, Kubernetes
from heddle.model.formats import duration_s, timestamp_s
from heddle.model.plan import Placed
from heddle.model.problem import Place, Report
from heddle.model.snapshot import (
    ApiKeyAuthn,
    Authn,
    ClaimNames,
    IssuerSpec,
    JwksSpec,
    JwtAuthn,
    KeySpec,
    KubernetesAuthn,
    NoAuthn,
)


def compile_authentication(
    entries: list[Placed[Authentication]], secrets: Secrets, report: Report
) -> tuple[Authn, ...]:
    """All entries, in order. Reports keys that cannot be resolved, and keys that turn out to be the same."""
    seen: dict[str, Place] = {}
    return tuple(_entry(entry, place, (secrets, report, seen)) for entry, place in entries)


_Tools = tuple[Secrets, Report, dict[str, Place]]


def _entry(entry: Authentication, place: Place, tools: _Tools) -> Authn:
    folder = place.source.folder
    if isinstance(entry, ApiKey):
        keys = (_key(key, place.at("keys", index), tools) for index, key in enumerate(entry.keys))
        return ApiKeyAuthn(keys=tuple(key for key in keys if key is not None), virtual=entry.virtual is not False)
    if isinstance(entry, Jwt):
        return JwtAuthn(issuers=tuple(_issuer(issuer, folder) for issuer in entry.issuers))
    if isinstance(entry, Kubernetes):
        return _kubernetes(entry, folder)
    return NoAuthn()


def _key(key: Key, place: Place, tools: _Tools) -> KeySpec | None:
    secrets, report, seen = tools
    if not key.key and not key.key_sha256:
        return None  # reported by `rules_access`
    try:
        digest = key.key_sha256.lower() or _digest(secrets.resolve(key.key, place.source.folder))
    except SecretError as exc:
        report.error(place.at("key"), str(exc))
        return None
    first = seen.setdefault(digest, place)
    if first is not place and not report.is_broken(place):
        where = f"{first.source.file}:{first.source.line(first.path)}"
        report.error(place, f"turns out to be the same key as at {where}; who calls would be ambiguous")
    return KeySpec(
        sha256=digest,
        user=key.user,
        tenant=key.tenant,
        agent=key.agent,
        models=key.models,
        expires_at_s=timestamp_s(key.expires) if key.expires else 0.0,
        metadata=key.metadata,
    )


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _issuer(issuer: Issuer, folder: str) -> IssuerSpec:
    claims = issuer.claims
    return IssuerSpec(
        issuer=issuer.issuer,
        audiences=issuer.audiences,
        jwks=_jwks(issuer.jwks, folder),
        algorithms=issuer.algorithms,
        claims=ClaimNames(user=claims.user, tenant=claims.tenant, agent=claims.agent),
        leeway_s=duration_s(issuer.leeway),
    )


def _jwks(jwks: Jwks, folder: str) -> JwksSpec:
    return JwksSpec(
        file=absolute(folder, jwks.file),
        url=jwks.url,
        inline=inline_text(jwks),
        refresh_s=duration_s(jwks.refresh),
    )


def inline_text(jwks: Jwks) -> str:
    """An inline key set as JSON text."""
    return jwks.inline if isinstance(jwks.inline, str) else msgspec.json.encode(jwks.inline).decode()


def _kubernetes(entry: Kubernetes, folder: str) -> KubernetesAuthn:
    issuer = None
    if entry.jwks is not None:
        issuer = IssuerSpec(
            issuer=entry.issuer,
            audiences=entry.audiences,
            jwks=_jwks(entry.jwks, folder),
            algorithms=entry.algorithms,
            leeway_s=duration_s(entry.leeway),
        )
    return KubernetesAuthn(
        allowed_namespaces=entry.allowed_namespaces,
        audiences=entry.audiences,
        issuer=issuer,
        api_server=entry.api_server.rstrip("/"),
        token_file=absolute(folder, entry.token_file),
        ca_file=absolute(folder, entry.ca_file),
    )
