"""Which module speaks which dialect. Adding a dialect is one file and one line here.

*Source:* the modules named.
"""

from heddle.wire.llm import openai_chat, openai_embeddings
from heddle.wire.llm.codec import Codec

CODECS: dict[str, Codec] = {
    openai_chat.DIALECT: openai_chat,
    openai_embeddings.DIALECT: openai_embeddings,
}
"""`ModelCall.dialect` -> codec."""
