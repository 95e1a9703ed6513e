"""What Google's two addresses for Gemini have in common: the paths of models and methods, and what crosses.

Owns the form of a request. None of the caller's fields cross: those that Google reads choose whose project pays.

*Source:* Gemini API reference, "models"; Vertex AI reference, "projects.locations.publishers.models", 2026-11.
"""

import re
from urllib.parse import quote

from heddle import __version__
from heddle.model.call import ModelCall
from heddle.model.provider import Adapted, Failure, Fields
from heddle.model.provider_http import check_credential, path_prefix
from heddle.model.snapshot import ProviderSpec
from heddle.providers.gemini.failures import failure_of
from heddle.wire.llm.gemini.embed_places import for_gemini

METHODS = {
    "gemini_count": "countTokens",
    "gemini_embed_content": "embedContent",
    "gemini_embeddings": "batchEmbedContents",
}
"""Dialect that is sent -> method in the path; `gemini` has two."""

EMBEDDINGS = ("gemini_embed_content", "gemini_embeddings")
"""Dialects whose settings stand in another place at the other address."""

TO_CALLER = frozenset((b"x-gemini-service-tier",))
"""Answer fields that pass."""

_PUBLISHER = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Google:
    """What both have in common, given the base URL's path with what stands before the model."""

    __slots__ = (
        "_credential",
        "_fixed",
        "_place",
        "_prefix",
        "_publisher",
        "_stream_fixed",
        "adapts_own",
        "base_url",
        "dialects",
        "from_caller",
        "speaks",
        "stream_usage",
    )

    def __init__(self, base_url: str, credential: bytes, field: tuple[bytes, bytes] | None) -> None:
        self.base_url = base_url
        self.dialects = frozenset(("gemini", *METHODS))
        self.speaks = "gemini"
        # Nothing has to be asked for: every chunk has it.
        self.stream_usage = False
        self.from_caller: frozenset[bytes] = frozenset()
        self._credential = credential
        self._prefix = path_prefix(base_url)
        self._publisher = ""
        self._place = for_gemini
        # A caller may have used the SDK for the other address.
        self.adapts_own = True
        common = _common() if field is None else [*_common(), field]
        self._fixed: Fields = [*common, (b"accept", b"application/json")]
        self._stream_fixed: Fields = [*common, (b"accept", b"text/event-stream")]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url})"

    def target(self, call: ModelCall) -> bytes:
        """Path of the model's method, with `alt=sse` for a stream."""
        method = METHODS.get(call.dialect)
        if method is None:
            method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        return f"{self._prefix}/{_named(call.upstream_model or call.model, self._publisher)}:{method}".encode()

    def spell(self, model: str) -> str:
        """The name without what it may begin with: `models/`, at Vertex AI the name of its own publisher."""
        prefix = f"{self._publisher or 'models'}/"
        while model.startswith(prefix) and model != prefix:
            model = model.removeprefix(prefix)
        return model

    def headers(self, call: ModelCall, caller: Fields) -> Fields:
        """Our credential and content types; nothing of the caller's."""
        del caller
        return list(self._stream_fixed if call.stream else self._fixed)

    def answer_headers(self, headers: Fields) -> Fields:
        """The fields in TO_CALLER."""
        return [field for field in headers if field[0] in TO_CALLER]

    def adapt(self, body: bytes, call: ModelCall, translated: bool) -> Adapted:
        """Embeddings with their settings where this address has them; everything else as it is."""
        del translated
        return Adapted(self._place(body) if call.dialect in EMBEDDINGS else body, ())

    def read_failure(self, status: int, headers: Fields, body: bytes | None) -> Failure:
        """What the caller is told: its own mistakes in the provider's words, anything else in ours."""
        return failure_of(status, headers, body, self._credential)


def credential_of(spec: ProviderSpec) -> bytes:
    """The credential as bytes, empty for none. Raises ValueError for one that no header can carry."""
    credential = spec.credential.encode("utf-8", "replace")
    if credential:
        check_credential(credential)
    return credential


def _common() -> Fields:
    return [
        (b"content-type", b"application/json"),
        # What is compressed could not be read for usage, nor forwarded event by event.
        (b"accept-encoding", b"identity"),
        (b"user-agent", f"heddle/{__version__}".encode()),
    ]


def _named(model: str, publisher: str) -> str:
    """The path of a model. Its name is the operator's or the caller's: every part is quoted."""
    owner, _, name = model.rpartition("/")
    if not publisher:
        kind, name = (owner, name) if owner in ("models", "tunedModels") else ("models", model)
        return f"{kind}/{quote(name, safe='')}"
    # What is no publisher's name (`..`, say) stays a part of the model's, where it cannot lead elsewhere.
    owner, name = (owner, name) if _PUBLISHER.fullmatch(owner) else (publisher, model)
    return f"publishers/{owner}/models/{quote(name, safe='')}"
