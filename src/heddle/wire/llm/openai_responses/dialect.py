"""The caller's side of a translated call: the face that `codecs.DIALECTS` lists.

*Source:* see `request`, `answer` and `stream`.
"""

from heddle.model.call import ModelCall
from heddle.wire.llm.openai_responses.answer import encode_answer
from heddle.wire.llm.openai_responses.request import decode_chat
from heddle.wire.llm.openai_responses.stream import StreamEncoder

__all__ = ["decode_chat", "encode_answer", "open_encoder"]


def open_encoder(call: ModelCall, created_s: int) -> StreamEncoder:
    """A writer for a streamed answer."""
    return StreamEncoder(call, created_s)
