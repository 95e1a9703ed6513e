"""Proofs of other vendors, taken out of a history before it goes to OpenAI itself.

Owns what of `encrypted_content` OpenAI can read: what it made. A caller whose earlier turns another vendor answered
replays that vendor's proofs, which `signatures` gave it, and OpenAI refuses a request that has one. Only bodies in
which such a value stands are written anew; all others stay the caller's bytes.

*Source:* OpenAI API reference, "Create a model response", reasoning items; `signatures` for the forms of ours.
"""

import re

import msgspec

from heddle.wire.llm.openai_responses.signatures import OWN

_FOREIGN = ("anthropic.", "gemini.", "bedrock.", "redacted.", "call.")
_MARK = re.compile(rb'"encrypted_content"\s*:\s*"(?:anthropic|gemini|bedrock|redacted|call|openai)\.')


class _Item(msgspec.Struct, gc=False):
    type: object = None
    encrypted_content: object = None


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_INPUT = msgspec.json.Decoder(list[msgspec.Raw])
_ITEM = msgspec.json.Decoder(_Item)
_encode = msgspec.json.encode


def without_foreign(body: bytes) -> bytes:
    """`body` without reasoning items that prove nothing to OpenAI; identical when there are none."""
    if _MARK.search(body) is None:
        return body
    try:
        fields = _FIELDS.decode(body)
        items = _INPUT.decode(fields["input"])
        kept = [own for own in map(_own, items) if own is not None]
    except (msgspec.DecodeError, KeyError, UnicodeDecodeError, RecursionError):
        return body  # a form unknown here: the provider's to judge
    if kept == items:
        return body
    fields["input"] = msgspec.Raw(_encode(kept))
    return _encode(fields)


def _own(item: msgspec.Raw) -> msgspec.Raw | None:
    """An item as OpenAI knows it; None when it is another vendor's."""
    said = _ITEM.decode(item)
    content = said.encrypted_content
    if said.type != "reasoning" or not isinstance(content, str):
        return item
    if content.startswith(_FOREIGN):
        return None
    if not content.startswith(OWN):
        return item
    fields = _FIELDS.decode(item)
    fields["encrypted_content"] = msgspec.Raw(_encode(content.removeprefix(OWN)))
    return msgspec.Raw(_encode(fields))
