"""Credentials of each caller's own: tokens they consented to, and keys they left.

Owns finding them, renewing them, and sending their owner to the page where they are made. A refresh token is spent by
one process at a time: servers that rotate them take a second use for a theft, and revoke everything. What was made for
one resource is not sent to another, should the target's URL be changed.

*Source:* RFC 6749 section 6; RFC 9700 section 4.14.2 (rotation); MCP 2025-11-25, "URL Mode Elicitation".
"""

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from typing import NamedTuple

import msgspec

from heddle.drivers.vault import SHARED, Credential, Kept, Place, VaultError
from heddle.identity.oauth.challenge import Challenge, read_challenge
from heddle.identity.oauth.connecting import Connecting, Offer, Ticket, seal_ticket
from heddle.identity.oauth.documents import canonical
from heddle.identity.oauth.errors import ConsentNeeded, CredentialUnavailable, OAuthError
from heddle.identity.oauth.granting import Granter
from heddle.identity.oauth.owner import label_of, owner_of
from heddle.identity.oauth.setting import Setting
from heddle.identity.oauth.static import field
from heddle.identity.oauth.stepping import Steps, union
from heddle.model.principal import Principal
from heddle.model.snapshot_mcp_auth import OAuthCodeAuth, UserSecretAuth
from heddle.net.message import Headers

CONNECT_PATH = "/.heddle/connect/"
SPENT_S = 30.0
"""How long before its expiry a token is renewed."""
LOOK_S = 1.0
"""How long a found credential is used without looking whether somebody took it back."""
MAX_KEPT = 8_192
CLAIM_S = 60.0
"""Longer than any renewal: a process that died in one holds others up for so long."""
POLL_S = 0.1


class _Seen(NamedTuple):
    kept: Kept
    generation: int
    at_s: float


class _Lost(Exception):  # noqa: N818 -- not an error: the person has to connect again
    pass


class UserCredentials:
    """What tokens and keys have in common: their owner, their place, and the way to the page."""

    def __init__(self, setting: Setting, error: str = "", *, shared: bool = False) -> None:
        self.setting = setting
        self._error = error
        self._shared = shared
        self._steps = Steps(setting.monotonic)
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.setting.name!r})"

    def owner(self, principal: Principal) -> str:
        """Whose credential a caller uses. Raises CredentialUnavailable for a caller who is nobody."""
        found = SHARED if self._shared else owner_of(principal)
        if not found:
            raise self._unavailable("it is each caller's own, and the caller is not known")
        return found

    def belongs(self, ticket: Ticket, principal: Principal) -> bool:
        """Whether a link was made for this caller."""
        return ticket.owner == SHARED or ticket.owner == owner_of(principal)

    def _unavailable(self, detail: str) -> CredentialUnavailable:
        return CredentialUnavailable(f"The credential for `{self.setting.name}` cannot be had: {detail}.")

    def _find(self, owner: str) -> Kept | None:
        """What is kept for an owner: no older than `LOOK_S`. Raises CredentialUnavailable."""
        now, vault = self.setting.monotonic(), self.setting.shared.vault
        seen = self._seen.get(owner)
        if seen is not None and now - seen.at_s < LOOK_S:
            return seen.kept
        try:
            generation = vault.generation()
            if seen is not None and seen.generation == generation:
                self._seen[owner] = seen._replace(at_s=now)
                return seen.kept
            found = next(iter(vault.list(owner, self.setting.name)), None)
        except VaultError as exc:
            raise self._unavailable("the vault cannot be read") from exc
        self._seen.pop(owner, None)
        if found is not None:
            self._seen[owner] = _Seen(found, generation, now)
            if len(self._seen) > MAX_KEPT:
                self._seen.popitem(last=False)
        return found

    def _forget(self, owner: str) -> None:
        self._seen.pop(owner, None)

    def _consent(self, principal: Principal, scopes: tuple[str, ...], named: str = "") -> ConsentNeeded:
        """The way to the page. Raises CredentialUnavailable where there is none."""
        shared, name = self.setting.shared, self.setting.name
        if self._error:
            raise self._unavailable(self._error)
        if not shared.site.public_url:
            raise self._unavailable("the caller has to connect an account, and this gateway has no page for that")
        whom = "all callers of this gateway" if self._shared else label_of(principal)
        ticket = Ticket(
            id=secrets.token_hex(16),
            owner=self.owner(principal),
            label=whom,
            target=name,
            scopes=scopes,
            named=named,
        )
        url = shared.site.public_url.rstrip("/") + CONNECT_PATH + seal_ticket(shared, ticket)
        return ConsentNeeded(url, f"Connect an account of `{name}` to go on, then make the call again.", ticket.id)


