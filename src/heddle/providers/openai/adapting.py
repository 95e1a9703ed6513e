"""A chat body as a certain server wants it: the bound on output under its name, and nothing that it refuses.

Owns the differences that are data in `presets`. Fields are renamed where they mean the same, in callers' own bodies
only for servers that refuse unknown fields; what a server documents to refuse is left out of translated bodies alone,
and named. Values that do not change keep their bytes.

*Source:* the presets.
"""

from collections.abc import Iterable

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

    __slots__ = ("_in_messages", "_in_own", "_messages", "_renamed", "_without")

    def __init__(self, preset: Preset, stream_usage: bool) -> None:
        self._renamed = {**preset.renamed, _BOUNDS[preset.max_tokens]: preset.max_tokens}
        unasked = frozenset[str]() if stream_usage else frozenset(("stream_options",))
        self._without = preset.without | unasked
        self._messages = preset.without_in_messages
        self._in_own = _quoted(self._renamed)
        self._in_messages = _quoted(self._messages)

    def own(self, body: bytes) -> bytes:
        """A caller's own body, for a server that refuses unknown fields: only names change."""
        if not _mentions(body, self._in_own):
            return body
        fields = _FIELDS.decode(body)
        return _encode(fields) if self._rename(fields) else body

    def translated(self, body: bytes) -> Adapted:
        """A body that was translated."""
        fields = _FIELDS.decode(body)
        changed = self._rename(fields)
        dropped = [name for name in fields if name in self._without] if self._without else []
        for name in dropped:
            del fields[name]
        if _mentions(body, self._in_messages):
            dropped += self._strip(fields)
        if dropped:
            return Adapted(_encode(fields), _features(dropped))
        return Adapted(_encode(fields) if changed else body, ())

    def _rename(self, fields: dict[str, msgspec.Raw]) -> bool:
        """Give fields their name here, unless that is taken; whether there were any."""
        changed = False
        for old, new in self._renamed.items():
            if old in fields and new not in fields:
                fields[new] = fields.pop(old)
                changed = True
        return changed

    def _strip(self, fields: dict[str, msgspec.Raw]) -> list[str]:
        messages = _MESSAGES.decode(fields["messages"])
        dropped = [name for message in messages for name in self._messages if message.pop(name, None) is not None]
        if dropped:
            fields["messages"] = msgspec.Raw(_encode(messages))
        return dropped


def _features(dropped: list[str]) -> tuple[str, ...]:
    """What the caller is told of fields that were dropped. That usage is not asked for loses nothing."""
    return tuple(sorted({_NAMES.get(name, name) for name in dropped if name != "stream_options"}))


def _quoted(names: Iterable[str]) -> tuple[bytes, ...]:
    """Fields as they stand in a body."""
    return tuple([b'"%b"' % name.encode() for name in names])


def _mentions(body: bytes, quoted: tuple[bytes, ...]) -> bool:
    """Whether one of these fields may be in `body`: cheap, and right but for names written with escapes."""
    for name in quoted:  # noqa: SIM110 - a generator costs more than what it looks for
        if name in body:
            return True
    return False
