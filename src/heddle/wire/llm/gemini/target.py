"""Where a Gemini call says what it wants: model and method stand in the path.

Owns the paths of the Gemini API and of Vertex AI, which the same SDK sends by one switch. A stream without `alt=sse`
would be one JSON array, which nobody can relay event by event and check: it is refused, with the remedy.

*Source:* Gemini API reference, "models.generateContent"; Vertex AI reference, "projects.locations.publishers.models";
google-genai 3.4 for the forms that it sends. 2026-11.
"""

import re
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_chat import check_model

METHODS = {
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "countTokens": "gemini_count",
    "embedContent": "gemini_embed_content",
    "batchEmbedContents": "gemini_embeddings",
}
"""Method in the path -> dialect."""

_PATH = re.compile(
    r"/v1(?:alpha|beta|beta1)?/(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/(?P<publisher>[^/]+)/)?"
    r"(?P<kind>models|tunedModels)/(?P<model>.+):(?P<method>[A-Za-z]+)"
)


class Target(NamedTuple):
    """What a path asks for."""

    model: str
    """Without `models/` and without Google as publisher; others stay (`publisher/model`, `tunedModels/name`)."""
    method: str
    """A key of METHODS."""


def read_target(target: str) -> Target:
    """Model and method of a request target (path and query).

    Raises ProtocolError: status 404 for another path, 400 for a stream without `alt=sse` and for an impossible model.
    """
    path, _, query = target.partition("?")
    try:
        found = _PATH.fullmatch(unquote(path, errors="strict"))
    except UnicodeDecodeError as exc:
        raise ProtocolError("The path is not UTF-8.") from exc
    if found is None or found["method"] not in METHODS:
        raise ProtocolError("Expected a path such as /v1beta/models/{model}:generateContent.", status=404)
    model = found["model"]
    if found["publisher"] not in (None, "google"):
        model = f"{found['publisher']}/{model}"
    if found["kind"] == "tunedModels":
        model = f"tunedModels/{model}"
    check_model(model)
    if found["method"] == "streamGenerateContent" and not _asks_for_events(query):
        raise ProtocolError("alt: streams are served as events only; add `?alt=sse` to the URL.", param="alt")
    return Target(model, found["method"])


def check_named(name: str | None, target: Target, at: str) -> None:
    """Raise ProtocolError when a body names another model than the path: which one is meant could be read two ways."""
    if name is not None and bare(name) != target.model:
        raise ProtocolError(f"{at}: names another model than the path.", param=at)


def bare(name: str) -> str:
    """A model's resource name as `Target.model` has it."""
    found = _PATH.fullmatch(f"/v1/{name}:x")
    if found is None:
        return name
    if found["kind"] == "tunedModels":
        return name
    publisher = found["publisher"]
    return found["model"] if publisher in (None, "google") else f"{publisher}/{found['model']}"


def _asks_for_events(query: str) -> bool:
    stated = parse_qs(query)
    return [*stated.get("alt", []), *stated.get("$alt", [])] == ["sse"]