class UserTokens(UserCredentials):
    """Tokens by the authorization code flow."""

    def __init__(self, setting: Setting, spec: OAuthCodeAuth) -> None:
        """ValueError when the configured client is not usable."""
        super().__init__(setting, spec.credential_error, shared=spec.shared)
        self.connecting = Connecting(setting, spec)
        self._spec = spec
        self._renewing: dict[Place, asyncio.Task[Credential]] = {}

    async def headers(self, principal: Principal, caller_token: bytes) -> Headers:
        """See `TargetCredentials`."""
        del caller_token
        owner = self.owner(principal)
        kept = self._usable(owner)
        if kept is None:
            raise self._consent(principal, self._steps.scopes(owner))
        credential = kept.credential
        if 0.0 < credential.expires_s <= self.setting.now() + SPENT_S:
            credential = await self._renewed(principal, kept)
        return [(b"authorization", b"Bearer " + credential.access_token.encode("ascii"))]

    def _usable(self, owner: str) -> Kept | None:
        kept = self._find(owner)
        if kept is None or not kept.credential.access_token:
            return None
        fits = self.setting.discovery.fits(self._spec.resource, kept.credential.resource)
        return kept if fits else None

    async def refused(self, principal: Principal, status: int, www_authenticate: str) -> bool:
        """See `TargetCredentials`."""
        owner, challenge = self.owner(principal), read_challenge(www_authenticate) or Challenge()
        sent = self._seen.pop(owner, None)
        kept = self._usable(owner)
        if sent is not None and kept is not None and kept.credential.access_token != sent.kept.credential.access_token:
            # What was sent has been replaced meanwhile, perhaps by the person.
            return True
        held = kept.credential.scopes if kept is not None else ()
        if status == 403:
            if challenge.error != "insufficient_scope" or not self._steps.step(owner, held, challenge.scopes):
                return False
            raise self._consent(principal, self._steps.scopes(owner), challenge.resource_metadata)
        if status != 401:
            return False
        if kept is not None and await self._may_renew(kept, challenge.resource_metadata, owner):
            await self._renewed(principal, kept)
            return True
        raise self._consent(principal, union(held, challenge.scopes), challenge.resource_metadata)

    async def _may_renew(self, kept: Kept, named: str, owner: str) -> bool:
        """Whether a token that was not taken may be renewed: not if the target has another server by now."""
        discovery = self.setting.discovery
        discovery.forget()
        if not kept.credential.refresh_token or not self._steps.renewal(owner):
            return False
        configured = self._spec.client
        if configured.issuer or configured.token_endpoint:
            return True
        try:
            return kept.place.issuer in (await discovery.resource(named)).authorization_servers
        except OAuthError:
            # Nothing is known of a change; the renewal will say.
            return True

    async def _renewed(self, principal: Principal, kept: Kept) -> Credential:
        """A fresh one; calls that come meanwhile wait for the same. Raises ConsentNeeded, CredentialUnavailable."""
        place, credential = kept.place, kept.credential
        task = self._renewing.get(place)
        if task is None:
            task = self._renewing[place] = asyncio.get_running_loop().create_task(self._renew(place, credential))
            task.add_done_callback(lambda done: self._ended(place, done))
        try:
            # Shielded: a caller who leaves must not take the token from those who wait with it.
            return await asyncio.shield(task)
        except _Lost:
            self._forget(place.owner)
            raise self._consent(principal, credential.scopes) from None
        except (OAuthError, VaultError) as exc:
            detail = exc.detail if isinstance(exc, OAuthError) else "the vault cannot be used"
            raise self._unavailable(detail) from exc

    def _ended(self, place: Place, task: "asyncio.Task[Credential]") -> None:
        self._renewing.pop(place, None)
        self._forget(place.owner)
        if not task.cancelled():
            # Whoever waited has heard of it; if nobody did, nobody is to be told.
            task.exception()

    async def _renew(self, place: Place, old: Credential) -> Credential:
        if not old.refresh_token:
            raise _Lost
        vault = self.setting.shared.vault
        for _ in range(int(CLAIM_S / POLL_S) + 1):
            claimed = await asyncio.to_thread(vault.claim, place, CLAIM_S)
            if claimed is None:
                await asyncio.sleep(POLL_S)
            try:
                current = vault.get(place)
                if current is None:
                    raise _Lost
                if current.access_token != old.access_token:
                    return current
                if claimed is not None:
                    return await self._refresh(place, current)
            finally:
                if claimed is not None:
                    await asyncio.to_thread(vault.release, place, claimed)
        raise OAuthError("it is being renewed, and that takes too long")

    async def _refresh(self, place: Place, old: Credential) -> Credential:
        """Spend the refresh token. Raises OAuthError, VaultError; _Lost when it is worth nothing any more."""
        setting, vault = self.setting, self.setting.shared.vault
        try:
            client = self.connecting.client_of(old.client_id, place.issuer)
            spec = msgspec.structs.replace(self._spec.client, issuer=place.issuer)
            granter = Granter(setting.asker, await setting.server(spec), client, setting.now)
            form = {"grant_type": "refresh_token", "refresh_token": old.refresh_token}
            if self._spec.send_resource:
                form["resource"] = old.resource
            granted = await granter.ask(form)
        except OAuthError as exc:
            if exc.code not in {"invalid_grant", "invalid_client", "unauthorized_client"}:
                raise
            await asyncio.to_thread(vault.delete, place)
            if exc.code != "invalid_grant":
                self.connecting.forget_client(place.issuer)
            raise _Lost from exc
        fresh = msgspec.structs.replace(
            old,
            access_token=granted.token,
            expires_s=granted.expires_s,
            # RFC 6749 section 6: what the answer leaves out stays as it was.
            refresh_token=granted.refresh_token or old.refresh_token,
            scopes=granted.scopes or old.scopes,
        )
        await asyncio.to_thread(vault.put, place, fresh)
        return fresh


