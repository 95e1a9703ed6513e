"""Authentication: sets `exchange.principal`, or answers 401.

Owns where credentials are looked for and what a caller is told about a bad one. A credential's shape decides who judges
it: a configured or virtual key is a key; what looks like a JWT goes to the verifier of its issuer; anything else is a
wrong key. A virtual key is looked up anew after every change of any: nothing outlives its revocation.
Nothing of a credential is ever repeated, in answers, records or metrics.

*Source:* RFC 6750 sections 2.1, 3, 3.1 and 5.3 (no credentials in URLs); RFC 9110 section 11; OpenAI API errors for
the wording; google-genai 3.4 (`x-goog-api-key`); boto3 1.44 (`AWS_BEARER_TOKEN_BEDROCK` is sent as a bearer token).
"""

import importlib
from collections.abc import Awaitable
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Final

from heddle.identity.errors import NamespaceError, TokenError, UnavailableError
from heddle.identity.keys import KeyTable, key_table, virtual_principal
from heddle.identity.shape import MAX_TOKEN_BYTES, peek
from heddle.identity.spiffe import check_trust_domain
from heddle.model.call import ModelCall
from heddle.model.principal import ANONYMOUS, Principal
from heddle.model.snapshot import ApiKeyAuthn, JwtAuthn, KeySpec, KubernetesAuthn, NoAuthn, Snapshot
from heddle.net.message import Headers, Request
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Phase
from heddle.pipeline.keyring import Held, Keyring
from heddle.telemetry import names
from heddle.telemetry.records import AuditRecord

if TYPE_CHECKING:
    from heddle.identity.bearer import Tokens

_MISSING: Final = (
    "You didn't provide an API key. Send it in an Authorization header using Bearer auth "
    "(Authorization: Bearer YOUR_KEY), or as x-api-key or x-goog-api-key."
)
_WRONG: Final = "Incorrect API key provided. It is not one that this gateway knows."
_NOT_A_JWT: Final = "The credential is not a JSON Web Token, and nothing else is accepted here."
_EXPIRED: Final = "The API key provided has expired."
_DISABLED: Final = "The API key provided is disabled."
_IN_URL: Final = (
    "Keys are not accepted in the URL, where logs and histories keep them. Send it in a header instead: "
    "x-goog-api-key: YOUR_KEY, or Authorization: Bearer YOUR_KEY. If it was a real key, have it replaced."
)
_SCHEME: Final = "The Authorization header must use the Bearer scheme: Authorization: Bearer YOUR_KEY."
_AMBIGUOUS: Final = "The request carries more than one credential; send exactly one."

_OTHER_FIELDS: Final = frozenset({b"x-api-key", b"api-key", b"x-goog-api-key"})
_FIELDS: Final = _OTHER_FIELDS | {b"authorization"}
_URL_PARAMETERS: Final = ("key=", "access_token=")
"""How Google's API and RFC 6750 section 2.3 would take a credential in a URL."""
_METHODS: Final = {
    "missing": "none",
    "unknown_key": "api_key",
    "expired_key": "api_key",
    "disabled_key": "api_key",
    "invalid_token": "jwt",
    "unavailable": "jwt",
    "namespace": "kubernetes",
}
"""Cause -> the method that refused, for the metric; the others are refused before a method is chosen."""

# RFC 6750 section 3.1: no error code where no credential was sent.
_CHALLENGE: Headers = [(b"www-authenticate", b"Bearer")]
_CHALLENGE_INVALID: Headers = [(b"www-authenticate", b'Bearer error="invalid_token"')]


_NO_KEY: tuple[object, Principal, float] = (None, ANONYMOUS, 0.0)
"""What a head remembers that was not judged yet: the table that knew its key, whose it is and when it expires."""


class _Refused(Exception):  # noqa: N818 -- it carries the answer, it is not one itself
    def __init__(self, cause: str, reason: Reason, detail: str, principal: Principal = ANONYMOUS) -> None:
        super().__init__(cause)
        self.cause = cause
        """Closed set: the label of the metric."""
        self.reason = reason
        self.detail = detail
        self.principal = principal


def build(snapshot: Snapshot, tools: Tools) -> "Authentication | None":
    """The policy for `snapshot.authentication`; None when there is none. ValueError when an entry is unfit."""
    if not snapshot.authentication:
        return None
    check_trust_domain(snapshot.trust_domain)
    keys: list[KeySpec] = []
    anonymous = virtual = False
    tokens: Tokens | None = None
    for entry in snapshot.authentication:
        if isinstance(entry, ApiKeyAuthn):
            keys.extend(entry.keys)
            virtual = virtual or entry.virtual
        elif isinstance(entry, NoAuthn):
            anonymous = True
        else:
            tokens = tokens or _load_tokens(tools, snapshot.trust_domain)
            _add(tokens, entry)
    open_to_all = all(isinstance(entry, NoAuthn) for entry in snapshot.authentication)
    table = key_table(keys, snapshot.trust_domain)
    ring = _Ring(tools.keyring, snapshot.trust_domain) if virtual else None
    return Authentication(tools, (table, ring), tokens, anonymous, open_to_all)


