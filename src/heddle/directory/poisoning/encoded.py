"""Texts that are wrapped so that people do not read them.

Owns finding and unwrapping: base64, hexadecimal, percent signs, escapes and entities. What comes out is judged as
prose is; a picture, a digest or a token comes out as no prose, and is none of our business.

*Source:* RFC 4648 sections 4, 5 and 8; RFC 3986 section 2.1.
"""

import base64
import binascii
import html
import re
from collections.abc import Iterator
from urllib.parse import unquote

from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.said import Said

MAX_BLOBS = 32
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,8192}={0,2}")
_HEX = re.compile(
    r"(?<![0-9A-Za-z])(?:0x)?([0-9A-Fa-f]{32,8192})(?![0-9A-Za-z])|((?:\\x[0-9A-Fa-f]{2}){8,2048})|"
    r"((?:[0-9A-Fa-f]{2}[ :]){15,2048}[0-9A-Fa-f]{2})"
)
_PERCENT = re.compile(r"[A-Za-z.,]{0,8}(?:%[0-9A-Fa-f]{2}[A-Za-z.,]{0,8}){8,1024}")
_ESCAPES = re.compile(r"(?:\\u[0-9A-Fa-f]{4}){6,1024}")
_ENTITIES = re.compile(r"(?:&#(?:x[0-9A-Fa-f]{1,6}|\d{1,7});){6,1024}")
_BASE32 = re.compile(r"(?<![A-Z2-7])[A-Z2-7]{24,4096}={0,6}(?![A-Za-z0-9])")
_CODES = re.compile(r"(?:\b\d{2,3}[, ]{1,2}){12,1024}\d{2,3}\b")
_PROSE = re.compile(r"(?:[A-Za-z'~/._()-]{1,40}[ ,.:]+){3}")
_UNWRAP = re.compile(
    r"\b(?:decode|decrypt|decipher|unscramble|de-?obfuscate|rot-?13|reverse|base64)\b.{0,80}\b(?:follow|"
    r"execute|obey|run|carry out|perform|act on|apply|comply|do what|instructions?)\b"
)


MAX_TURNED_CHARS = 4096
_ROT13 = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm"
)
_TELLTALE = re.compile(
    r"\b(?:ignore|instructions?|previous|read|send|users?|secret|password|system|prompt|tell|must|file|"
    r"tool|before|always|pass|include|ssh|env|key)\b",
    re.IGNORECASE,
)
_LEET = str.maketrans("013457@$!", "oieastasi")
_LEET_WORD = re.compile(r"(?<![\w@$!])(?=[A-Za-z]{0,20}[013457@$!]{1,4}[A-Za-z])[A-Za-z013457@$!]{3,24}(?![\w@$])")
_SPACED = re.compile(r"(?<![A-Za-z])(?:[A-Za-z][ ._*-]{1,2}){7,400}[A-Za-z](?![A-Za-z])")


def disguised(text: str) -> str | None:
    """The text with letters put for digits and with spaced letters drawn together; None when there are no such."""
    plain = text
    if len(_LEET_WORD.findall(text)) >= 3:
        plain = _LEET_WORD.sub(lambda found: found[0].translate(_LEET), plain)
    plain = _SPACED.sub(_together, plain)
    if len(text) <= MAX_TURNED_CHARS:
        turned = (text.translate(_ROT13), text[::-1], " ".join(word[::-1] for word in text.split()))
        plain = "\n".join([plain, *(one for one in turned if len(_TELLTALE.findall(one)) > 1)])
    return plain if plain != text else None


def _together(found: "re.Match[str]") -> str:
    """`i g n o r e   a l l`: one separator between letters, more between words."""
    parts = re.split(r"[ ._*-]{2,}", found[0])
    return " ".join(re.sub(r"[ ._*-]", "", part) for part in parts)


def unwrapped(text: str) -> Iterator[tuple[str, str]]:
    """What was wrapped in a text, and what it says: only what comes out as words."""
    for count, (blob, plain) in enumerate(_candidates(text)):
        if count >= MAX_BLOBS:
            return
        if plain is not None and _PROSE.search(plain) and plain.isprintable():
            yield blob, plain


def _candidates(text: str) -> Iterator[tuple[str, str | None]]:
    for found in _BASE64.finditer(text):
        yield found[0], _from_base64(found[0])
    for found in _BASE32.finditer(text):
        yield found[0], _from_base32(found[0])
    for found in _CODES.finditer(text):
        numbers = [int(number) for number in re.findall(r"\d+", found[0])]
        yield found[0], "".join(chr(number) for number in numbers if 31 < number < 127)
    for found in _HEX.finditer(text):
        digits = re.sub(r"\\x|[ :]", "", found[1] or found[2] or found[3])
        yield found[0], _utf8(bytes.fromhex(digits[: len(digits) // 2 * 2]))
    for found in _PERCENT.finditer(text):
        yield found[0], " ".join(unquote(found[0]).split())
    for found in _ESCAPES.finditer(text):
        yield found[0], "".join(chr(int(digits, 16)) for digits in found[0].split("\\u")[1:])
    for found in _ENTITIES.finditer(text):
        yield found[0], html.unescape(found[0])


def _from_base64(blob: str) -> str | None:
    body = blob.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _utf8(base64.b64decode(body + "=" * (-len(body) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None


def _from_base32(blob: str) -> str | None:
    body = blob.rstrip("=")
    try:
        return _utf8(base64.b32decode(body + "=" * (-len(body) % 8)))
    except (binascii.Error, ValueError):
        return None


def _utf8(data: bytes) -> str | None:
    try:
        return " ".join(data.decode().split())
    except UnicodeDecodeError:
        return None


def unwrapping_in(said: Said) -> Iterator[Sign]:
    """An order to unwrap something and do what it says."""
    found = _UNWRAP.search(said.text)
    if found is not None and said.meant(found) and not said.purpose:
        yield Sign("encoded_orders", "high", said.text)
