"""The caller of the older era as targets meet it: what it is told goes into its stream, what it is asked too.

Owns what of a session a target is shown. An answer to a question comes as a request of its own (`asking`).
*Source:* Model Context Protocol 2025-11-25, "Lifecycle" (capabilities), "Sampling", "Elicitation", "Roots".
"""

from heddle.backends.mcp.contract import Caller, Params
from heddle.dataplane.mcp.asking import Asking
from heddle.dataplane.mcp.running import Running
from heddle.dataplane.mcp.sessions import Session
from heddle.model.principal import Principal
from heddle.wire.jsonrpc import METHOD_NOT_FOUND, RpcError, encode_members, encode_notification
from heddle.wire.mcp.versions import UNSTATED


class LegacyCaller(Caller):
    """The caller of one request of a session."""

    version = UNSTATED

    def __init__(self, running: Running, asking: Asking, session: Session | None, principal: Principal) -> None:
        self.running = running
        self.hears = True
        """It reads what is said before the end of its request, and so can be asked."""
        self._asking = asking
        self.session = session
        self.principal = principal
        if session is not None:
            self.introduce(session)
            self.log_level = session.changing.log_level if session.changing is not None else ""

    def introduce(self, session: Session) -> None:
        """Be who the session says: over HTTP+SSE its stream is open before the client has said it."""
        carried = session.carried
        self.key, self.version, self.kept = session.key, carried.version, carried.kept
        self.capabilities, self.client_info = carried.capabilities, carried.client_info

    def notify(self, method: str, params: Params) -> None:
        """Into the stream of this request."""
        if method.startswith("notifications/"):
            self.running.say(encode_notification(method, encode_members(params)))

    def began(self, target: str) -> None:
        """Whoever follows the session listens to this target too."""
        if self.session is not None:
            self._asking.news(self.session, target)

    async def ask(self, method: str, params: Params) -> bytes:
        """In the stream of this request; the answer comes as a request of its own, perhaps to another worker."""
        if self.session is None or not self.hears:
            lacking = "it has no session" if self.session is None else "it does not read streams"
            raise RpcError(METHOD_NOT_FOUND, f"The client does not answer `{method}`: {lacking}.")
        return await self._asking.ask(self.session, self.running, method, params)