def _load_tokens(tools: Tools, trust_domain: str) -> "Tokens":
    # Imported here: without `jwt` and `kubernetes` a worker does not pay for the libraries behind it.
    module = importlib.import_module("heddle.identity.bearer")
    tokens: Tokens = module.Tokens(tools, trust_domain)
    return tokens


def _add(tokens: "Tokens", entry: JwtAuthn | KubernetesAuthn) -> None:
    if isinstance(entry, JwtAuthn):
        tokens.add_jwt(entry)
    else:
        tokens.add_kubernetes(entry)


class _Ring:
    """The virtual keys as one snapshot sees them."""

    __slots__ = ("_ring", "_trust_domain")

    def __init__(self, ring: Keyring, trust_domain: str) -> None:
        self._ring = ring
        self._trust_domain = trust_domain

    def get(self, digest: bytes) -> tuple[Principal, float] | None:
        """As of a `KeyTable`. Raises _Refused for a key that is disabled."""
        found = self._ring.find(digest)
        if found is None:
            return None
        held, expires_s = found
        principal = self._principal(held)
        if held.key.disabled:
            raise _Refused("disabled_key", Reason.UNAUTHENTICATED, _DISABLED, principal)
        return principal, expires_s

    def _principal(self, held: Held) -> Principal:
        principal = held.principal
        if principal is None or held.trust_domain != self._trust_domain:
            principal = held.principal = virtual_principal(held.key, self._trust_domain)
            held.trust_domain = self._trust_domain
        return principal