class UserSecrets(UserCredentials):
    """Keys that callers leave on the page."""

    def __init__(self, setting: Setting, spec: UserSecretAuth) -> None:
        """ValueError for a field that no credential may be in."""
        super().__init__(setting)
        self._spec = spec
        field(spec.header, spec.prefix, "")

    async def headers(self, principal: Principal, caller_token: bytes) -> Headers:
        """See `TargetCredentials`."""
        del caller_token
        kept = self._find(self.owner(principal))
        if kept is None or 0.0 < kept.credential.expires_s <= self.setting.now() or not self._is_for(kept.credential):
            raise self._consent(principal, ())
        # The field may have been configured anew since.
        with contextlib.suppress(ValueError):
            return [field(self._spec.header, self._spec.prefix, kept.credential.access_token)]
        raise self._consent(principal, ())

    def _is_for(self, credential: Credential) -> bool:
        return self.setting.discovery.fits("", credential.resource)

    async def refused(self, principal: Principal, status: int, www_authenticate: str) -> bool:
        """See `TargetCredentials`."""
        del www_authenticate
        if status == 401:
            raise self._consent(principal, ())
        return False

    def offer(self, ticket: Ticket) -> Offer:
        """What to show."""
        asks = self._spec.description or f"A key for {self.setting.name}"
        return Offer(target=self.setting.name, url=self.setting.url, label=ticket.label, asks=asks)

    def keep(self, ticket: Ticket, secret: str) -> None:
        """Keep what its owner left. Raises OAuthError when it fits into no header field, VaultError."""
        try:
            field(self._spec.header, self._spec.prefix, secret)
        except ValueError:
            raise OAuthError("the key must be printable ASCII") from None
        if not 0 < len(secret) <= 4096:
            raise OAuthError("the key must have 1 to 4096 characters")
        now = self.setting.now()
        made = Credential(
            access_token=secret,
            expires_s=now + self._spec.ttl_s if self._spec.ttl_s else 0.0,
            resource=canonical(self.setting.url),
            label=ticket.label,
            created_s=now,
        )
        self.setting.shared.vault.put(Place(ticket.owner, ticket.target, ""), made)
