"""A chat body as a certain server wants it: the bound on output under its name, and nothing that it refuses.

Owns the differences that are data in `presets`. Fields are renamed where they mean the same, in callers' own bodies
only for servers that refuse unknown fields; what a server documents to refuse is left out of translated bodies alone,
and named. Values that do not change keep their bytes.

*Source:* the presets.
"""

import msgspec

from heddle.model.provider import Adapted
from heddle.providers.openai.presets import Preset

_BOUNDS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MESSAGES = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_NAMES = {"logprobs": "logprobs", "top_logprobs": "logprobs", "reasoning_content": "thinking", "name": "participant"}
"""Field -> feature, as `wire.canonical.rules` names it, where that differs."""
_encode = msgspec.json.encode


class Adapter:
    """What one preset changes."""

    __slots__ = ("_messages", "_renamed", "_stream_usage", "_without")

    def __init__(self, preset: Preset, stream_usage: bool) -> None:
        self._renamed = {**preset.renamed, _BOUNDS[preset.max_tokens]: preset.max_tokens}
        self._without = preset.without
        self._messages = preset.without_in_messages
        self._stream_usage = stream_usage

    def own(self, body: bytes) -> bytes:
        """A caller's own body, for a server that refuses unknown fields: only names change."""
        if not _mentions(body, self._renamed):
            return body
        fields = _FIELDS.decode(body)
        return _encode(fields) if self._rename(fields) else body

    def translated(self, body: bytes) -> Adapted:
        """A body that was translated."""
        fields = _FIELDS.decode(body)
        self._rename(fields)
        if not self._stream_usage:
            fields.pop("stream_options", None)
        dropped = [name for name in self._without if fields.pop(name, None) is not None]
        if self._messages and _mentions(body, self._messages):
            dropped += self._strip(fields)
        return Adapted(_encode(fields), tuple(sorted({_NAMES.get(name, name) for name in dropped})))

    def _rename(self, fields: dict[str, msgspec.Raw]) -> bool:
        """Give fields their name here, unless that is taken; whether there were any."""
        renamed = [(old, new) for old, new in self._renamed.items() if old in fields and new not in fields]
        for old, new in renamed:
            fields[new] = fields.pop(old)
        return bool(renamed)

    def _strip(self, fields: dict[str, msgspec.Raw]) -> list[str]:
        messages = _MESSAGES.decode(fields["messages"])
        dropped = [name for message in messages for name in self._messages if message.pop(name, None) is not None]
        if dropped:
            fields["messages"] = msgspec.Raw(_encode(messages))
        return dropped


def _mentions(body: bytes, names: "dict[str, str] | frozenset[str]") -> bool:
    """Whether a field of such a name may be in `body`: cheap, and right but for names written with escapes."""
    return any(b'"%b"' % name.encode() in body for name in names)
