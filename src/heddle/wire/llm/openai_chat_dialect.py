"""OpenAI chat as the caller's side of a translation: a `codec.Dialect`.

*Source:* the modules it is made of.
"""

from heddle.wire.llm.openai_chat_answer import encode_answer, open_encoder
from heddle.wire.llm.openai_chat_request import decode_chat

__all__ = ["decode_chat", "encode_answer", "open_encoder"]
