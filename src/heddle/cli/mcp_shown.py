"""How results and definitions of tool servers look on a terminal, and where their pictures are kept.

Owns the rule that nothing a server says steers the terminal: of results control characters go, of definitions
everything unseen is spelt out, because there it may be meant for a model alone. Names of files are ours: what a server
calls its contents never becomes a path.

*Source:* Model Context Protocol 2026-07-28, "Tool results", "Prompts", "Resources".
"""

import base64
import binascii
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from heddle.backends.mcp.catalogue import Catalogue
from heddle.cli.mcp_client import McpFailure
from heddle.directory.visible import clipped, visible

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ENDINGS = {
    "image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "image/svg+xml": "svg",
    "audio/wav": "wav", "audio/mpeg": "mp3", "audio/ogg": "ogg", "application/pdf": "pdf", "application/json": "json",
    "text/plain": "txt",
}  # fmt: skip
KINDS = ("tool", "prompt", "resource", "template")


def plain(text: str) -> str:
    """A text of a result, without what would steer a terminal."""
    return _CONTROL.sub("", text)


def as_json(value: object) -> str:
    """JSON that is safe on a terminal: whatever is not ASCII is escaped. Raises McpFailure when it nests too deep."""
    try:
        return json.dumps(value, indent=2)
    except RecursionError as exc:
        raise McpFailure("The answer nests too deep to be shown.") from exc


def columns(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows as a table; the last column is as long as it is."""
    lines = list(rows)
    widths = [max((len(line[at]) for line in lines), default=0) for at in range(len(lines[0]) if lines else 0)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


class Attachments:
    """Where pictures, sounds and other bytes of a result are kept; nowhere without a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._count = 0

    def keep(self, what: str, mime_type: str, data: str) -> str:
        """One line that tells what became of `data`, which is base64. Raises McpFailure when it cannot be written."""
        try:
            content = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            return f"[{what} {clipped(mime_type, 60)}: no base64]"
        told = f"{what} {clipped(mime_type, 60)}, {len(content):,} bytes"
        if self._folder is None:
            return f"[{told}; --save DIR keeps it]"
        try:
            return f"[{told}: {self._write(content, mime_type)}]"
        except OSError as exc:
            raise McpFailure(f"--save {self._folder}: {exc.strerror}") from exc

    def _write(self, content: bytes, mime_type: str) -> Path:
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        ending = _ENDINGS.get(mime_type.partition(";")[0].strip().lower(), "bin")
        while True:
            self._count += 1
            path = self._folder / f"result-{self._count}.{ending}"
            try:
                # Nothing that is there is written over, and no link is followed out of the folder.
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                continue
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            return path


def show_result(result: dict[str, Any], attachments: Attachments) -> None:
    """The result of a tool, on standard output."""
    structured = result.get("structuredContent")
    contents = result.get("content")
    for one in contents if isinstance(contents, list) else ():
        if isinstance(one, dict) and not (structured is not None and _repeats(one, structured)):
            click.echo(content_text(one, attachments))
    if structured is not None:
        click.echo(as_json(structured))


def _repeats(content: dict[str, Any], structured: Any) -> bool:
    """Whether a text is only there for clients that do not read structured content."""
    # SDKs wrap what is no object in one of a single member.
    alone = list(structured.values()) if isinstance(structured, dict) and len(structured) == 1 else []
    try:
        return content.get("type") == "text" and json.loads(content["text"]) in [structured, *alone]
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def content_text(content: dict[str, Any], attachments: Attachments) -> str:
    """One part of a result, a prompt or a resource."""
    kind = content.get("type")
    if kind == "text" and isinstance(content.get("text"), str):
        return plain(content["text"])
    if kind in ("image", "audio"):
        return attachments.keep(str(kind), str(content.get("mimeType") or ""), str(content.get("data") or ""))
    if kind == "resource_link":
        return f"[link {clipped(str(content.get('uri')), 300)} {clipped(str(content.get('name') or ''), 80)}]"
    if kind == "resource" and isinstance(content.get("resource"), dict):
        return resource_text(content["resource"], attachments)
    return as_json(content)


def resource_text(contents: dict[str, Any], attachments: Attachments) -> str:
    """The contents of a resource."""
    if isinstance(contents.get("text"), str):
        return plain(contents["text"])
    return attachments.keep("resource", str(contents.get("mimeType") or ""), str(contents.get("blob") or ""))


def prompt_text(result: dict[str, Any], attachments: Attachments) -> str:
    """The messages of a prompt, each under who says it."""
    messages = result.get("messages")
    said = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    return "\n".join(
        f"{clipped(str(one.get('role')), 16)}: {content_text(one['content'], attachments)}"
        for one in said
        if isinstance(one.get("content"), dict)
    )


def listing(catalogue: Catalogue, origins: dict[tuple[str, str], str]) -> Iterator[tuple[str, ...]]:
    """Rows of kind, name, target and what it says of itself first."""
    yield ("kind", "name", "target", "about")
    for kind in KINDS:
        for name, offer in catalogue.of(kind).items():
            target = origins.get((kind, name), "").partition("/")[0] or "-"
            yield (kind, clipped(name, 80), target, about(offer.value))


def about(definition: dict[str, Any]) -> str:
    """Title, or the first line of the description."""
    text = definition.get("title") or definition.get("description") or ""
    return clipped(str(text).strip().partition("\n")[0], 100)


def pretty(definition: dict[str, Any]) -> str:
    """A definition, everything unseen in it spelt out."""
    as_json(definition)  # refuses what nests too deep
    return visible(json.dumps(definition, indent=2, ensure_ascii=False), keep="\n")
