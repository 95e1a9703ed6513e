"""The parent's part in virtual keys: opens what is on the disk, and connects it with the workers."""

from collections.abc import Iterable
from pathlib import Path

from heddle.cli.state import StartError
from heddle.controlplane.keys import Keys
from heddle.controlplane.keystore import FILE, KeyStore
from heddle.dataplane import control
from heddle.dataplane.supervisor import Supervisor
from heddle.model.virtual_keys import KeyRefusedError, KeyStoreError, VirtualKey


def open_keys(state_dir: Path, supervisor: Supervisor) -> tuple[KeyStore, Keys]:
    """The store, and the keys in it, which `supervisor` tells its workers of. Raises StartError."""

    async def publish(changed: Iterable[VirtualKey], gone: Iterable[str]) -> None:
        await supervisor.change_keys(control.Keys(changed=tuple(changed), gone=tuple(gone)))

    try:
        store = KeyStore(state_dir / FILE)
        keys = Keys(store, publish)
    except (KeyStoreError, KeyRefusedError) as exc:
        advice = f"put back a copy of {FILE}, or move it away: then all keys made at run time are gone"
        raise StartError(f"state directory {state_dir}: {exc}; {advice}") from exc
    supervisor.keys = lambda: control.Keys(changed=tuple(keys.compiled()), whole=True)
    return store, keys
