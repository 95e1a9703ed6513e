"""What all counts of tokens have in common: an answer costs nothing, and does not stream.

*Source:* Anthropic API reference, "Token counting is free to use"; Gemini's and OpenAI's references of their counts.
"""

from typing import Any, NoReturn

import msgspec

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError


def read_count(body: bytes, decoder: "msgspec.json.Decoder[Any]") -> Usage:
    """The usage of a count, which is none. Raises ProtocolError when `body` is not what `decoder` reads."""
    try:
        decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The answer is not a count of tokens.", malformed=True) from exc
    return Usage()


def open_stream(hide_usage: bool) -> NoReturn:
    """Counts do not stream. Raises ProtocolError."""
    del hide_usage
    raise ProtocolError("Counts of tokens are not streamed.")
