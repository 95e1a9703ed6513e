"""Family `injection_heuristics`: signs of prompt injection. Heuristics, and no more: they find the careless.

A model that judges meaning is another thing, and is asked through a webhook.
*Source:* Unicode 15.0 (tags, bidirectional controls); the chat templates of ChatML, Llama 2 and 3; published attacks.
"""

from heddle.guards.charset import ALNUM, EMPTY, WORD, CharSet
from heddle.guards.recogniser import recogniser

_TAGS = CharSet([(0xE0000, 0xE007F)])
_FLAG = CharSet.of("\U0001f3f4")
"""In front of tags: the flags of England, Scotland and Wales."""
_S = r"\s{1,4}"

RECOGNISERS = (
    recogniser("hidden_tags", "[\U000e0000-\U000e007f]+", longest=16_384, before=_TAGS | _FLAG, after=EMPTY),
    recogniser(
        "hidden_controls",
        r"[\u202a-\u202e\u2066-\u2069]|[\u200b\u200c\u2060\ufeff]{2,64}|" + "[\U000e0100-\U000e01ef]{2,256}",
    ),
    recogniser(
        "role_markers",
        r"<\|[a-z_]{2,20}\|>|\[/?INST\]|<</?SYS>>|</?(system|assistant)>|\n\n(Human|Assistant|System):",
    ),
    recogniser(
        "override_phrases",
        rf"(?i)(ignore|disregard|forget|override){_S}((all|any|the|your|my|of|these){_S}){{0,3}}"
        rf"(previous|prior|above|earlier|preceding|former|system){_S}"
        rf"(instructions?|prompts?|rules?|directions?|messages?|context|guidelines?)",
        before=WORD,
        after=WORD,
    ),
    recogniser(
        "encoded_text",
        r"[A-Za-z0-9+/]{160,1000}={0,2}|(\\x[0-9A-Fa-f]{2}){12,200}|(%[0-9A-Fa-f]{2}){16,200}",
        before=ALNUM | CharSet.of("+/"),
    ),
)
