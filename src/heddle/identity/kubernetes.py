"""Kubernetes service accounts: who a token stands for, by its claims or by asking the API server.

Owns the reading of service-account identities and the TokenReview call. Which namespaces may come in is decided by the
caller of this module after the token is proven; before that nothing a token says is answered.

*Source:* Kubernetes authentication.k8s.io/v1 TokenReview; "Authenticating", section service account tokens.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from heddle.identity.errors import TokenError, UnavailableError
from heddle.identity.fetch import Endpoint, FileDocument
from heddle.identity.shape import Unverified
from heddle.identity.spiffe import SpiffeError, workload_id
from heddle.model.principal import Principal
from heddle.model.snapshot import KubernetesAuthn
from heddle.pipeline.assembly import Tools

CACHE_S = 60.0
"""Longest time that an API server's word is believed without asking again: how late a deleted account is noticed."""
MAX_WAITING = 64
"""Reviews under way at once; more tokens than that are told to come back, so that a flood of them cannot
become one on the API server."""

_ACCOUNT_PREFIX = "system:serviceaccount:"
_TARGET = "/apis/authentication.k8s.io/v1/tokenreviews"
_HEADERS = [(b"content-type", b"application/json"), (b"accept", b"application/json")]


class _User(msgspec.Struct, frozen=True):
    username: str = ""
    uid: str = ""
    groups: list[str] = []


class _Status(msgspec.Struct, frozen=True):
    authenticated: bool = False
    user: _User = _User()
    audiences: list[str] = []


class _Review(msgspec.Struct, frozen=True):
    status: _Status = _Status()


_answers = msgspec.json.Decoder(_Review)


def service_account(claims: dict[str, Any]) -> tuple[str, str]:
    """Namespace and name of the account that proven `claims` are about; TokenError when they are not about one."""
    subject = claims.get("sub")
    named = split_account(subject) if isinstance(subject, str) else None
    bound = claims.get("kubernetes.io")
    if isinstance(bound, dict):
        account = bound.get("serviceaccount")
        name = account.get("name") if isinstance(account, dict) else None
        namespace = bound.get("namespace")
        if not isinstance(namespace, str) or not isinstance(name, str) or (named and named != (namespace, name)):
            raise TokenError("the token is not that of a service account")
        return namespace, name
    if named is None:
        raise TokenError("the token is not that of a service account")
    return named


def split_account(username: str) -> tuple[str, str] | None:
    """Namespace and name in `system:serviceaccount:<namespace>:<name>`; None for other users."""
    if not username.startswith(_ACCOUNT_PREFIX):
        return None
    namespace, colon, name = username.removeprefix(_ACCOUNT_PREFIX).partition(":")
    return (namespace, name) if namespace and colon and name and ":" not in name else None


def account_principal(namespace: str, name: str, claims: dict[str, Any], trust_domain: str) -> Principal:
    """The principal of a proven service account; TokenError when no SPIFFE id can carry its name."""
    try:
        workload = workload_id(trust_domain, namespace, name)
    except SpiffeError as exc:
        raise TokenError(str(exc)) from exc
    return Principal(workload=workload, tenant=namespace, agent=name, method="kubernetes", claims=claims)


class TokenReviewer:
    """Asks the API server about tokens, with this process's own service account."""

    __slots__ = ("_audiences", "_endpoint", "_now", "_own", "_own_token", "_waiting")

    def __init__(self, spec: KubernetesAuthn, tools: Tools) -> None:
        """ValueError when the API server would be asked without TLS over a network.

        Outside of a cluster, without `api_server`, every review is unavailable: the configuration stays usable.
        """
        base_url = spec.api_server or _in_cluster_url()
        ca_file = spec.ca_file if Path(spec.ca_file).exists() else ""
        self._endpoint = Endpoint(tools, base_url, ca_file) if base_url else None
        self._own = FileDocument(Path(spec.token_file))
        self._own_token = b""
        self._audiences = spec.audiences
        self._now = tools.clock.now
        self._waiting = 0

    async def review(self, token: bytes, unverified: Unverified) -> tuple[dict[str, Any], float]:
        """Claims of the account (`sub`, `uid`, `groups`) and the Unix time until which to believe them.

        TokenError when the server does not know the token, UnavailableError when it cannot be asked.
        """
        expires_s = self._worth_asking(unverified)
        if self._waiting >= MAX_WAITING:
            raise UnavailableError("too many tokens are being reviewed")
        self._waiting += 1
        try:
            status = await self._asked(token)
        finally:
            self._waiting -= 1
        if not status.authenticated:
            raise TokenError("the token is not accepted by the cluster")
        # A server that ignores audiences names none; its word is then about its own audience, not about ours.
        if self._audiences and not set(self._audiences) & set(status.audiences):
            raise TokenError("the token is for another audience")
        user = status.user
        claims = {"sub": user.username, "uid": user.uid, "groups": list(user.groups)}
        return claims, min(expires_s, self._now() + CACHE_S)

    def _worth_asking(self, unverified: Unverified) -> float:
        """When the token says it ends; TokenError when by its own word it cannot be good, which saves the call."""
        expires = unverified.claims.get("exp", float("inf"))
        if isinstance(expires, bool) or not isinstance(expires, (int, float)) or not expires > self._now():
            raise TokenError("the token has expired")
        service_account(unverified.claims)
        return float(expires)

    async def _asked(self, token: bytes) -> _Status:
        spec: dict[str, Any] = {"token": token.decode("ascii")}
        if self._audiences:
            spec["audiences"] = self._audiences
        body = msgspec.json.encode({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec})
        if self._endpoint is None:
            raise UnavailableError("not inside a cluster: give `api_server`, or the issuer's `jwks` and `audiences`")
        try:
            headers = [*_HEADERS, (b"authorization", b"Bearer " + self._own_bearer())]
            code, answer = await self._endpoint.send("POST", _TARGET, headers, body)
            if code not in {200, 201}:
                raise UnavailableError(f"the API server answered a TokenReview with status {code}")
            return _answers.decode(answer).status
        except (OSError, TimeoutError, ValueError, RecursionError) as exc:
            raise UnavailableError(f"the API server could not be asked: {exc}") from exc

    def _own_bearer(self) -> bytes:
        fresh = self._own.read()  # a mounted token is replaced about once an hour
        if fresh is not None:
            self._own_token = fresh.strip()
        return self._own_token


def _in_cluster_url() -> str:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return ""
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