class Authentication:
    """Phase AUTHENTICATE of every route."""

    __slots__ = ("_anonymous", "_audit", "_keys", "_metrics", "_now", "_open", "_ring", "_table", "_tokens")

    phase: ClassVar[Phase] = Phase.AUTHENTICATE

    def __init__(
        self,
        tools: Tools,
        keys: tuple[KeyTable, _Ring | None],
        tokens: "Tokens | None",
        anonymous: bool,
        open_to_all: bool,
    ) -> None:
        self._now = tools.clock.now
        self._metrics = tools.metrics
        self._keys, self._ring = keys
        self._table = object()
        """Stands for `_keys` and `_ring` in what heads remember, so that they do not keep them alive."""
        if self._ring is not None:
            followers = tools.keyring.followers
            followers.append(self._forget)
            tools.closers.append(lambda: followers.remove(self._forget))
        self._tokens = tokens
        self._anonymous = anonymous
        """A caller without a credential is anonymous instead of refused."""
        self._open = open_to_all
        """Nothing is configured that a credential could be checked against, so none is looked at."""
        self._audit = tools.audit

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:
        """Authentication hides no model from whoever passed it."""
        del exchange, model
        return True

    def _forget(self) -> None:
        """A virtual key was changed: what heads remember is worth nothing any more."""
        self._table = object()

    def check(self, exchange: Exchange) -> Awaitable[None] | None:
        """Prove who calls. A key is known at once; raises CallError."""
        if self._open:
            return None
        table, principal, expires_s = exchange.request.memory.get("key", _NO_KEY)
        if table is not self._table or 0.0 < expires_s <= self._now():
            return self._look(exchange)
        _admit(exchange, principal)
        return None

    def _look(self, exchange: Exchange) -> Awaitable[None] | None:
        """The same for a head that was not seen before on its connection, or is not answered by a key that holds."""
        request = exchange.request
        try:
            credential = presented(request)
            digest = sha256(credential).digest()
            # Whatever is configured, having nothing to show proves nothing.
            found = self._known(digest) if credential else None
        except _Refused as refused:
            raise self._answer(exchange, refused) from None
        if found is None or 0.0 < found[1] <= self._now():
            return self._look_further(exchange, credential, digest, found and found[0])
        request.memory["key"] = (self._table, *found)
        _admit(exchange, found[0])
        return None

    def _known(self, digest: bytes) -> tuple[Principal, float] | None:
        """Whose key it is. What the configuration says of a key goes before what was said at run time."""
        found = self._keys.get(digest)
        return self._ring.get(digest) if found is None and self._ring is not None else found

    async def _look_further(
        self, exchange: Exchange, credential: bytes, digest: bytes, expired: Principal | None
    ) -> None:
        """`expired` is whose key it was."""
        try:
            _admit(exchange, await self._otherwise(credential, digest, expired))
        except _Refused as refused:
            raise self._answer(exchange, refused) from None

    async def _otherwise(self, credential: bytes, digest: bytes, expired: Principal | None) -> Principal:
        """Who presents a credential that is no valid key."""
        if not credential:
            return self._without_credential()
        if expired is not None:
            raise _Refused("expired_key", Reason.UNAUTHENTICATED, _EXPIRED, expired)
        tokens = self._tokens
        if tokens is None:
            raise _Refused("unknown_key", Reason.UNAUTHENTICATED, _WRONG)
        known = tokens.known(digest)
        return known if known is not None else await self._by_token(tokens, credential, digest)

    def _without_credential(self) -> Principal:
        if self._anonymous:
            return ANONYMOUS
        raise _Refused("missing", Reason.UNAUTHENTICATED, _MISSING)

    async def _by_token(self, tokens: "Tokens", credential: bytes, digest: bytes) -> Principal:
        unverified = peek(credential)
        if unverified is None:
            raise _Refused("unknown_key", Reason.UNAUTHENTICATED, _WRONG if self._keys or self._ring else _NOT_A_JWT)
        try:
            return await tokens.verify(credential, digest, unverified)
        except NamespaceError as exc:
            raise _Refused("namespace", Reason.FORBIDDEN, _sentence(exc.detail)) from exc
        except TokenError as exc:
            raise _Refused("invalid_token", Reason.UNAUTHENTICATED, _sentence(exc.detail)) from exc
        except UnavailableError as exc:
            detail = "Identities cannot be verified at the moment; try again later."
            raise _Refused("unavailable", Reason.IDENTITY_UNAVAILABLE, detail) from exc

    def _answer(self, exchange: Exchange, refused: _Refused) -> CallError:
        method = _METHODS.get(refused.cause, "none")
        self._metrics.counter(names.AUTHN_FAILURES, method=method, reason=refused.cause).add(1)
        cause = refused.__cause__
        note = cause.detail if isinstance(cause, UnavailableError) else refused.detail
        record = AuditRecord(
            kind="authn",
            outcome="error" if refused.reason is Reason.IDENTITY_UNAVAILABLE else "deny",
            principal=refused.principal,
            source=exchange.source_address,
            policy=refused.cause,
            detail=note,
            trace_id=exchange.trace.trace_id,
        )
        self._audit(record)
        headers: Headers = []
        if refused.reason is Reason.UNAUTHENTICATED:
            headers = _CHALLENGE if refused.cause == "missing" else _CHALLENGE_INVALID
        return CallError(refused.reason, refused.detail, headers=list(headers))


def _admit(exchange: Exchange, principal: Principal) -> None:
    exchange.principal = principal
    trace = exchange.trace
    if trace.wanted is not None and principal is not ANONYMOUS:
        trace.sampled = trace.wanted


def presented(request: Request) -> bytes:
    """The one credential of a request, empty when there is none; refuses two different ones.

    Looked for in `authorization`, `x-api-key`, `api-key` and `x-goog-api-key`. The same credential twice is one.
    """
    if request.query and any(part.startswith(_URL_PARAMETERS) for part in request.query.split("&")):
        raise _Refused("in_url", Reason.UNAUTHENTICATED, _IN_URL)
    fields = request.fields()
    value = fields.get(b"authorization")
    alone = len(fields) == len(request.headers) and _OTHER_FIELDS.isdisjoint(fields)
    if alone and value is not None and value[:7] == b"Bearer ":
        credential = value[7:].strip()
    else:
        credential = _sought(request.headers)
    if len(credential) > MAX_TOKEN_BYTES:
        raise _Refused("unknown_key", Reason.UNAUTHENTICATED, "The credential is longer than any that is accepted.")
    return credential


def _sought(headers: Headers) -> bytes:
    credential = b""
    for name, value in headers:
        if name in _FIELDS:
            found = _bearer(value) if name == b"authorization" else value
            if credential and found and found != credential:
                # RFC 6750 section 3.1, invalid_request: more than one method of including a token.
                raise _Refused("ambiguous", Reason.BAD_REQUEST, _AMBIGUOUS)
            credential = found or credential
    return credential


def _bearer(value: bytes) -> bytes:
    # RFC 9110 section 11.1: the scheme is case-insensitive.
    scheme, _, credential = value.strip().partition(b" ")
    if scheme.lower() not in {b"", b"bearer"}:
        raise _Refused("scheme", Reason.UNAUTHENTICATED, _SCHEME)
    return credential.strip()


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}."
