"""Access as the API server asks for it: one object that knows who a request is from and what it may do.

Owns the order of things: a credential is proven, a role allows, and only then is anything looked at. The index of
rights follows the store; a decision is made on what the store holds at that moment.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from heddle.controlplane.access import rbac
from heddle.controlplane.access.audit import UNKNOWN, Audit, Occasion
from heddle.controlplane.access.authentication import Authentication, TokenRefusedError
from heddle.controlplane.access.authority import Authority
from heddle.controlplane.access.caller import ANONYMOUS, Attributes, Caller, Decision, public_path
from heddle.controlplane.access.escalation import Escalation
from heddle.controlplane.access.rbac import Rbac
from heddle.controlplane.access.rules import Rule
from heddle.controlplane.access.tokens import BearerTokens, LocalTokens, token_request
from heddle.drivers.documents import Key
from heddle.telemetry.records import AuditRecord
from heddle.wire.kube.status import ApiError

ACCOUNT_RESOURCE = "serviceaccounts"


class Stored(Protocol):
    """A version of an object, as it is kept."""

    @property
    def key(self) -> Key:
        """Which object."""
        ...

    @property
    def version(self) -> int:
        """Its resourceVersion."""
        ...

    @property
    def object(self) -> dict[str, Any]:
        """The object."""
        ...


class Store(Protocol):
    """What access needs of the store."""

    def get(self, key: Key) -> Stored | None:
        """The object, or None."""
        ...

    def list(self, resource: str, namespace: str | None) -> Sequence[Stored]:
        """All of a kind."""
        ...

    def follow(self, resource: str, follower: Callable[[Any], None]) -> None:
        """Have each change told before the write that made it returns; None where some were passed over."""
        ...


def unwritten(record: AuditRecord) -> None:
    """For who keeps no audit records, such as a test."""
    del record


class Access:
    """Who calls, and what they may."""

    def __init__(
        self,
        store: Store,
        authority: Authority,
        now: Callable[[], float] = time.time,
        audit: Callable[[AuditRecord], None] = unwritten,
    ) -> None:
        """`store` must have been started; `now` is Unix time in seconds; `audit` keeps a record, as `Spool.audit`
        does."""
        self.authority = authority
        self.local_tokens = LocalTokens(authority, now)
        self.tokens = BearerTokens(authority, self.local_tokens, self._account_uid, now)
        self.rbac = Rbac()
        self._store = store
        self._audit = Audit(audit)
        self._authentication = Authentication(authority, self.tokens, now)
        self._escalation = Escalation(self.rbac, self.authorize)
        self._stale = True
        """Changes were passed over: all roles and bindings are read anew."""
        self._versions: dict[Key, int] = {}
        for resource in rbac.RESOURCES:
            store.follow(resource, self._told)

    async def authenticate(
        self, headers: Mapping[str, str], certificate: bytes | None, *, source: str = "", path: str = ""
    ) -> Caller:
        """Who a request is from. Raises ApiError 401, 403 (impersonation), 429, 503.

        `headers` have names in lower case, repeated ones joined by commas; `certificate` is that of the client, DER,
        which TLS has checked and is checked here again; `source` is the address of the peer. Without a credential, a
        caller for a public `path` is anonymous. Refusals are audited here.
        """
        try:
            return await self._authentication.caller(headers, certificate, source, path)
        except ApiError as exc:
            self._audit.request(None, Attributes("", path=path), exc.code, 0, Occasion(source, why=exc.message))
            raise

    def authorize(self, caller: Caller, asked: Attributes) -> Decision:
        """Whether the caller may. Nobody may what no binding allows."""
        if not asked.resource and asked.verb in {"get", "head"} and public_path(asked.path):
            return Decision(True, "public")
        if caller.name == ANONYMOUS.name:
            return Decision(False)
        if asked.resource == "namespaces" and asked.name and not (asked.group or asked.namespace):
            # A namespace stands in itself: who may read all in it may read it.
            asked = asked._replace(namespace=asked.name)
        self._follow()
        return self.rbac.decide(caller, asked)

    def admit(self, caller: Caller, asked: Attributes, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """Last word on a write, of whatever verb: `old` is the object as it is (None: it is made), `new` as it would be
        stored (None: it is deleted). Raises ApiError 403 where it gives rights that the caller does not have, 422."""
        if asked.group == rbac.GROUP:
            self._follow()
            self._escalation.check(caller, asked, old, new)

    def audit(self, caller: Caller, asked: Attributes, code: int, version: int = 0, at: Occasion = UNKNOWN) -> None:
        """Have it written down that a request was answered with `code`, where that is to be: call it for each.

        `version` is what a write made, 0 where nothing. Writes, refusals and reads of Secrets are kept.
        """
        self._audit.request(caller, asked, code, version, at)

    def rules_for(self, caller: Caller, namespace: str) -> list[Rule]:
        """All rules that hold for the caller in a namespace."""
        self._follow()
        return self.rbac.held(caller, namespace)

    async def review_token(self, token: str) -> Caller | None:
        """Who a bearer token is of; None when it proves nothing here. Raises ApiError 503."""
        credential = token.encode("utf-8", "replace")
        try:
            return self.tokens.known(credential) or await self.tokens.verify(credential)
        except TokenRefusedError:
            return None

    def token_for(self, namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer a POST to `serviceaccounts/{name}/token`: a TokenRequest with its token. Raises ApiError 400, 404.

        The API server has authorized `create` of `serviceaccounts/token`.
        """
        return token_request(self.local_tokens, (namespace, name), self._account_uid(namespace, name), body)

    def _account_uid(self, namespace: str, name: str) -> str:
        found = self._store.get(Key(ACCOUNT_RESOURCE, namespace, name))
        uid = (found.object.get("metadata") or {}).get("uid") if found is not None else None
        return uid if isinstance(uid, str) else ""

    def _told(self, event: Any) -> None:
        """A role or binding changed."""
        if event is None:
            self._stale = True
            return
        stored: Stored = event.stored
        if event.kind == "DELETED":
            self._versions.pop(stored.key, None)
            self.rbac.remove(stored.key)
        else:
            self._take(stored)

    def _follow(self) -> None:
        """Read what the store has of roles and bindings, where that is not known to be what is here."""
        if not self._stale:
            return
        found = {one.key: one for resource in rbac.RESOURCES for one in self._store.list(resource, None)}
        for key, one in found.items():
            if self._versions.get(key) != one.version:
                self._take(one)
        for key in self._versions.keys() - found.keys():
            self.rbac.remove(key)
            del self._versions[key]
        self._stale = False

    def _take(self, stored: Stored) -> None:
        self._versions[stored.key] = stored.version
        self.rbac.put(stored.key, stored.object)
