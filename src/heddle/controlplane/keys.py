"""Virtual keys: made, changed, rotated and revoked while the mesh runs.

Owns what a key is while it lives: its secret, which is told once and kept as a digest; its id, which outlives the
secret. One change at a time: written to the disk, then known to every worker, then acknowledged. All keys are held in
memory, so that workers that start, and lists, ask no disk.

*Source:* issue 3, "Budgets"; RFC 7396 (JSON Merge Patch) for changes.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import msgspec

from heddle.controlplane.compile_keys import compile_key
from heddle.controlplane.keystore import KeyRecord, KeyStore, SecretRecord
from heddle.model.formats import complaint, duration_s
from heddle.model.snapshot import ApiKeyAuthn, Snapshot
from heddle.model.snapshot_budgets import BudgetSpec
from heddle.model.virtual_keys import KeyRefusedError, UnknownKeyError, VirtualKey, accepts_virtual_keys
from heddle.telemetry.lines import timestamp

PREFIX = "sk-hd-"
_SECRET_BYTES = 32
_ID_BYTES = 10
"""80 bits; longer than the ids of configured keys, so that no two can be equal."""
OVERLAP = "1h"
"""How long a rotated key's former secret is good for, unless somebody says."""
MAX_OVERLAP_S = 90 * 86_400.0
MAX_SECRETS = 4
"""Of one key at a time."""
MAX_KEYS = 100_000

Publish = Callable[[Iterable[VirtualKey], Iterable[str]], Awaitable[None]]
"""Makes every worker know of changed keys, and of ids that are gone; returns when they do."""
Shown = dict[str, Any]
"""A key as people may see it."""


