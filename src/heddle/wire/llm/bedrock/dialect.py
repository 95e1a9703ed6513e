"""The caller's side of a translated call for a caller who speaks Converse: requests in, answers and events out.

Owns nothing but the list: `request` reads, `answer` and `stream` write.

*Source:* `codec.Dialect`, and the modules named.
"""

from heddle.wire.llm.bedrock.answer import encode_answer
from heddle.wire.llm.bedrock.request import decode_chat
from heddle.wire.llm.bedrock.stream import open_encoder

__all__ = ["decode_chat", "encode_answer", "open_encoder"]
