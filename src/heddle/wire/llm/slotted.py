"""Where guards find the texts of which dialect. Adding one is its module of slots and a line here.

*Source:* the modules named.
"""

from heddle.wire.llm import media_slots, openai_chat_slots, openai_completions_slots
from heddle.wire.llm.anthropic import slots as anthropic_slots
from heddle.wire.llm.bedrock import slots as bedrock_slots
from heddle.wire.llm.gemini import slots as gemini_slots
from heddle.wire.llm.openai_responses import slots as openai_responses_slots
from heddle.wire.llm.slots import Slots

SLOTS: dict[str, Slots] = {
    "openai_chat": openai_chat_slots,
    "openai_completions": openai_completions_slots,
    "openai_embeddings": openai_completions_slots,
    "openai_images": media_slots,
    "openai_moderations": media_slots,
    "rerank": media_slots,
    "openai_responses": openai_responses_slots,
    "openai_responses_count": openai_responses_slots,
    "anthropic_messages": anthropic_slots,
    "anthropic_count": anthropic_slots,
    "gemini": gemini_slots,
    "gemini_count": gemini_slots,
    "gemini_embeddings": gemini_slots,
    "gemini_embed_content": gemini_slots,
    "bedrock_converse": bedrock_slots,
}
"""`ModelCall.dialect` -> the texts of its bodies and events."""

UNREAD = frozenset(
    ("openai_speech", "openai_speech_events", "openai_transcriptions", "openai_translations", "openai_image_edits")
)
"""Dialects of forms and sound, which guards cannot look into: guarded calls are refused unless `on_error: allow`."""
