"""What the mesh and the stdio host say to each other, over one socket pair that the host inherits.

Frames: four bytes of length, big endian, then one message in MessagePack. Secrets of tool servers travel here and
nowhere else. A host whose channel ends has lost its mesh: it ends too, and with it every child.
"""

import asyncio
import struct

import msgspec

from heddle.model.snapshot_mcp import StdioSpec

MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct("!I")


class Configure(msgspec.Struct, frozen=True, tag="configure"):
    """Mesh: run these from now on. Answered by Configured."""

    targets: dict[str, StdioSpec]
    environ: dict[str, str]
    """Variables of the mesh that some target passes on."""

    def __repr__(self) -> str:
        return f"Configure({sorted(self.targets)})"


class Configured(msgspec.Struct, frozen=True, tag="configured"):
    """Host: the socket is open, and what was asked for is served."""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Mesh: end in order, within `grace_s` seconds."""

    grace_s: float


Order = Configure | Configured | Drain

_decode = msgspec.msgpack.Decoder(Order).decode
_encode = msgspec.msgpack.Encoder().encode


class Channel:
    """One end of the control socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, order: Order) -> None:
        """Write one message. Raises ConnectionError when the other end is gone."""
        frame = _encode(order)
        self._writer.write(_LENGTH.pack(len(frame)) + frame)
        await self._writer.drain()

    async def receive(self) -> Order:
        """The next message. Raises ConnectionError at the end of the channel."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > MAX_FRAME_BYTES:
                raise ConnectionError("stdio control: oversized frame")
            order: Order = _decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, msgspec.MsgspecError) as exc:
            raise ConnectionError("stdio control: the channel ended") from exc
        return order

    def close(self) -> None:
        """The other end sees the channel end."""
        self._writer.close()
