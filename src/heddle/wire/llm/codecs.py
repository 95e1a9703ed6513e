"""Which module speaks which format. Adding one is its files and a line here for each of its faces.

*Source:* the modules named.
"""

from heddle.wire.llm import openai_chat, openai_embeddings
from heddle.wire.llm.codec import Codec, Dialect, Vendor

CODECS: dict[str, Codec] = {
    openai_chat.DIALECT: openai_chat,
    openai_embeddings.DIALECT: openai_embeddings,
}
"""`ModelCall.dialect` -> its face at the door."""

DIALECTS: dict[str, Dialect] = {}
"""`ModelCall.dialect` -> the caller's side of a translation."""

VENDORS: dict[str, Vendor] = {}
"""Format of a provider (`HttpProvider.speaks`) -> the provider's side of a translation."""
