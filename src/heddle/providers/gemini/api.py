"""The Gemini API, with a key.

Owns its address and the key's place: a field, and never the URL, where logs would keep it.

*Source:* Gemini API, "Authentication", 2026-11.
"""

import msgspec

from heddle.model.provider import decode_options
from heddle.model.snapshot import ProviderSpec
from heddle.providers.gemini.google import Google, credential_of

DEFAULT_BASE_URL = "https://generativelanguage.googleapis.com/v1beta"


class _NoOptions(msgspec.Struct, kw_only=True, frozen=True):
    """Options of `type: gemini`: none."""


class Gemini(Google):
    """The Gemini API. Raises OptionError, or ValueError for a base URL or a key that cannot be used."""

    __slots__ = ()

    def __init__(self, spec: ProviderSpec) -> None:
        decode_options(spec.options, _NoOptions)
        key = credential_of(spec)
        super().__init__(spec.base_url or DEFAULT_BASE_URL, key, (b"x-goog-api-key", key) if key else None)