class Keys:
    """All virtual keys of this mesh. Raises KeyStoreError where the disk fails; then nothing was changed."""

    def __init__(self, store: KeyStore, publish: Publish) -> None:
        """Reads all keys; blocks while it does. Raises KeyStoreError, and KeyRefusedError for one that cannot be."""
        self._store = store
        self._publish = publish
        self._turn = asyncio.Lock()
        self._records = {record.id: record for record in store.all()}
        self._compiled = {name: compile_key(record) for name, record in self._records.items()}
        self._configured: frozenset[str] = frozenset()
        self._accepted = False

    def __len__(self) -> int:
        return len(self._records)

    def compiled(self) -> Iterable[VirtualKey]:
        """Every key, as workers know it."""
        return self._compiled.values()

    def budgets(self) -> dict[str, tuple[BudgetSpec, ...]]:
        """Budgets of their own, by the ids of keys."""
        return {name: key.budgets for name, key in self._compiled.items() if key.budgets}

    def follow(self, snapshot: Snapshot) -> None:
        """Workers run `snapshot`: it says whether keys can be made."""
        self._accepted = accepts_virtual_keys(snapshot)
        self._configured = frozenset(_configured(snapshot))

    def clash(self, snapshot: Snapshot) -> str:
        """Why a configuration cannot stand beside these keys; empty when it can."""
        if not self._records or not accepts_virtual_keys(snapshot):
            return ""
        configured = frozenset(_configured(snapshot))
        for record in self._records.values():
            if any(secret.sha256 in configured for secret in record.secrets):
                return f"security.authentication: a configured key is also virtual key {record.id}; revoke one of them"
        return ""

    def list(self, where: dict[str, str]) -> list[Shown]:
        """Keys whose `name`, `user`, `tenant` or `agent` are as asked, the oldest first."""
        records = sorted(self._records.values(), key=lambda record: (record.created_s, record.id))
        return [
            _shown(record) for record in records if all(record.said.get(k, "") == value for k, value in where.items())
        ]

    def show(self, name: str) -> Shown:
        """One key. Raises UnknownKeyError."""
        return _shown(self._record(name))

    async def create(self, said: dict[str, Any]) -> Shown:
        """Make a key; what is returned has its `secret`, this once. Raises KeyRefusedError."""
        if not self._accepted:
            raise KeyRefusedError("the configuration accepts no virtual keys: `security.authentication` needs an entry "
                                  "`{type: api_key}` whose `virtual` is not false")  # fmt: skip
        return await self._alone(self._create(said))

    async def update(self, name: str, patch: dict[str, Any]) -> Shown:
        """Change some of what was said; null takes a field back. Raises UnknownKeyError and KeyRefusedError."""
        return await self._alone(self._update(name, patch))

    async def rotate(self, name: str, overlap: str) -> Shown:
        """Give a key another secret; those before are good for `overlap` (a duration) more. Returned as by `create`."""
        wrong = complaint("duration", overlap)
        if wrong:
            raise KeyRefusedError(f"overlap: {wrong}")
        if duration_s(overlap) > MAX_OVERLAP_S:
            raise KeyRefusedError("overlap: at most 90d; to keep a secret for longer, do not rotate its key")
        return await self._alone(self._rotate(name, duration_s(overlap)))

    async def revoke(self, name: str) -> Shown:
        """Forget a key: no worker lets it pass any more when this returns. Raises UnknownKeyError."""
        return await self._alone(self._revoke(name))

    async def _alone(self, change: Coroutine[Any, Any, Shown]) -> Shown:
        """One change after the other; once begun it is finished, whether or not whoever asked is still there."""

        async def turn() -> Shown:
            async with self._turn:
                return await change

        return await asyncio.shield(turn())

    async def _create(self, said: dict[str, Any]) -> Shown:
        if len(self._records) >= MAX_KEYS:
            raise KeyRefusedError(f"there are {MAX_KEYS} keys already, and cannot be more; revoke some")
        now_s = time.time()
        secret, kept = self._new_secret(now_s)
        name = f"key-{secrets.token_hex(_ID_BYTES)}"
        record = KeyRecord(id=name, said=said, secrets=(kept,), created_s=now_s, changed_s=now_s)
        return await self._keep(record) | {"secret": secret}

    async def _update(self, name: str, patch: dict[str, Any]) -> Shown:
        record = self._record(name)
        said = _merged(record.said, patch)
        return await self._keep(msgspec.structs.replace(record, said=said, changed_s=time.time()))

    async def _rotate(self, name: str, overlap_s: float) -> Shown:
        record, now_s = self._record(name), time.time()
        former = [_shortened(one, now_s + overlap_s) for one in record.secrets]
        former = [one for one in former if one.until_s > now_s]
        if len(former) >= MAX_SECRETS:
            raise KeyRefusedError(f"{MAX_SECRETS} secrets of this key are still good; rotate with an overlap of 0")
        secret, kept = self._new_secret(now_s)
        fresh = msgspec.structs.replace(record, secrets=(*former, kept), changed_s=now_s)
        return await self._keep(fresh) | {"secret": secret}

    async def _revoke(self, name: str) -> Shown:
        shown = _shown(self._record(name))
        await asyncio.to_thread(self._store.remove, name)
        del self._records[name], self._compiled[name]
        await self._publish((), (name,))
        return shown

    async def _keep(self, record: KeyRecord) -> Shown:
        compiled = compile_key(record)
        await asyncio.to_thread(self._store.put, record)
        self._records[record.id], self._compiled[record.id] = record, compiled
        await self._publish((compiled,), ())
        return _shown(record)

    def _record(self, name: str) -> KeyRecord:
        record = self._records.get(name)
        if record is None:
            raise UnknownKeyError("there is no virtual key of this id")
        return record

    def _new_secret(self, now_s: float) -> tuple[str, SecretRecord]:
        while True:
            secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
            sha256 = hashlib.sha256(secret.encode()).hexdigest()
            if sha256 not in self._configured:
                return secret, SecretRecord(sha256=sha256, hint=secret[-4:], created_s=now_s)


def _configured(snapshot: Snapshot) -> Iterable[str]:
    entries = (entry for entry in snapshot.authentication if isinstance(entry, ApiKeyAuthn))
    return (key.sha256 for entry in entries for key in entry.keys)


def _shortened(secret: SecretRecord, until_s: float) -> SecretRecord:
    return msgspec.structs.replace(secret, until_s=min(secret.until_s or until_s, until_s))


def _merged(said: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7396: null removes, mappings are merged, everything else replaces."""
    merged = dict(said)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            before = merged.get(name)
            merged[name] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def _shown(record: KeyRecord) -> Shown:
    shown = {"id": record.id, **record.said}
    shown["secrets"] = [
        {"hint": f"{PREFIX}…{one.hint}", "created": timestamp(one.created_s)}
        | ({"until": timestamp(one.until_s)} if one.until_s else {})
        for one in record.secrets
    ]
    return shown | {"created": timestamp(record.created_s), "changed": timestamp(record.changed_s)}
