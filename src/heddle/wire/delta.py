"""What the control plane and its gateways say to each other: states as named parts, changes of them, verdicts.

Owns the messages, their frames (four bytes of length, big endian, then one message in MessagePack), their bounds, and
the digest of a state. A state is a set of named parts; its digest is the sum of its parts' digests, so that a change
costs what changed, however much there is beside it. The digest finds what was lost, doubled or applied to something
else; it proves nothing about who sent it, which is what the connection's certificates are for.

Refuses, as `DeltaError`: what is oversized, undecodable, of another type than said, or not for the side that reads it.

*Source:* MessagePack specification; the additive hash of sets: Bellare and Micciancio, "A New Paradigm for
Collision-Free Hashing" (1997), section 5 (AdHash); ours is `docs/concepts/distribution.md`, protocol 1.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated

import msgspec

from heddle.wire.found import Found

PROTOCOL = 1
"""Version of this module that is spoken here; the lower of both sides' is used."""
OLDEST_PROTOCOL = 1
"""What is still understood."""
MAX_TO_GATEWAY_BYTES = 256 * 1024 * 1024
"""A state of a hundred thousand routes is about 30 MB."""
MAX_FROM_GATEWAY_BYTES = 64 * 1024
"""Gateways send greetings, verdicts, and what they found, piece by piece."""
MAX_TEXT = 2_000
"""Characters of a reason that are kept."""
HEARTBEAT_S = 15.0
"""How often a gateway that has nothing to say says so; three times as long without a word ends a connection."""
_LENGTH = struct.Struct("!I")
_MASK = (1 << 256) - 1

_Short = Annotated[str, msgspec.Meta(max_length=64)]
_Name = Annotated[str, msgspec.Meta(max_length=320)]
Parts = Mapping[str, bytes]
"""A state: name -> what stands there, encoded."""


class DeltaError(Exception):
    """The peer said something it must not say. The message is safe to show."""


class MismatchError(DeltaError):
    """A change does not fit what is held; only the whole state helps."""


class Interest(msgspec.Struct, frozen=True):
    """Which Gateway a process serves: it is sent what that needs, and nothing else."""

    gateway: _Name
    """`namespace/name` of the Gateway resource; `*` is all of them, on a machine that runs the whole mesh."""


class Point(msgspec.Struct, frozen=True):
    """Where in a history a state stands."""

    lineage: _Short = ""
    """Of the store it comes from: versions of different ones do not compare."""
    version: int = 0
    digest: _Short = ""
    """Of the state, 64 hex digits; empty when nothing is held."""

    @property
    def short(self) -> str:
        """What people are shown, and what a snapshot is called: 16 hex digits."""
        return self.digest[:16]


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Gateway: who I am, and what I hold. Answered by Welcome, Busy or Refused."""

    name: _Name
    node: _Name
    program: _Short
    """Version of the program."""
    interest: Interest
    held: Point = Point()
    protocol: int = PROTOCOL
    oldest: int = OLDEST_PROTOCOL
    take_older: bool = False
    """It was told to wait for so long that it believes an older state to be meant: a store was restored."""


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """Gateway: every worker runs this, or all of it but a listener whose address cannot be had."""

    at: Point
    message: str = ""
    """Why something is left out; empty when nothing is."""
    path: str = ""
    """The part that is left out."""


class Reject(msgspec.Struct, frozen=True, tag="reject"):
    """Gateway: I do not run this, and run on with what I have."""

    at: Point
    message: str
    path: str = ""
    """The part, and where in it; empty when it is about the whole."""


class Who(msgspec.Struct, frozen=True, tag="who"):
    """A process without anything: which authority is yours? Answered by Authority, which proves nothing by itself."""


class Resync(msgspec.Struct, frozen=True, tag="resync"):
    """Gateway: what I was sent does not fit what I hold; send everything."""


class Join(msgspec.Struct, frozen=True, tag="join"):
    """A process without a certificate: make me a gateway. Answered by Joined or Refused."""

    token: str
    request: bytes
    """A certificate signing request, PEM; the name it asks for is not looked at, the token's counts."""
    protocol: int = PROTOCOL

    def __repr__(self) -> str:
        return "Join(...)"


class Renew(msgspec.Struct, frozen=True, tag="renew"):
    """Gateway: my certificate ends. Answered by Joined or Refused."""

    request: bytes


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Either side: I am here. A gateway's is answered with another."""


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """Control plane: you are known; what you do not hold follows."""

    protocol: int
    heartbeat_s: float = HEARTBEAT_S


class Busy(msgspec.Struct, frozen=True, tag="busy"):
    """Control plane: not now. The connection closes; come again after about so long."""

    retry_s: float
    message: str = ""
    behind: bool = False
    """You are ahead of what is known here."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Control plane: no. Asking again without a change is of no use, and is expected to be rare."""

    message: str


class Authority(msgspec.Struct, frozen=True, tag="authority"):
    """Control plane: what its certificate is verified with, to be compared with the digest in a token."""

    bundle: bytes
    """PEM."""


