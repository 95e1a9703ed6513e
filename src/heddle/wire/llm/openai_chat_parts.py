"""Parts of an OpenAI chat message, from the wire to the canonical form: text, images, sounds, files, refusals.

Owns how media are written in this format: `data:` URIs are taken apart, so that no other vendor has to, and base64
is checked, so that a damaged file is refused here with its place instead of somewhere else without.

*Source:* OpenAI API reference, "Create chat completion", `messages[].content`, as of 2026-11; RFC 2397 for `data:`
URIs. `cache_control` as OpenRouter's "Prompt caching" describes it, since many compatible servers take it.
"""

import binascii
from typing import Literal

import msgspec

from heddle.wire.canonical.request import Cache, Media, Refusal, Text
from heddle.wire.errors import ProtocolError

_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_FILE_TYPES = {"pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv"}
_KINDS: dict[str, Literal["image", "audio", "video"]] = {"image": "image", "audio": "audio", "video": "video"}
_URL_SCHEMES = ("https://", "http://")


class CacheControl(msgspec.Struct, gc=False):
    """`cache_control` of a part or a tool."""

    type: Literal["ephemeral"]
    ttl: str | None = None


class Breakpoint(msgspec.Struct, gc=False):
    """OpenAI's own `prompt_cache_breakpoint`. Its lifetimes are no other vendor's, so only the mark is kept."""

    mode: Literal["explicit"]


class _Marked(msgspec.Struct, kw_only=True, gc=False):
    cache_control: CacheControl | None = None
    prompt_cache_breakpoint: Breakpoint | None = None


class TextPart(_Marked, kw_only=True, tag="text", tag_field="type", gc=False):
    """`text`."""

    text: str


class _ImageUrl(msgspec.Struct, gc=False):
    url: str
    detail: str | None = None


class ImagePart(_Marked, kw_only=True, tag="image_url", tag_field="type", gc=False):
    """`image_url`: a URL, or the image itself as a `data:` URI."""

    image_url: _ImageUrl


class _Audio(msgspec.Struct, gc=False):
    data: str
    format: str


class AudioPart(_Marked, kw_only=True, tag="input_audio", tag_field="type", gc=False):
    """`input_audio`."""

    input_audio: _Audio


class _File(msgspec.Struct, gc=False):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(_Marked, kw_only=True, tag="file", tag_field="type", gc=False):
    """`file`: its contents as a `data:` URI or plain base64, or the id of one that the vendor keeps."""

    file: _File


class RefusalPart(msgspec.Struct, kw_only=True, tag="refusal", tag_field="type", gc=False):
    """`refusal`, in what an assistant said."""

    refusal: str


UserPart = TextPart | ImagePart | AudioPart | FilePart
AssistantPart = TextPart | RefusalPart
ToolPart = TextPart | ImagePart | FilePart


def read_cache(control: CacheControl | None, mark: Breakpoint | None = None) -> Cache | None:
    """The canonical mark."""
    if control is not None:
        return Cache(ttl=control.ttl or "")
    return Cache() if mark is not None else None


def read_part(part: UserPart | AssistantPart, place: str) -> Text | Media | Refusal:
    """One part; `place` is its path in the request. Raises ProtocolError."""
    if isinstance(part, TextPart):
        return Text(text=part.text, cache=_cache(part))
    if isinstance(part, RefusalPart):
        return Refusal(text=part.refusal)
    if isinstance(part, ImagePart):
        return _image(part, place)
    if isinstance(part, AudioPart):
        return _audio(part, place)
    return _file(part, place)


def _cache(part: _Marked) -> Cache | None:
    return read_cache(part.cache_control, part.prompt_cache_breakpoint)


def _image(part: ImagePart, place: str) -> Media:
    at = f"{place}.image_url.url"
    url, detail = part.image_url.url, part.image_url.detail or ""
    if url[:5].lower() == "data:":
        media_type, data = _data_uri(url, at)
        return Media(kind="image", media_type=media_type, data=data, detail=detail, cache=_cache(part))
    if not url.lower().startswith(_URL_SCHEMES):
        raise ProtocolError(f"{at}: expected an http, https or data URL.", param=at)
    return Media(kind="image", url=url, detail=detail, cache=_cache(part))


def _audio(part: AudioPart, place: str) -> Media:
    at = f"{place}.input_audio"
    media_type = _AUDIO_TYPES.get(part.input_audio.format)
    if media_type is None:
        raise ProtocolError(f"{at}.format: expected wav or mp3.", param=f"{at}.format")
    data = _checked(part.input_audio.data, f"{at}.data")
    return Media(kind="audio", media_type=media_type, data=data, cache=_cache(part))


def _file(part: FilePart, place: str) -> Media:
    at, file = f"{place}.file", part.file
    name, cache = file.filename or "", _cache(part)
    if file.file_data:
        if file.file_id:
            raise ProtocolError(f"{at}: expected either file_data or file_id, not both.", param=at)
        return _contents(file.file_data, name, f"{at}.file_data", cache)
    if not file.file_id:
        raise ProtocolError(f"{at}: expected file_data or file_id.", param=at)
    return Media(kind="document", file_id=file.file_id, name=name, cache=cache)


def _contents(file_data: str, name: str, at: str, cache: Cache | None) -> Media:
    if file_data[:5].lower() == "data:":
        media_type, data = _data_uri(file_data, at)
    else:
        media_type, data = _FILE_TYPES.get(name.rpartition(".")[2].lower(), ""), _checked(file_data, at)
    if media_type == "text/plain":
        text = _plain_text(data)
        if text is not None:
            return Media(kind="document", media_type=media_type, text=text, name=name, cache=cache)
    kind: Literal["image", "document", "audio", "video"] = _KINDS.get(media_type.partition("/")[0], "document")
    return Media(kind=kind, media_type=media_type, data=data, name=name, cache=cache)


def _plain_text(data: str) -> str | None:
    """The text of a plain text file; None when it is empty or no UTF-8, and so only bytes."""
    try:
        return binascii.a2b_base64(data).decode() or None
    except UnicodeDecodeError:
        return None


def _data_uri(uri: str, at: str) -> tuple[str, str]:
    """Media type and base64 of a `data:` URI."""
    head, comma, data = uri[5:].partition(",")
    media_type, *parameters = head.split(";")
    if not comma or not parameters or parameters[-1].strip().lower() != "base64":
        raise ProtocolError(f"{at}: expected a data URL in base64.", param=at)
    return media_type.strip().lower(), _checked(data, at)


def _checked(data: str, at: str) -> str:
    """`data`, which is not empty and base64 in the standard alphabet with its padding."""
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError as exc:
        raise ProtocolError(f"{at}: not valid base64.", param=at) from exc
    if not data:
        raise ProtocolError(f"{at}: expected data, got none.", param=at)
    return data
