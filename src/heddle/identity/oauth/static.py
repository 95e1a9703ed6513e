"""Credentials that are the same for all callers, and written in the configuration; or none at all."""

import base64

from heddle.identity.oauth.errors import CredentialUnavailable
from heddle.model.principal import Principal
from heddle.model.snapshot_mcp_auth import BasicAuth, BearerAuth, HeaderAuth, NoTargetAuth
from heddle.net.message import Headers


class StaticCredentials:
    """One field, always the same."""

    __slots__ = ("_error", "_fields")

    def __init__(self, target: str, spec: NoTargetAuth | BearerAuth | HeaderAuth | BasicAuth) -> None:
        """ValueError for a secret that fits into no header field."""
        self._fields = _fields(spec)
        error = "" if isinstance(spec, NoTargetAuth) else spec.credential_error
        if not error and not isinstance(spec, NoTargetAuth) and not spec.credential:
            error = "no credential is configured"
        self._error = f"The target `{target}` is not usable: {error}." if error else ""

    def __repr__(self) -> str:
        return "StaticCredentials()"

    async def headers(self, principal: Principal, caller_token: bytes) -> Headers:
        """See `TargetCredentials`."""
        del principal, caller_token
        if self._error:
            raise CredentialUnavailable(self._error)
        return self._fields

    async def refused(self, principal: Principal, status: int, www_authenticate: str) -> bool:
        """See `TargetCredentials`. There is no other one to try."""
        del principal, status, www_authenticate
        return False


def _fields(spec: NoTargetAuth | BearerAuth | HeaderAuth | BasicAuth) -> Headers:
    if isinstance(spec, NoTargetAuth):
        return []
    if isinstance(spec, BearerAuth):
        return [field("authorization", "Bearer ", spec.credential)]
    if isinstance(spec, BasicAuth):
        pair = f"{spec.username}:{spec.credential}".encode()
        return [field("authorization", "Basic ", base64.b64encode(pair).decode())]
    return [field(spec.header, spec.prefix, spec.credential)]


_FRAMING = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "content-type", "accept"}
)


def field(name: str, prefix: str, secret: str) -> tuple[bytes, bytes]:
    """A header field. ValueError when it would be none, or another one."""
    value = f"{prefix}{secret}"
    if not value.isascii() or not value.isprintable() or name.lower() in _FRAMING or name.lower().startswith("mcp-"):
        raise ValueError("a credential must be printable ASCII, in a field that means nothing else")
    return name.lower().encode("ascii"), value.encode("ascii")
