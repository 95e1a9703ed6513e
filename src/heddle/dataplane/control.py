"""What supervisor and worker say to each other, over one socket pair that the worker inherits.

Frames: four bytes of length, big endian, then one message in MessagePack. The listening sockets that an
`Apply` names travel beside its first bytes (SCM_RIGHTS), in the same order. A worker whose channel closes has lost
its supervisor: it drains and ends, so that no worker outlives the mesh it belongs to.
"""

import array
import asyncio
import contextlib
import socket
import struct

import msgspec

from heddle.model.virtual_keys import VirtualKey

MAX_FRAME_BYTES = 512 * 1024 * 1024
"""A snapshot of a hundred thousand keys is about 20 MB; beyond this the peer is not ours."""
_MAX_DESCRIPTORS = 200
_LENGTH = struct.Struct("!I")


class Apply(msgspec.Struct, frozen=True, tag="apply"):
    """Supervisor: run this snapshot. Answered by Applied or Refused."""

    snapshot: bytes
    """A `Snapshot` in MessagePack."""
    bound: tuple[str, ...]
    """Keys (`address:port`) of the listening sockets sent along, in order."""
    finds: bool = False
    """Write down what is found behind targets (`finding`), whether or not somebody calls them."""


class Keys(msgspec.Struct, frozen=True, tag="keys"):
    """Supervisor: these virtual keys changed. Answered by KeysKnown once every further call meets them."""

    changed: tuple[VirtualKey, ...] = ()
    gone: tuple[str, ...] = ()
    """Ids of keys that are no more."""
    whole: bool = False
    """`changed` is all there are."""


class KeysKnown(msgspec.Struct, frozen=True, tag="keys_known"):
    """Worker: what calls meet from now on."""


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """Supervisor: accept nothing more, finish what is under way within `grace_s` seconds, then end.

    Said again, it cuts short what the first one began.
    """

    grace_s: float


class Applied(msgspec.Struct, frozen=True, tag="applied"):
    """Worker: this version is what new calls meet."""

    version: str


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Worker: this version cannot be built; the one before stays."""

    version: str
    reason: str


Message = Apply | Keys | Drain | Applied | KeysKnown | Refused

_decode = msgspec.msgpack.Decoder(Message).decode
_encode = msgspec.msgpack.Encoder().encode


def _resolve(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


class Channel:
    """One end of the control socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = bytearray()
        self._descriptors: list[int] = []

    async def send(self, message: Message, descriptors: tuple[int, ...] = ()) -> None:
        """Write one message. Raises ConnectionError when the other end is gone."""
        loop = asyncio.get_running_loop()
        frame = _encode(message)
        data = memoryview(_LENGTH.pack(len(frame)) + frame)
        if descriptors:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            data = data[await self._send_rights(data[:4], rights) :]
        await loop.sock_sendall(self._sock, data)

    async def _send_rights(self, head: memoryview, rights: list[tuple[int, int, "array.array[int]"]]) -> int:
        while True:
            try:
                return self._sock.sendmsg([head], rights)
            except BlockingIOError:
                await asyncio.sleep(0.005)

    async def receive(self) -> tuple[Message, list[int]]:
        """The next message and the descriptors that came with it. Raises ConnectionError at the end of the channel."""
        while True:
            message = self._take()
            if message is not None:
                descriptors, self._descriptors = self._descriptors, []
                return message, descriptors
            await self._readable()
            with contextlib.suppress(BlockingIOError):
                data, descriptors, _flags, _address = socket.recv_fds(self._sock, 1 << 20, _MAX_DESCRIPTORS)
                self._descriptors += descriptors
                if not data:
                    raise ConnectionError("control channel closed")
                self._buffer += data

    def _take(self) -> Message | None:
        buffer = self._buffer
        if len(buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(buffer)
        if length > MAX_FRAME_BYTES:
            raise ConnectionError("control channel: oversized frame")
        if len(buffer) < _LENGTH.size + length:
            return None
        message: Message = _decode(bytes(memoryview(buffer)[_LENGTH.size : _LENGTH.size + length]))
        del buffer[: _LENGTH.size + length]
        return message

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        fd = self._sock.fileno()
        if fd < 0:
            raise ConnectionError("control channel closed")
        loop.add_reader(fd, _resolve, ready)
        try:
            await ready
        finally:
            loop.remove_reader(fd)

    def close(self) -> None:
        """Close the socket; the other end sees the channel end."""
        self._sock.close()
