"""The caller's side of a translated call in Anthropic's dialect: one name for its three directions.

Owns nothing of its own: `request` reads, `answer` and `stream` write.

*Source:* the modules named.
"""

from heddle.wire.llm.anthropic.answer import encode_answer
from heddle.wire.llm.anthropic.request import decode_chat
from heddle.wire.llm.anthropic.stream import open_encoder

__all__ = ["decode_chat", "encode_answer", "open_encoder"]
