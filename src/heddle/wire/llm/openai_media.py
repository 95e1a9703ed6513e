"""OpenAI's speech, transcription, image and moderation calls, which pass to a vendor of the same format untouched.

Owns what of such a request the gateway reads: the model, whether the answer streams, and what bounds its size. Bodies
are JSON or forms; only the model's name is ever changed in them. Answers are JSON, text, events or sound, and pass as
they come.

*Source:* OpenAI API reference, "Create speech", "Create transcription", "Create translation", "Create image", "Create
image edit", "Create moderation", 2026-11; the model pages of GPT Image for tokens of a picture.
"""

from typing import NamedTuple

import msgspec

from heddle.model.call import ModelCall, Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.json import convert, parse_strict
from heddle.wire.llm.codec import Stream, estimate_tokens
from heddle.wire.llm.media_usage import EventReader, read_text, read_usage
from heddle.wire.llm.openai_chat import (
    check_model,
    encode_error,
    encode_error_event,
    error_fields,
    rewrite_model,
)
from heddle.wire.multipart import Part, boundary_of, read_form, replace_part

EVENTS = b"text/event-stream; charset=utf-8"
SOUND = b"audio/*"
ANYTHING = b"*/*"

MODERATION_MODEL = "omni-moderation-latest"
"""What OpenAI takes when none is named."""
MAX_IMAGES = 128
PICTURE_TOKENS = 16_384
"""Most that one picture is taken to need: more than twice the 6,240 of the largest that is documented."""
TRANSCRIPT_TOKENS = 4_096
"""Most of a transcript: twice what the models that are billed by tokens can write."""
SPOKEN_TOKENS_PER_CHAR = 8
"""Most for one character that is spoken, at a quarter of the speed; it is two at most in common."""
FILE_TOKENS = 8_192
"""Most for a file in a form, besides one for each `BYTES_PER_TOKEN`: the most compressed sound has more bytes."""
BYTES_PER_TOKEN = 32


class _Json(msgspec.Struct, gc=False):
    """What is read of bodies in JSON."""

    model: str | None = None
    stream: bool | None = None
    n: int | None = None
    stream_format: str | None = None
    prompt: str | None = None
    input: msgspec.Raw | str | list[object] | None = None


class Shape(NamedTuple):
    """One kind of call."""

    dialect: str
    operation: str
    form: bool = False
    """The body is `multipart/form-data`, not JSON."""
    needs: str = ""
    """A field that there must be, besides the model."""
    output_tokens: int = 0
    """Most for each of `n`."""
    text: bool = False
    """Answers may be plain text."""
    stream_type: bytes = EVENTS


