"""Bodies of the kind `multipart/form-data`, read without copying them: where each part is, and what it is called.

Owns one reading of a form, so that what policies judged is what the provider gets. Everything on which readers are
known to differ is refused: text before the first boundary or after the last, a boundary that is followed by anything
else than its end of line, bare line feeds in part heads, folded or repeated fields, names in other encodings
(`name*`), transfer encodings. What a part holds is not looked at.

*Source:* RFC 7578 (form-data) sections 4.1 to 4.8 and 5.1; RFC 2046 section 5.1.1 (boundaries); WHATWG HTML, "Multipart
form data" for how names are escaped, as of 2026-11.
"""

import re
from typing import NamedTuple

from heddle.wire.errors import ProtocolError

MAX_PARTS = 128
MAX_HEAD_BYTES = 4_096
"""Of one part."""
MAX_NAME_CHARS = 256

# "boundary := 0*69<bchars> bcharsnospace"; HTTP clients use few of them.
_TYPE = re.compile(rb"multipart/form-data[ \t]*;(.*)", re.IGNORECASE | re.DOTALL)
_BOUNDARY = re.compile(rb'[ \t]*boundary=(?:"([^"\\]*)"|([^\s;"]+))[ \t]*', re.IGNORECASE)
_ALLOWED = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*)")
_DISPOSITION = re.compile(
    rb"form-data((?:[ \t]*;[ \t]*[a-z]+=(?:\"(?:[^\"\\]|\\.)*\"|[^\s;\"]+))+)[ \t]*", re.IGNORECASE
)
_PARAMETER = re.compile(rb";[ \t]*([a-z]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;\"]+))", re.IGNORECASE)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


class Part(NamedTuple):
    """One part of a form."""

    name: str
    filename: str | None
    """None for a plain field."""
    start: int
    """Where its content begins in the body."""
    end: int
    """Where it ends."""


def boundary_of(content_type: bytes) -> bytes:
    """The boundary that a content type names. Raises ProtocolError."""
    kind = _TYPE.fullmatch(content_type.strip())
    stated = [found for item in (kind[1].split(b";") if kind else ()) if (found := _BOUNDARY.fullmatch(item))]
    if len(stated) != 1:
        raise ProtocolError("content-type: expected multipart/form-data with one boundary.", param="content-type")
    boundary: bytes = stated[0][1] or stated[0][2] or b""
    if not _ALLOWED.fullmatch(boundary):
        raise ProtocolError("content-type: the boundary is not one that a form can have.", param="content-type")
    return boundary


def read_form(body: bytes, boundary: bytes) -> list[Part]:
    """The parts of a form, in order. Raises ProtocolError, malformed, which quotes nothing."""
    opening, delimiter = b"--" + boundary + b"\r\n", b"\r\n--" + boundary
    if not body.startswith(opening):
        raise _broken("does not begin with its boundary")
    parts: list[Part] = []
    at = len(opening)
    while True:
        if len(parts) >= MAX_PARTS:
            raise ProtocolError(f"The form has more than {MAX_PARTS} parts.")
        name, filename, start = _head(body, at)
        end = body.find(delimiter, start)
        if end < 0:
            raise _broken("does not end with its boundary")
        parts.append(Part(name, filename, start, end))
        at = end + len(delimiter)
        if body.startswith(b"\r\n", at):
            at += 2
        elif body[at:] in (b"--", b"--\r\n"):
            return parts
        else:
            # Part of the content for some readers, a broken boundary for others.
            raise _broken("has something after a boundary")


def replace_part(body: bytes, part: Part, content: bytes) -> bytes:
    """The body with other content in a part."""
    return b"".join((memoryview(body)[: part.start], content, memoryview(body)[part.end :]))


def _head(body: bytes, at: int) -> tuple[str, str | None, int]:
    """Name and file name of the part whose head begins at `at`, and where its content begins."""
    end = body.find(b"\r\n\r\n", at, at + MAX_HEAD_BYTES)
    if end < 0:
        raise _broken("has a part without a head, or with too large a one")
    fields: dict[bytes, bytes] = {}
    for line in body[at:end].split(b"\r\n"):
        found = _FIELD.fullmatch(line)
        if found is None or found[1].lower() in fields:
            raise _broken("has a part whose head cannot be read")
        fields[found[1].lower()] = found[2]
    if fields.get(b"content-transfer-encoding", b"binary").strip().lower() not in (b"binary", b"8bit", b"7bit"):
        raise _broken("has a part in a transfer encoding")
    name, filename = _names(fields.get(b"content-disposition", b""))
    return name, filename, end + 4


def _names(disposition: bytes) -> tuple[str, str | None]:
    found = _DISPOSITION.fullmatch(disposition)
    given: dict[bytes, bytes] = {}
    for key, quoted, plain in _PARAMETER.findall(found[1]) if found is not None else ():
        if key.lower() in given:
            raise _broken("has a part with two names")
        given[key.lower()] = _ESCAPED.sub(rb"\1", quoted) or plain
    try:
        name = given[b"name"].decode()
        filename = given[b"filename"].decode() if b"filename" in given else None
    except (KeyError, UnicodeDecodeError):
        raise _broken("has a part without a readable name") from None
    if not name or len(name) > MAX_NAME_CHARS:
        raise _broken("has a part without a readable name")
    return name, filename


def _broken(how: str) -> ProtocolError:
    return ProtocolError(f"The form {how}.", malformed=True)
