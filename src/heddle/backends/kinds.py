"""Which content types of an answer may pass to a caller.

Owns the list of those beside JSON and events. A gateway on loopback is within reach of pages: nothing passes that a
browser would run.
"""

import re

from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_media import SOUND

_HARMLESS = re.compile(
    rb"(?:application/(?:json|octet-stream|x-subrip)|text/(?:plain|vtt|srt|x-subrip)|audio/[a-z0-9][a-z0-9.+-]*)"
    rb"[ \t]*(?:;[\x20-\x7e]*)?",
    re.IGNORECASE,
)


def told_type(given: bytes) -> bytes:
    """The content type that the caller of a call that `accepts` others is told.

    Raises ProtocolError for one that does not pass.
    """
    if not _HARMLESS.fullmatch(given):
        raise ProtocolError("The answer is of a kind that does not pass.")
    return given


def fits_stream(kind: bytes, wanted: bytes) -> bool:
    """Whether an answer of this content type is a stream of the wanted one (`codec.Codec.STREAM_TYPE`)."""
    given = kind.lower().partition(b";")[0].strip()
    if wanted == SOUND:
        return given != b"application/json" and not given.startswith(b"text/") and _HARMLESS.fullmatch(kind) is not None
    return given == wanted.partition(b";")[0]
