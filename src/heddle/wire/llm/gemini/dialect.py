"""Gemini as a caller's dialect, for providers that speak another one: the three files of it under one name.

*Source:* as `request`, `answer` and `stream`.
"""

from heddle.wire.llm.gemini.answer import encode_answer
from heddle.wire.llm.gemini.request import decode_chat
from heddle.wire.llm.gemini.stream import open_encoder

__all__ = ["decode_chat", "encode_answer", "open_encoder"]
