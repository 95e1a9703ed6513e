"""The last state that ran, on the disk: what a gateway starts from when its control plane is away.

Owns the file: a line that says what it is, a key of its own sealed with the machine's (`drivers.sealing`), and the
state encrypted with that key. It has its name only once it is whole and on the disk. It holds secrets, so it is 0600,
and of no use to who has the file alone. It is written anew every day, because the machine's keys are dropped in time.

Refuses, as `KeptError` and with a reason that quotes nothing: what is truncated, altered, of another machine, another
gateway or another format. It is never a reason not to start.

*Source:* NIST SP 800-38D (AES-256-GCM, one value per key).
"""

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from heddle.dataplane.subscription.identity import read_private, write_private
from heddle.drivers.sealing import SealError, Sealing
from heddle.drivers.sealing.keys import SealKeysError
from heddle.wire.delta import MAX_TO_GATEWAY_BYTES, Held, Interest, Point, digest_of, hexed

FILE = "state.kept"
MAX_FILE_BYTES = MAX_TO_GATEWAY_BYTES + 1024 * 1024
AGAIN_S = 86_400.0
"""How often it is written although nothing changed."""
_MAGIC = b"heddle kept state 1\n"
_ANY_MAGIC = b"heddle kept state "
_LENGTH = struct.Struct("!H")
_NONCE = bytes(12)
"""Each key encrypts one value, so that every nonce is as good."""
_PURPOSE = "heddle kept state"


class KeptError(Exception):
    """The file is of no use; the message says why."""


class _State(msgspec.Struct, frozen=True):
    """What is in the file."""

    interest: Interest
    at: Point
    parts: dict[str, bytes]
    mark: str = ""


_decoder = msgspec.msgpack.Decoder(_State)


class Kept:
    """The file of one gateway."""

    def __init__(self, path: Path, interest: Interest, sealing: Sealing, now: Callable[[], float] = time.time) -> None:
        """Touches nothing."""
        self.path = path
        self.mark = ""
        """What else it depends on, such as the files beside it: of another mark it is not used."""
        self._interest = interest
        self._sealing = sealing
        self._now = now
        self._written_s = 0.0

    def load(self) -> Held | None:
        """The state that ran last; None when there is none of this mark. Blocks. Raises KeptError."""
        try:
            content = read_private(self.path, MAX_FILE_BYTES)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise KeptError(exc.strerror or str(exc)) from exc
        if not content.startswith(_MAGIC):
            other = content.startswith(_ANY_MAGIC)
            raise KeptError("is of another version of this program" if other else "is not a state that was kept here")
        state = self._opened(content)
        if state.interest != self._interest:
            raise KeptError(f"is of Gateway {state.interest.gateway}")
        if state.mark != self.mark:
            return None
        if hexed(digest_of(state.parts)) != state.at.digest:
            raise KeptError("is not what its digest says")
        return Held(state.at, state.parts)

    def _opened(self, content: bytes) -> _State:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - 30 ms, needed once

        try:
            at = len(_MAGIC) + _LENGTH.size
            (length,) = _LENGTH.unpack_from(content, len(_MAGIC))
            key = self._sealing.open(_PURPOSE, content[at : at + length].decode("ascii"))
            return _decoder.decode(_aead(key).decrypt(_NONCE, content[at + length :], content[: at + length]))
        except (SealError, SealKeysError) as exc:
            raise KeptError("was sealed with keys that this machine does not have, or has no more") from exc
        except (InvalidTag, ValueError, struct.error, msgspec.DecodeError, OSError) as exc:
            raise KeptError("is truncated or was altered") from exc

    def save(self, held: Held) -> None:
        """Replace the state, on the disk when this returns. Blocks. Raises OSError, ValueError when it cannot be."""
        key = os.urandom(32)
        sealed = self._sealing.seal(_PURPOSE, key).encode("ascii")
        head = _MAGIC + _LENGTH.pack(len(sealed)) + sealed
        plain = msgspec.msgpack.encode(_State(self._interest, held.at, held.parts, self.mark))
        write_private(self.path, head + _aead(key).encrypt(_NONCE, plain, head))
        self._written_s = self._now()

    def is_due(self) -> bool:
        """Whether it is time to write it again."""
        return not 0 <= self._now() - self._written_s < AGAIN_S


def _aead(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 30 ms that not all need

    return AESGCM(key)
