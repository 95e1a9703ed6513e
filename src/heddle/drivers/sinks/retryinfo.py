"""When a gRPC server asks to be called again: the RetryInfo inside `grpc-status-details-bin`.

Owns just enough protobuf to find it; the generated classes of `google.rpc` are not worth a dependency for one number.
*Source:* google/rpc/status.proto, error_details.proto; Protocol Buffers encoding guide; OTLP specification, "OTLP/gRPC
Throttling".
"""

import base64

_MAX_DELAY_S = 300.0
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Field numbers: Status.details, Any.type_url, Any.value, RetryInfo.retry_delay, Duration.seconds, Duration.nanos
_DETAILS, _TYPE_URL, _VALUE, _DELAY, _SECONDS, _NANOS = 3, 1, 2, 1, 1, 2


def retry_delay_s(details: str) -> float:
    """Seconds asked for, at most five minutes; 0 when there is no RetryInfo or it cannot be read."""
    try:
        for number, detail in _fields(base64.b64decode(details + "=" * (-len(details) % 4))):
            if number == _DETAILS and isinstance(detail, bytes):
                found = dict(_fields(detail))
                if _bytes(found.get(_TYPE_URL)).endswith(b"google.rpc.RetryInfo"):
                    delay = dict(_fields(_bytes(dict(_fields(_bytes(found.get(_VALUE)))).get(_DELAY))))
                    seconds = _number(delay.get(_SECONDS)) + _number(delay.get(_NANOS)) / 1e9
                    return min(seconds, _MAX_DELAY_S)
    except (ValueError, IndexError):
        return 0.0
    return 0.0


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    """(field number, value) of a message; IndexError or ValueError when it is cut off or uses groups."""
    fields: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            number, at = _varint(data, at)
            fields.append((tag >> 3, number))
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in {_FIXED64, _FIXED32}:
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("a wire type that is not used any more")
        if at + size > len(data):
            raise ValueError("cut off")
        fields.append((tag >> 3, data[at : at + size]))
        at += size
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    raise ValueError("a number that does not end")


def _bytes(value: int | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _number(value: int | bytes | None) -> int:
    return value if isinstance(value, int) else 0
