"""OpenAPI documents, from wherever the configuration says they are, as plain data.

Owns reading them while the configuration is loaded: JSON or YAML with the protections of each, at most 4 MiB, by
https or from this machine, no redirects, no proxies of the environment. What they mean is for the codec.
*Source:* RFC 8725 section 3.10 for why redirects are not followed (they are somebody else's choice of address).
"""

import importlib
import ssl
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import urlsplit

from heddle.controlplane.yamldoc import MAX_BYTES, read_documents
from heddle.model.config_mcp_targets import ApiDocument, OpenApi
from heddle.wire.errors import ProtocolError
from heddle.wire.json import parse_strict

TIMEOUT_S = 5.0
"""Longest silence while a document is fetched: a start waits for it."""
TOTAL_S = 15.0
"""Longest time for the body of one, however it drips."""


class DocumentError(ValueError):
    """A document that cannot be had, or is none; the message says why in words for the operator."""


def read_api_document(source: ApiDocument, folder: str, ca_file: str = "") -> dict[str, Any]:
    """The document, parsed. `ca_file` is trusted for its URL instead of the system's. Raises DocumentError."""
    if isinstance(source.inline, dict):
        return source.inline
    if source.inline:
        return _parsed(source.inline.encode())
    return _parsed(_from_file(Path(folder, source.file)) if source.file else _from_url(source.url, ca_file))


class ApiFacts(NamedTuple):
    """What a document comes to."""

    operations: int
    """Tools that are offered of it."""
    base_url: str
    """Where it is."""


def api_facts(document: dict[str, Any], api: OpenApi) -> ApiFacts:
    """What a document comes to, as `api` chooses among its operations. Raises DocumentError."""
    # Imported here: few configurations have one.
    reader = importlib.import_module("heddle.wire.openapi.document")
    choice = importlib.import_module("heddle.wire.openapi.selection")
    servers = importlib.import_module("heddle.wire.openapi.servers")
    selection = choice.Selection(
        include=tuple(choice.Filter(operation_id=name) for name in api.operations),
        exclude=tuple(choice.Filter(operation_id=name) for name in api.exclude),
        deprecated=api.deprecated,
    )
    try:
        service = reader.read_document(document, base_url=api.base_url, selection=selection)
        place = servers.read_place(api.base_url, document)
    except ProtocolError as exc:
        hint = "; give `base_url`" if exc.param is not None and exc.param.startswith("servers") else ""
        raise DocumentError(f"{exc.detail.rstrip('.')}{hint}") from exc
    if not api.base_url and _has_servers_below(document):
        raise DocumentError("paths have servers of their own, so where the API is must be said; give `base_url`")
    return ApiFacts(len(service.operations), f"{place.origin}{place.path}")


def _has_servers_below(document: dict[str, Any]) -> bool:
    """Whether a path or an operation says that it is elsewhere."""
    items = document.get("paths")
    paths = [item for item in items.values() if isinstance(item, dict)] if isinstance(items, dict) else []
    operations = [one for item in paths for one in item.values() if isinstance(one, dict)]
    return any(one.get("servers") for one in (*paths, *operations))


def _from_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(file.read(MAX_BYTES + 1))
    except OSError as exc:
        raise DocumentError(f"file {path} cannot be read: {exc.strerror}") from exc


def _from_url(url: str, ca_file: str) -> bytes:
    # Imported here: it is slow to import, and few configurations fetch anything.
    requests = importlib.import_module("urllib.request")
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
        handlers = [requests.ProxyHandler({}), requests.HTTPSHandler(context=context), _no_redirects(requests)]
        request = requests.Request(url, headers={"accept": "application/json, application/yaml"})
        with requests.build_opener(*handlers).open(request, timeout=TIMEOUT_S) as answer:
            return _bounded(_body(answer, time.monotonic() + TOTAL_S))
    except URLError as exc:
        reason = getattr(exc, "code", None)
        why = f"answered with status {reason}" if reason else f"cannot be fetched: {exc.reason}"
        raise DocumentError(f"{urlsplit(url).netloc} {why}") from exc
    except (OSError, ValueError) as exc:
        raise DocumentError(f"{urlsplit(url).netloc} cannot be fetched: {exc}") from exc


def _body(answer: Any, until_s: float) -> bytes:
    """As much of the body as tells whether it is too large. Raises TimeoutError."""
    body = bytearray()
    while len(body) <= MAX_BYTES and (part := answer.read1(65_536)):
        body += part
        if time.monotonic() > until_s:
            raise TimeoutError(f"not complete after {TOTAL_S:g} s")
    return bytes(body)


def _no_redirects(requests: Any) -> Any:
    handler = requests.HTTPRedirectHandler()
    handler.redirect_request = lambda *_: None
    return handler


def _bounded(content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise DocumentError(f"is larger than {MAX_BYTES // 1024 // 1024} MiB")
    return content


def _parsed(content: bytes) -> dict[str, Any]:
    content = content.removeprefix(b"\xef\xbb\xbf")
    value = _json(content) if content.lstrip()[:1] == b"{" else _yaml(content)
    if not isinstance(value, dict):
        raise DocumentError("expected a mapping at the top of the document")
    return value


def _json(content: bytes) -> Any:
    try:
        return parse_strict(content)
    except ProtocolError as exc:
        raise DocumentError(str(exc).replace("The request body", "The document")) from exc


def _yaml(content: bytes) -> Any:
    try:
        text = content.decode()
    except UnicodeDecodeError as exc:
        raise DocumentError("is not UTF-8 text") from exc
    documents, problems = read_documents(text)
    if problems:
        first = problems[0]
        raise DocumentError(f"line {first.line}: {first.path + ': ' if first.path else ''}{first.message}")
    if len(documents) != 1:
        raise DocumentError(f"expected one document, found {len(documents)}")
    return documents[0].value
