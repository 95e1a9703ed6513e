"""The credentials of one snapshot's targets, and everything that an MCP listener serves for them.

Owns the making: the vault is opened where callers have credentials of their own, and nowhere else. What a missing
credential means in the protocol is said here once: `URLElicitationRequired`, whose text names the address too, for
clients that know nothing of it.

*Source:* MCP 2025-11-25, "URL Elicitation Required Error".
"""

from collections.abc import Callable

import msgspec

from heddle.backends.mcp.contract import ConsentRequired
from heddle.dataplane.mcp_oauth import Connectable, Pages
from heddle.drivers.vault import Vault, VaultError
from heddle.drivers.vault.memory import MemoryVault
from heddle.drivers.vault.sqlite import SqliteVault
from heddle.identity.oauth.building import build_credentials
from heddle.identity.oauth.errors import ConsentNeeded, CredentialUnavailable
from heddle.identity.oauth.registering import Site
from heddle.identity.oauth.resource_server import ResourceServer
from heddle.identity.oauth.setting import Shared, TargetCredentials
from heddle.identity.oauth.user import UserSecrets, UserTokens
from heddle.model.principal import Principal
from heddle.model.snapshot_mcp import McpSpec, McpTargetSpec, OpenApiSpec, StdioSpec
from heddle.model.snapshot_mcp_auth import NoTargetAuth, OAuthCodeAuth, UserSecretAuth
from heddle.net.message import Headers
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Checker
from heddle.wire.jsonrpc import RpcError

URL_ELICITATION_REQUIRED = -32042


class Authorizing:
    """The credential of one target, as its backend asks for it."""

    __slots__ = ("_credentials",)

    def __init__(self, credentials: TargetCredentials) -> None:
        self._credentials = credentials

    async def headers(self, principal: Principal, caller_token: bytes) -> Headers:
        """The fields to send. Raises RpcError when the caller has to connect an account, CallError otherwise."""
        try:
            return await self._credentials.headers(principal, caller_token)
        except (ConsentNeeded, CredentialUnavailable) as exc:
            raise _told(exc) from exc

    async def refused(self, principal: Principal, status: int, www_authenticate: str) -> bool:
        """Whether there are better fields for another attempt. Raises as `headers` does."""
        try:
            return await self._credentials.refused(principal, status, www_authenticate)
        except (ConsentNeeded, CredentialUnavailable) as exc:
            raise _told(exc) from exc


def _told(error: ConsentNeeded | CredentialUnavailable) -> RpcError | CallError:
    if isinstance(error, CredentialUnavailable):
        return CallError(Reason.PROVIDER_UNCONFIGURED, error.detail)
    asked = {"mode": "url", "elicitationId": error.elicitation_id, "url": error.url, "message": error.message}
    data = msgspec.json.encode({"elicitations": [asked]})
    return ConsentRequired(URL_ELICITATION_REQUIRED, f"{error.message} Open {error.url}", data)


class McpCredentials:
    """Of one snapshot. Closes itself with it."""

    def __init__(
        self,
        spec: McpSpec,
        tools: Tools,
        proof: Checker | None,
        connected: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`proof` and `connected` as of `Pages`. ValueError when something does not fit together."""
        said = spec.credentials
        site = Site(said.public_url, said.client_name)
        own = any(isinstance(target.auth, OAuthCodeAuth | UserSecretAuth) for target in spec.targets)
        vault = _vault(spec, tools) if own else MemoryVault(tools.clock.now)
        tools.closers.append(vault.close)
        shared = Shared(vault, tools.sealing, tools.kv("mcp_oauth"), site, tools.clock)
        self._by_target = {
            target.name: _build(target, shared, tools)
            for target in spec.targets
            if not isinstance(target.auth, NoTargetAuth)
        }
        self.resources = {
            server.path: ResourceServer(server, server.oauth) for server in spec.servers if server.oauth is not None
        }
        """Virtual servers that want OAuth tokens, by path."""
        connectable: dict[str, Connectable] = {
            name: one for name, one in self._by_target.items() if isinstance(one, UserTokens | UserSecrets)
        }
        self.pages = Pages(shared, self.resources, connectable, None if said.proof == "none" else proof, connected)

    def authorizing(self, target: str) -> Authorizing | None:
        """What calls to `target` are authorized with; None where there is nothing."""
        credentials = self._by_target.get(target)
        return Authorizing(credentials) if credentials is not None else None


def _vault(spec: McpSpec, tools: Tools) -> Vault:
    try:
        vault = SqliteVault(tools.state_dir, spec.credentials.vault_keys, tools.clock.now)
        vault.purge(tools.clock.now() - spec.credentials.keep_s)
    except VaultError as exc:
        raise ValueError(f"mcp.credentials: {exc}") from exc
    return vault


def _build(target: McpTargetSpec, shared: Shared, tools: Tools) -> TargetCredentials:
    connect = target.connect
    if isinstance(connect, StdioSpec):
        raise ValueError(f"tool server {target.name!r}: a credential is for targets that are reached over HTTP")
    url = connect.base_url if isinstance(connect, OpenApiSpec) else connect.url
    try:
        credentials, asker = build_credentials(target.name, url, target.auth, shared, tools.client)
    except ValueError as exc:
        raise ValueError(f"tool server {target.name!r}: {exc}") from exc
    tools.closers.append(asker.close)
    return credentials
