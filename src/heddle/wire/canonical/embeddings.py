"""Embeddings as all dialects can say them: texts in, vectors out.

Owns the shapes, and the four functions that a format gives for them. Texts only: tokens that one vendor's tokeniser
made mean nothing to another one.

*Source:* OpenAI API reference, "Create embeddings"; Gemini API reference, "models.batchEmbedContents", 2026-11.
"""

from typing import Protocol

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.canonical.rules import Notes


class EmbedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for embeddings. None and empty mean "not stated"."""

    model: str
    inputs: tuple[str, ...]
    dimensions: int | None = None
    encoding_format: str = ""
    """`float` or `base64` (little-endian 32-bit floats); how the caller wants its vectors written."""
    task: str = ""
    """What the vectors are for, in Gemini's words (`RETRIEVAL_QUERY`)."""
    title: str = ""
    """Of the document that is embedded, with task `RETRIEVAL_DOCUMENT`."""
    user: str = ""
    """The caller's own name for its user."""
    other: tuple[str, ...] = ()
    """Names of stated fields that have no place here."""


class EmbedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The vectors of a request, in the order of its inputs."""

    vectors: tuple[tuple[float, ...], ...]
    model: str = ""
    """As the vendor named it; empty when it did not."""
    usage: Usage | None = None
    """None when the vendor did not say."""


class EmbedDialect(Protocol):
    """The caller's side of translated embeddings. A module is one."""

    def decode_embed(self, body: bytes, call: ModelCall) -> EmbedRequest:
        """The whole of a request that `decode_request` has accepted. Raises ProtocolError, which names the place."""
        ...

    def encode_embeddings(self, answer: EmbedAnswer, request: EmbedRequest, call: ModelCall) -> bytes:
        """An answer; usage that the vendor did not say is estimated from the request's size."""
        ...


class EmbedVendor(Protocol):
    """The provider's side of translated embeddings. A module is one."""

    def encode_embed(self, request: EmbedRequest, model: str, notes: Notes) -> bytes:
        """The body for `model` (the provider's name for it); notes what is left out."""
        ...

    def decode_embeddings(self, body: bytes, inputs: int) -> EmbedAnswer:
        """An answer with one vector for each of so many inputs. Raises ProtocolError when it is none."""
        ...


def leave_out(request: EmbedRequest, names: tuple[str, ...], notes: Notes) -> None:
    """Note what the request states of `names`, and of `other`, as dropped."""
    stated = [name for name in names if getattr(request, name)]
    notes.dropped += [name for name in (*stated, *request.other) if name not in notes.dropped]
