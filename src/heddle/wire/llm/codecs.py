"""Which module speaks which format. Adding one is its files and a line here for each of its faces.

*Source:* the modules named.
"""

from collections.abc import Callable

from heddle.wire.canonical.embeddings import EmbedDialect, EmbedVendor
from heddle.wire.llm import (
    openai_chat,
    openai_chat_dialect,
    openai_chat_vendor,
    openai_completions,
    openai_completions_dialect,
    openai_embeddings,
    openai_embeddings_translate,
    openai_heard,
    rerank,
)
from heddle.wire.llm.anthropic import codec as anthropic_messages
from heddle.wire.llm.anthropic import count as anthropic_count
from heddle.wire.llm.anthropic import dialect as anthropic_dialect
from heddle.wire.llm.anthropic import heard as anthropic_heard
from heddle.wire.llm.anthropic import vendor as anthropic_vendor
from heddle.wire.llm.bedrock import codec as bedrock
from heddle.wire.llm.bedrock import dialect as bedrock_dialect
from heddle.wire.llm.bedrock import heard as bedrock_heard
from heddle.wire.llm.bedrock import vendor as bedrock_vendor
from heddle.wire.llm.codec import Codec, Dialect, Hearing, Vendor
from heddle.wire.llm.gemini import codec as gemini
from heddle.wire.llm.gemini import count as gemini_count
from heddle.wire.llm.gemini import dialect as gemini_dialect
from heddle.wire.llm.gemini import embed_content as gemini_embed_content
from heddle.wire.llm.gemini import embed_translate as gemini_embed_translate
from heddle.wire.llm.gemini import embeddings as gemini_embeddings
from heddle.wire.llm.gemini import heard as gemini_heard
from heddle.wire.llm.gemini import vendor as gemini_vendor
from heddle.wire.llm.openai_media import MEDIA
from heddle.wire.llm.openai_responses import codec as openai_responses
from heddle.wire.llm.openai_responses import count as openai_responses_count
from heddle.wire.llm.openai_responses import dialect as openai_responses_dialect
from heddle.wire.llm.openai_responses import heard as openai_responses_heard
from heddle.wire.llm.openai_responses import vendor as openai_responses_vendor
from heddle.wire.llm.openai_responses.foreign import without_foreign

CODECS: dict[str, Codec] = {
    bedrock.DIALECT: bedrock,
    anthropic_messages.DIALECT: anthropic_messages,
    anthropic_count.DIALECT: anthropic_count,
    gemini.DIALECT: gemini,
    gemini_count.DIALECT: gemini_count,
    gemini_embed_content.DIALECT: gemini_embed_content,
    gemini_embeddings.DIALECT: gemini_embeddings,
    openai_chat.DIALECT: openai_chat,
    openai_completions.DIALECT: openai_completions,
    openai_embeddings.DIALECT: openai_embeddings,
    openai_responses.DIALECT: openai_responses,
    openai_responses_count.DIALECT: openai_responses_count,
    rerank.DIALECT: rerank,
    **{codec.DIALECT: codec for codec in MEDIA},
}
"""`ModelCall.dialect` -> its face at the door."""

FORMS = frozenset(codec.DIALECT for codec in MEDIA if codec.shape.form)
"""Dialects whose bodies are `multipart/form-data`, not JSON."""

DIALECTS: dict[str, Dialect] = {
    bedrock.DIALECT: bedrock_dialect,
    anthropic_messages.DIALECT: anthropic_dialect,
    gemini.DIALECT: gemini_dialect,
    openai_chat.DIALECT: openai_chat_dialect,
    openai_completions.DIALECT: openai_completions_dialect,
    openai_responses.DIALECT: openai_responses_dialect,
}
"""`ModelCall.dialect` -> the caller's side of a translation."""

VENDORS: dict[str, Vendor] = {
    bedrock.DIALECT: bedrock_vendor,
    anthropic_messages.DIALECT: anthropic_vendor,
    gemini.DIALECT: gemini_vendor,
    openai_chat.DIALECT: openai_chat_vendor,
    openai_responses.DIALECT: openai_responses_vendor,
}
"""Format of a provider (`HttpProvider.speaks`) -> the provider's side of a translation."""

HEARD: dict[str, Hearing] = {
    bedrock.DIALECT: bedrock_heard,
    anthropic_messages.DIALECT: anthropic_heard,
    gemini.DIALECT: gemini_heard,
    openai_chat.DIALECT: openai_heard,
    openai_completions.DIALECT: openai_heard,
    openai_responses.DIALECT: openai_responses_heard,
}
"""`ModelCall.dialect` -> what is read of its answers for records and spans; others generate no text."""

CLEANSING: dict[str, Callable[[bytes], bytes]] = {openai_responses.DIALECT: without_foreign}
"""`ModelCall.dialect` -> takes out of a body what its own vendor would refuse because another vendor made it."""

EMBED_DIALECTS: dict[str, EmbedDialect] = {
    gemini_embed_content.DIALECT: gemini_embed_translate,
    gemini_embeddings.DIALECT: gemini_embed_translate,
    openai_embeddings.DIALECT: openai_embeddings_translate,
}
"""`ModelCall.dialect` -> the caller's side of translated embeddings."""

EMBED_VENDORS: dict[str, EmbedVendor] = {
    gemini_embeddings.DIALECT: gemini_embed_translate,
    openai_embeddings.DIALECT: openai_embeddings_translate,
}
"""Embeddings' dialect of a provider (one of `HttpProvider.dialects`) -> the provider's side of a translation."""

EMBEDDINGS = {
    "openai_chat": "openai_embeddings",
    "openai_responses": "openai_embeddings",
    "gemini": "gemini_embeddings",
}
"""Format of a provider (`HttpProvider.speaks`) -> the format of its embeddings."""

COUNTS: dict[str, Callable[[bytes], bytes]] = {
    anthropic_count.DIALECT: anthropic_count.estimate_count,
    gemini_count.DIALECT: gemini_count.estimate_count,
    openai_responses_count.DIALECT: openai_responses_count.estimate_count,
}
"""`ModelCall.dialect` of a call that counts tokens -> an estimated answer, for providers that do not count."""
