"""Where guards find the texts of which dialect. Adding one is its module of slots and a line here.

*Source:* the modules named.
"""

from heddle.wire.llm import openai_chat_slots
from heddle.wire.llm.slots import Slots

SLOTS: dict[str, Slots] = {
    "openai_chat": openai_chat_slots,
}
"""`ModelCall.dialect` -> the texts of its bodies and events."""
