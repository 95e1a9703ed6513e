"""Typed reading of a request's pieces, with errors that name their place in the whole.

Owns the way from raw JSON at a path to a struct, and from what requests say of media to parts.

*Source:* OpenAI API reference, "Create a model response": `input_text`, `input_image`, `input_file`, `input_audio`;
RFC 2397 for `data:` URIs.
"""

import binascii
import re
from typing import TypeVar

import msgspec

from heddle.wire.canonical.request import Cache, Media, Part, Refusal, Text
from heddle.wire.errors import ProtocolError
from heddle.wire.json import type_error

T = TypeVar("T")

_DATA_URI = re.compile(r"data:([\w.+-]{1,64}/[\w.+-]{1,128})?(?:;[\w.+-]{1,64}=[^;,]{0,256}){0,8};base64,", re.ASCII)
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}


class _Audio(msgspec.Struct, gc=False):
    data: str
    format: str


class _Mark(msgspec.Struct, gc=False):
    ttl: str | None = None


class Content(msgspec.Struct, gc=False):
    """One part of a message's or of a tool output's content, of any type."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: _Audio | None = None
    prompt_cache_breakpoint: _Mark | None = None


def decode(decoder: "msgspec.json.Decoder[T]", raw: msgspec.Raw | bytes, at: str) -> T:
    """`raw` as the decoder's type. Raises ProtocolError with the place inside the request, where `at` is its own."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as exc:
        message, _, path = str(exc).partition(" - at `$")
        dot = "." if at else ""
        raise type_error(f"{message} - at `${dot}{at}{path.rstrip('`')}`") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ProtocolError("The request body is not valid JSON.", malformed=True) from exc


def bad(at: str, expected: str) -> ProtocolError:
    """The error for a value that has the right type and cannot be."""
    return ProtocolError(f"{at}: expected {expected}.", param=at)


def parts(content: str | list[Content] | None, at: str) -> tuple[Part, ...]:
    """The parts of a content. Raises ProtocolError."""
    if content is None:
        raise ProtocolError(f"{at}: this field is required.", param=at)
    if isinstance(content, str):
        return (Text(text=content),)
    return tuple([_part(one, f"{at}[{index}]") for index, one in enumerate(content)])


def _part(one: Content, at: str) -> Part:
    kind = one.type
    if kind in ("input_text", "output_text", "text", "summary_text", "reasoning_text"):
        if one.text is None:
            raise bad(f"{at}.text", "a string")
        return Text(text=one.text, cache=_cache(one))
    if kind == "refusal":
        if one.refusal is None:
            raise bad(f"{at}.refusal", "a string")
        return Refusal(text=one.refusal)
    if kind == "input_image":
        return _image(one, at)
    if kind == "input_file":
        return _file(one, at)
    if kind == "input_audio":
        return _audio(one, at)
    raise bad(f"{at}.type", "`input_text`, `input_image`, `input_file`, `input_audio`, `output_text` or `refusal`")


def _cache(one: Content) -> Cache | None:
    mark = one.prompt_cache_breakpoint
    # A stated time is a least one (30 minutes or 12 hours): of the two that others know, the longer.
    return None if mark is None else Cache(ttl="1h" if mark.ttl else "")


def _image(one: Content, at: str) -> Media:
    if (one.image_url is None) == (one.file_id is None):
        raise bad(at, "either `image_url` or `file_id`")
    media_type, data, url = _located(one.image_url or "", f"{at}.image_url")
    if data and not media_type:
        raise bad(f"{at}.image_url", "a `data:` URI with a media type")
    return Media(
        kind="image",
        media_type=media_type,
        data=data,
        url=url,
        file_id=one.file_id or "",
        detail=one.detail or "",
        cache=_cache(one),
    )


def _file(one: Content, at: str) -> Media:
    given = [value for value in (one.file_data, one.file_url, one.file_id) if value]
    if len(given) != 1:
        raise bad(at, "one of `file_data`, `file_url` and `file_id`")
    media_type, data, url = _located(one.file_url or "", f"{at}.file_url")
    if one.file_data:
        media_type, data = _file_data(one.file_data, one.filename or "", f"{at}.file_data")
    text = _as_text(data) if media_type.startswith("text/") else None
    return Media(
        kind="image" if media_type.startswith("image/") else "document",
        media_type=media_type,
        data=data if text is None else "",
        url=url,
        file_id=one.file_id or "",
        text=text or "",
        name=one.filename or "",
        cache=_cache(one),
    )


def _audio(one: Content, at: str) -> Media:
    if one.input_audio is None:
        raise ProtocolError(f"{at}.input_audio: this field is required.", param=f"{at}.input_audio")
    heard = one.input_audio
    media_type = _AUDIO.get(heard.format)
    if media_type is None:
        raise bad(f"{at}.input_audio.format", "`wav` or `mp3`")
    return Media(kind="audio", media_type=media_type, data=_base64(heard.data, f"{at}.input_audio.data"))


def _located(url: str, at: str) -> tuple[str, str, str]:
    """Media type, data and URL of something that is a URL or a `data:` URI."""
    if url[:5].lower() != "data:":
        return "", "", url
    media_type, data = _data_uri(url, at)
    return media_type, data, ""


def _data_uri(uri: str, at: str) -> tuple[str, str]:
    head = _DATA_URI.match(uri)
    if head is None:
        raise bad(at, "a `data:` URI in base64")
    return (head[1] or "").lower(), _base64(uri[head.end() :], at)


def _file_data(value: str, name: str, at: str) -> tuple[str, str]:
    if value.startswith("data:"):
        return _data_uri(value, at)
    # Bare base64 says nothing of its type; the API reads such files by their name.
    return "application/pdf" if name.lower().endswith(".pdf") or not name else "", _base64(value, at)


def _base64(value: str, at: str) -> str:
    try:
        if value and binascii.a2b_base64(value, strict_mode=True):
            return value
    except ValueError:
        pass
    raise bad(at, "base64")


def _as_text(data: str) -> str | None:
    """The text of a plain document; None when it is none after all."""
    try:
        return binascii.a2b_base64(data).decode() or None
    except UnicodeDecodeError:
        return None
