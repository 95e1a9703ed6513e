"""Content types that pass, and those that a browser would run."""

import pytest

from heddle.backends.kinds import fits_stream, told_type
from heddle.wire.errors import ProtocolError

EVENTS = b"text/event-stream; charset=utf-8"


@pytest.mark.parametrize(
    "kind", [b"application/json", b"Application/JSON; charset=utf-8", b"audio/mpeg", b"audio/x-wav", b"text/vtt ;a=b"]
)
def test_harmless(kind):
    assert told_type(kind) == kind


@pytest.mark.parametrize(
    "kind",
    [b"", b"text/html", b"image/svg+xml", b"audio/", b"audio/<script>", b"text/plain\r\nx: y", b"text/plain;\xff"],
)
def test_not_harmless(kind):
    with pytest.raises(ProtocolError):
        told_type(kind)


@pytest.mark.parametrize(
    ("kind", "wanted", "fits"),
    [
        (b"text/event-stream", EVENTS, True),
        (b"Text/Event-Stream;charset=utf-8", EVENTS, True),
        (b"application/json", EVENTS, False),
        (b"audio/mpeg", EVENTS, False),
        (b"audio/mpeg", b"audio/*", True),
        (b"application/octet-stream", b"audio/*", True),
        (b"text/event-stream", b"audio/*", False),
        (b"application/json", b"audio/*", False),
        (b"audio/<script>", b"audio/*", False),
        (b"", b"audio/*", False),
    ],
)
def test_streams(kind, wanted, fits):
    assert fits_stream(kind, wanted) is fits