class Joined(msgspec.Struct, frozen=True, tag="joined"):
    """Control plane: your certificate."""

    name: str
    certificate: bytes
    """PEM, the leaf first."""
    authority: bytes
    """PEM bundle that the control plane's own certificate is verified with."""
    interest: Interest


class Full(msgspec.Struct, frozen=True, tag="full"):
    """Control plane: everything you need."""

    to: Point
    parts: dict[str, bytes]


class Delta(msgspec.Struct, frozen=True, tag="delta"):
    """Control plane: what changed since what you run."""

    base: Point
    to: Point
    changed: dict[str, bytes]
    removed: tuple[str, ...] = ()


FromGateway = Hello | Ack | Reject | Resync | Who | Join | Renew | Ping | Found
ToGateway = Welcome | Busy | Refused | Authority | Joined | Full | Delta | Ping

_from_gateway = msgspec.msgpack.Decoder(FromGateway)
_to_gateway = msgspec.msgpack.Decoder(ToGateway)
_encoder = msgspec.msgpack.Encoder()


def encode(message: FromGateway | ToGateway) -> bytes:
    """A message in its frame."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames(msgspec.Struct):
    """Bytes in, messages out, of one direction of a connection. It is of no use after an error."""

    decode: Callable[[bytes], FromGateway | ToGateway]
    max_bytes: int
    buffer: bytearray = msgspec.field(default_factory=bytearray)

    def feed(self, data: bytes) -> Iterator[FromGateway | ToGateway]:
        """The messages that are complete now. Raises DeltaError."""
        self.buffer += data
        while len(self.buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self.buffer)
            if length > self.max_bytes:
                raise DeltaError(f"a frame of {length} bytes; at most {self.max_bytes} are read here")
            end = _LENGTH.size + length
            if len(self.buffer) < end:
                return
            body = bytes(memoryview(self.buffer)[_LENGTH.size : end])
            del self.buffer[:end]
            yield _decoded(self.decode, body)


def frames_from_gateway() -> Frames:
    """What the control plane reads with."""
    return Frames(_from_gateway.decode, MAX_FROM_GATEWAY_BYTES)


def frames_to_gateway() -> Frames:
    """What a gateway reads with."""
    return Frames(_to_gateway.decode, MAX_TO_GATEWAY_BYTES)


def _decoded(decode: Callable[[bytes], FromGateway | ToGateway], body: bytes) -> FromGateway | ToGateway:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        # What is quoted by the error is structure and field names, never a value.
        raise DeltaError(f"not a message of this protocol: {str(exc)[:200]}") from exc


def common_protocol(theirs: int, their_oldest: int) -> int:
    """The version to speak with a peer. Raises DeltaError when there is none."""
    spoken = min(PROTOCOL, theirs)
    if spoken < max(OLDEST_PROTOCOL, their_oldest):
        raise DeltaError(f"protocol {their_oldest} to {theirs} is spoken there, {OLDEST_PROTOCOL} to {PROTOCOL} here")
    return spoken


def part_digest(name: str, body: bytes) -> int:
    """What one part adds to a state's digest."""
    named = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(_LENGTH.pack(len(named)) + named + body).digest(), "big")


def digest_of(parts: Parts) -> int:
    """Digest of a whole state."""
    return sum(part_digest(name, body) for name, body in parts.items()) & _MASK


def moved(digest: int, gone: Iterable[tuple[str, bytes]], come: Iterable[tuple[str, bytes]]) -> int:
    """The digest after parts went and came; a changed one does both."""
    for name, body in gone:
        digest -= part_digest(name, body)
    for name, body in come:
        digest += part_digest(name, body)
    return digest & _MASK


def hexed(digest: int) -> str:
    """As it is sent."""
    return f"{digest:064x}"


class Held(msgspec.Struct, frozen=True):
    """A state as a gateway holds it."""

    at: Point = Point()
    parts: dict[str, bytes] = {}

    def after(self, update: Full | Delta) -> "Held":
        """The state that `update` leads to; this one stays as it is.

        Raises MismatchError when the update is of another state, or its outcome is not what was said.
        """
        if isinstance(update, Full):
            return _checked(Held(update.to, update.parts), digest_of(update.parts))
        if update.base.digest != self.at.digest:
            raise MismatchError(f"a change of version {update.base.version}, where {self.at.version} is held")
        known = {name: self.parts[name] for name in (*update.changed, *update.removed) if name in self.parts}
        missing = [name for name in update.removed if name not in known]
        if (
            missing
            or len(set(update.removed)) != len(update.removed)
            or not update.changed.keys().isdisjoint(update.removed)
        ):
            raise MismatchError("a change removes what is not there")
        digest = moved(int(self.at.digest or "0", 16), known.items(), update.changed.items())
        parts = {**self.parts, **update.changed}
        for name in update.removed:
            del parts[name]
        return _checked(Held(update.to, parts), digest)


def _checked(held: Held, digest: int) -> Held:
    if held.at.digest != hexed(digest):
        raise MismatchError(f"version {held.at.version} is not what its digest says")
    return held
