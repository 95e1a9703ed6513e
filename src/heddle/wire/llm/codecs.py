"""Which module speaks which format. Adding one is its files and a line here for each of its faces.

*Source:* the modules named.
"""

from heddle.wire.llm import openai_chat, openai_embeddings
from heddle.wire.llm.anthropic import codec as anthropic_messages
from heddle.wire.llm.anthropic import count as anthropic_count
from heddle.wire.llm.anthropic import dialect as anthropic_dialect
from heddle.wire.llm.anthropic import vendor as anthropic_vendor
from heddle.wire.llm.codec import Codec, Dialect, Vendor

CODECS: dict[str, Codec] = {
    anthropic_messages.DIALECT: anthropic_messages,
    anthropic_count.DIALECT: anthropic_count,
    openai_chat.DIALECT: openai_chat,
    openai_embeddings.DIALECT: openai_embeddings,
}
"""`ModelCall.dialect` -> its face at the door."""

DIALECTS: dict[str, Dialect] = {
    anthropic_messages.DIALECT: anthropic_dialect,
}
"""`ModelCall.dialect` -> the caller's side of a translation."""

VENDORS: dict[str, Vendor] = {
    anthropic_messages.DIALECT: anthropic_vendor,
}
"""Format of a provider (`HttpProvider.speaks`) -> the provider's side of a translation."""
