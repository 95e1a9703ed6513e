"""What fronts and targets are to each other."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec

from heddle.model.principal import ANONYMOUS, Principal
from heddle.pipeline.exchange import Exchange
from heddle.wire.jsonrpc import METHOD_NOT_FOUND, RpcError
from heddle.wire.mcp.meta import Meta
from heddle.wire.mcp.versions import LATEST, MODERN

Params = dict[str, msgspec.Raw]
NOTHING = b"{}"
ANSWERED_BY = {"sampling/createMessage": "sampling", "elicitation/create": "elicitation", "roots/list": "roots"}
"""What a server may ask of a client, and the capability with which the client says that it answers."""


class ConsentRequired(RpcError):  # noqa: N818 -- nothing went wrong
    """The caller has to connect an account before this target can be asked. It says nothing about the target."""


class Caller:
    """On whose behalf a target is asked. Fronts make one per request; this one is the gateway itself."""

    principal: Principal = ANONYMOUS
    given_token: bytes | None = None
    """What `token` is, where it is not the exchange's."""
    key: str = "gateway"
    """What sessions with targets are kept under: the caller's session, or who the caller is where it has none."""
    version: str = LATEST
    capabilities: bytes = NOTHING
    """What the caller declared that it can do, as raw JSON."""
    client_info: bytes = b""
    """Who the client says it is, as raw JSON; empty when it does not."""
    log_level: str = ""
    """Least severe message it wants; empty wants none."""
    exchange: Exchange | None = None
    passing: Meta | None = None
    """The members of the request's `_meta` that pass on, where it has been read; shared, must not be changed."""
    kept: dict[str, str] | None = None
    """Sessions with targets that the caller's token carries, by target."""
    beginning: dict[str, str] | None = None
    """While the caller's own session begins: sessions with targets that its token is going to carry."""

    @property
    def token(self) -> bytes:
        """The credential that the caller presented, empty for none: for exchanging, never for passing on."""
        if self.given_token is None and self.exchange is not None:
            value = self.exchange.request.header(b"authorization") or b""
            self.given_token = value[7:].strip() if value[:7].lower() == b"bearer " else b""
        return self.given_token or b""

    @token.setter
    def token(self, token: bytes) -> None:
        self.given_token = token

    @property
    def modern(self) -> bool:
        """Speaks a version without sessions."""
        return self.version in MODERN

    def can(self, capability: str) -> bool:
        """Whether it declared a capability (`sampling`, `elicitation`, `roots`)."""
        declared: object = msgspec.json.decode(self.capabilities)
        return isinstance(declared, dict) and isinstance(declared.get(capability), dict)

    def began(self, target: str) -> None:
        """A session with a target began for this caller, after its own."""

    def notify(self, method: str, params: Params) -> None:
        """The server says something; nobody listens here."""

    async def ask(self, method: str, params: Params) -> bytes:
        """The server wants to know something: the result as raw JSON. Raises RpcError."""
        del params
        raise RpcError(METHOD_NOT_FOUND, f"The client does not answer `{method}`.")


class TargetRequest(msgspec.Struct, kw_only=True, gc=False, eq=False):
    """One request to a target, in its own names."""

    method: str
    params: Params
    """Without `_meta`."""
    meta: Meta = msgspec.field(default_factory=dict)
    """Members of `_meta` that pass on."""
    name: str = ""
    """What `Mcp-Name` says."""
    extra: list[tuple[bytes, bytes]] = msgspec.field(default_factory=list)
    """Further HTTP fields: `Mcp-Param-*`."""
    timeout_s: float = 0.0
    """Longest silence; 0 is the target's own."""


class Described(msgspec.Struct, kw_only=True, frozen=True):
    """What a server says of itself."""

    version: str
    """Protocol version that is spoken with it."""
    capabilities: dict[str, object] = {}
    server_info: dict[str, object] = {}
    instructions: str = ""
    ttl_s: float = 0.0
    """How long it says this may be kept; 0 says nothing."""


class Wanted(msgspec.Struct, kw_only=True, frozen=True):
    """What somebody who listens wants to hear of."""

    tools: bool = False
    prompts: bool = False
    resources: bool = False
    """That lists changed."""
    uris: tuple[str, ...] = ()
    """Resources whose changes are told."""


Hear = Callable[[str, Params], None]
"""Takes what a server says: a notification's method and params."""
LISTENING = ""
"""In place of a method: from now on nothing is missed."""


class Target(Protocol):
    """One way to a server."""

    name: str

    @property
    def stateful(self) -> bool:
        """Whether it keeps a session for each caller that has one."""
        ...

    async def describe(self, caller: Caller) -> Described:
        """Begin with it, or ask it. Raises RpcError or CallError."""
        ...

    def call(self, request: TargetRequest, caller: Caller) -> Coroutine[Any, Any, bytes]:
        """The result as raw JSON, `input_required` only for modern callers. Raises RpcError or CallError."""
        ...

    async def notify(self, method: str, params: Params, caller: Caller) -> None:
        """Tell it something that has no answer (`notifications/roots/list_changed`). Raises CallError."""
        ...

    async def listen(self, wanted: Wanted, caller: Caller, hear: Hear) -> None:
        """Hear what it says by itself until cancelled, or until it ends the stream. Raises RpcError or CallError."""
        ...

    async def knows(self, caller: Caller) -> bool:
        """Whether the caller has a session with it."""
        ...

    async def end(self, caller: Caller) -> None:
        """The caller's session is over: so is the one with the server."""
        ...

    def close(self) -> None:
        """Nothing is asked any more."""
        ...
