"""The token endpoint: one question in a form, one answer that holds a token or a reason.

Owns what counts as a good answer: a bearer token that fits into a header field, with a life that makes sense. What a
server says in words is not repeated; its error code is, if it is one that the specifications know.

*Source:* RFC 6749 sections 5.1, 5.2 and 6; RFC 6750 section 2.1; RFC 8693 section 2.2.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from heddle.identity.oauth.asking import Answer, Asker
from heddle.identity.oauth.challenge import scopes_of
from heddle.identity.oauth.client import Client, Form, prove
from heddle.identity.oauth.documents import ServerDocument
from heddle.identity.oauth.errors import OAuthError
from heddle.model.config_base import Secret
from heddle.model.redact import hidden_repr

MAX_TOKEN_CHARS = 16 * 1024
MAX_LIFE_S = 366 * 86_400.0
_TOKEN = re.compile(r"[!-~]+\Z")
_CODES = frozenset(
    {
        "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
        "invalid_scope", "invalid_target", "access_denied", "unsupported_response_type", "server_error",
        "temporarily_unavailable", "invalid_redirect_uri", "invalid_client_metadata", "interaction_required",
        "login_required", "consent_required", "insufficient_scope", "unapproved_software_statement",
    }
)  # fmt: skip


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """A token."""

    token: Secret
    expires_s: float = 0.0
    """Unix time; 0 when the server does not say."""
    refresh_token: Secret = ""
    scopes: tuple[str, ...] = ()
    """Those that were granted; the ones asked for where the server does not say."""
    issued_type: str = ""

    def __repr__(self) -> str:
        return hidden_repr(self)


class Granter:
    """Asks one token endpoint as one client."""

    __slots__ = ("_asker", "_client", "_now", "_server")

    def __init__(self, asker: Asker, server: ServerDocument, client: Client, now: Callable[[], float]) -> None:
        """Raises OAuthError when the server has no token endpoint."""
        if not server.token_endpoint:
            raise OAuthError("the authorization server has no token endpoint")
        self._asker = asker
        self._server = server
        self._client = client
        self._now = now

    async def ask(self, form: Form, *, kind: str = "bearer") -> Granted:
        """The token that is granted for `form`; `kind` is the `token_type` it must have. Raises OAuthError."""
        sent = dict(form)
        fields = prove(self._client, self._server, sent, self._now)
        answer = await self._asker.post_form(self._server.token_endpoint, sent, fields)
        if answer.status != 200:
            raise OAuthError(*_reason(answer, "the authorization server refused to grant a token"))
        value = answer.json()
        if not isinstance(value, dict):
            raise OAuthError("the authorization server's answer is not an object")
        return _granted(value, kind, form, self._now())


def error_code(value: object) -> str:
    """An error code that may be shown; empty for any that is not known."""
    return value if isinstance(value, str) and value in _CODES else ""


def _reason(answer: Answer, what: str) -> tuple[str, str]:
    """Detail and code of a refusal."""
    try:
        value = answer.json()
    except OAuthError:
        value = None
    code = error_code(value.get("error")) if isinstance(value, dict) else ""
    return f"{what} ({code or f'status {answer.status}'})", code


def _granted(value: dict[str, Any], kind: str, asked: Form, now_s: float) -> Granted:
    token, given = value.get("access_token"), value.get("token_type")
    if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARS or not _TOKEN.match(token):
        raise OAuthError("the authorization server granted something that is no token")
    # RFC 6749 section 7.1: a client must not use a token whose type it does not understand.
    if not isinstance(given, str) or given.lower() != kind:
        raise OAuthError("the authorization server granted a token of a type that is not known here")
    refresh = value.get("refresh_token")
    if not isinstance(refresh, str) or len(refresh) > MAX_TOKEN_CHARS or not _TOKEN.match(refresh):
        refresh = ""
    scope = value.get("scope")
    issued = value.get("issued_token_type")
    return Granted(
        token=token,
        expires_s=_expiry(value.get("expires_in"), now_s),
        refresh_token=refresh,
        scopes=scopes_of(scope if isinstance(scope, str) else asked.get("scope", "")),
        issued_type=issued if isinstance(issued, str) else "",
    )


def _expiry(life: object, now_s: float) -> float:
    """Some servers write the number as text."""
    if isinstance(life, str) and life.isascii() and life.isdigit() and len(life) <= 12:
        life = int(life)
    if life is None:
        return 0.0
    if isinstance(life, bool) or not isinstance(life, (int, float)) or not math.isfinite(life) or life <= 0:
        raise OAuthError("the authorization server granted a token whose life is no time")
    return now_s + min(float(life), MAX_LIFE_S)