class MediaCodec:
    """The face at the door of one kind of call; see `codec.Codec` for the contract."""

    __slots__ = ("DIALECT", "STREAM_TYPE", "shape")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.DIALECT = shape.dialect
        self.STREAM_TYPE = shape.stream_type

    def decode_request(self, body: bytes, target: str = "") -> ModelCall:
        """What policies need. For a form `target` is the content type. Raises ProtocolError."""
        call = self._form(body, target) if self.shape.form else self._json(body)
        # Nothing has to be asked for so that usage is said.
        call.include_usage = True
        if self.shape.text and not call.stream:
            call.accepts = ANYTHING
        return call

    def rewrite(self, body: bytes, *, model: str | None, include_usage: bool) -> bytes:
        """The body, which has been decoded before, with another model name."""
        del include_usage
        if model is None or not self.shape.form:
            return rewrite_model(body, model)
        # A form that was read begins with its boundary.
        parts = read_form(body, body[2 : body.index(b"\r\n")])
        return replace_part(body, next(part for part in parts if part.name == "model"), model.encode())

    def read_usage(self, body: bytes, input_bytes: int) -> Usage:
        """Of a whole answer. Raises ProtocolError when it is none."""
        if self.shape.text and body.lstrip()[:1] != b"{":
            return read_text(body)
        return read_usage(body, 0 if self.shape.form else input_bytes)

    def open_stream(self, hide_usage: bool) -> Stream:
        """A reader for events, or for sound."""
        del hide_usage
        if self.shape.stream_type == SOUND:
            return SoundReader()
        return _FormEvents() if self.shape.form else EventReader()

    def encode_error(self, status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
        """As OpenAI's."""
        return encode_error(status, kind, code, detail, param)

    def error_fields(self, status: int, code: str) -> list[tuple[bytes, bytes]]:
        """None."""
        return error_fields(status, code)

    def encode_error_event(self, status: int, kind: str, code: str, detail: str, param: str | None) -> bytes:
        """As OpenAI's; empty where the stream is sound, which has no place for words."""
        if self.shape.stream_type == SOUND:
            return b""
        return encode_error_event(status, kind, code, detail, param)

    def _json(self, body: bytes) -> ModelCall:
        given = parse_strict(body)
        request = convert(given, _Json)
        shape = self.shape
        model = request.model or (MODERATION_MODEL if shape.operation == "moderation" else "")
        if request.model is None and not model:
            raise ProtocolError("model: this field is required.", param="model")
        check_model(model)
        if shape.needs and not given.get(shape.needs):
            raise ProtocolError(f"{shape.needs}: this field is required.", param=shape.needs)
        if shape.operation == "speech":
            return _speech(model, body, request, given["input"])
        stream = bool(request.stream) and bool(shape.output_tokens)
        return self._call(model, body, stream, request.n)

    def _form(self, body: bytes, content_type: str) -> ModelCall:
        kind = content_type.encode("latin-1", "replace")
        parts = read_form(body, boundary_of(kind))
        fields = {name: _field(body, parts, name) for name in ("model", "stream", "n")}
        model = fields["model"]
        if model is None:
            raise ProtocolError("model: this field is required.", param="model")
        check_model(model)
        if not any(part.filename is not None and part.name.removesuffix("[]") == self.shape.needs for part in parts):
            raise ProtocolError(f"{self.shape.needs}: a file is required.", param=self.shape.needs)
        call = self._call(model, body, (fields["stream"] or "").lower() in ("true", "1"), _whole(fields["n"]))
        call.content_type = kind
        call.input_bound = sum(_bound(part) for part in parts)
        return call

    def _call(self, model: str, body: bytes, stream: bool, choices: int | None) -> ModelCall:
        if choices is not None and not 1 <= choices <= MAX_IMAGES:
            raise ProtocolError(f"n: expected an integer from 1 to {MAX_IMAGES}.", param="n")
        choices = choices or 1
        return ModelCall(
            operation=self.shape.operation,
            dialect=self.shape.dialect,
            model=model,
            body=body,
            stream=stream,
            choices=choices,
            max_output_tokens=self.shape.output_tokens * choices,
        )


class SoundReader:
    """Sound on its way: whatever comes is passed on, and only HTTP knows whether it is whole."""

    __slots__ = ("done", "events", "failure", "text_chars")

    def __init__(self) -> None:
        self.text_chars = 0
        self.done = False
        self.events = 0
        self.failure: ProtocolError | None = None

    def feed(self, data: bytes) -> bytes:
        """All of it."""
        self.events += 1
        return data

    def finish(self) -> None:
        """The bytes have ended as HTTP announced it."""
        self.done = True

    def usage(self, input_bytes: int) -> Usage:
        """Estimated from the text: sound does not say what it cost. Two tokens for each character of it."""
        made = max(2 * input_bytes, 1) if self.events else 0
        return Usage(input_tokens=estimate_tokens(input_bytes), output_tokens=made, estimated=True)


class _FormEvents(EventReader):
    """Of a form the size says nothing about the tokens that went in."""

    __slots__ = ()

    def usage(self, input_bytes: int) -> Usage:
        """As EventReader."""
        del input_bytes
        return super().usage(0)


def _speech(model: str, body: bytes, request: _Json, text: object) -> ModelCall:
    if not isinstance(text, str):
        raise ProtocolError("input: expected a string.", param="input")
    if request.stream_format not in (None, "audio", "sse"):
        raise ProtocolError("stream_format: expected audio or sse.", param="stream_format")
    shape = SPEECH_EVENTS.shape if request.stream_format == "sse" else SPEECH.shape
    return ModelCall(
        operation=shape.operation,
        dialect=shape.dialect,
        model=model,
        body=body,
        stream=True,
        max_output_tokens=SPOKEN_TOKENS_PER_CHAR * len(text),
        characters=len(text),
        accepts=b"" if request.stream_format == "sse" else ANYTHING,
    )


def _field(body: bytes, parts: list[Part], name: str) -> str | None:
    """The text of a field that stands in a form at most once. Raises ProtocolError."""
    found = [part for part in parts if part.name == name]
    if not found:
        return None
    if len(found) > 1 or found[0].filename is not None:
        raise ProtocolError(f"{name}: expected one field of text.", param=name)
    try:
        return body[found[0].start : found[0].end].decode()
    except UnicodeDecodeError as exc:
        raise ProtocolError(f"{name}: expected text in UTF-8.", param=name) from exc


def _whole(text: str | None) -> int | None:
    if text is None:
        return None
    # Longer numbers are no count of pictures, and costly to read.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0


def _bound(part: Part) -> int:
    """Most tokens of one part."""
    size = part.end - part.start
    return size if part.filename is None else FILE_TOKENS + size // BYTES_PER_TOKEN


SPEECH = MediaCodec(Shape("openai_speech", "speech", needs="input", stream_type=SOUND))
SPEECH_EVENTS = MediaCodec(Shape("openai_speech_events", "speech", needs="input"))
TRANSCRIPTIONS = MediaCodec(
    Shape("openai_transcriptions", "transcription", True, "file", output_tokens=TRANSCRIPT_TOKENS, text=True)
)
TRANSLATIONS = MediaCodec(
    Shape("openai_translations", "transcription", True, "file", output_tokens=TRANSCRIPT_TOKENS, text=True)
)
IMAGES = MediaCodec(Shape("openai_images", "images", needs="prompt", output_tokens=PICTURE_TOKENS))
IMAGE_EDITS = MediaCodec(Shape("openai_image_edits", "images", True, "image", output_tokens=PICTURE_TOKENS))
MODERATIONS = MediaCodec(Shape("openai_moderations", "moderation", needs="input"))

MEDIA = (SPEECH, SPEECH_EVENTS, TRANSCRIPTIONS, TRANSLATIONS, IMAGES, IMAGE_EDITS, MODERATIONS)
"""All of them."""
