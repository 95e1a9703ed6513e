"""What is served where: the doors of an HTTP listener, one per dialect and operation, compiled from a snapshot.

Owns the table of paths. Formats that name the model or the operation in the path have a door per operation behind a
prefix; which one is meant stands after the last `:` or `/`.

*Source:* the API references of OpenAI, Anthropic, Gemini and Bedrock, 2026-11.
"""

from typing import Any, Final, NamedTuple

from heddle import plugins
from heddle.backends.llm import LlmBackend
from heddle.dataplane.choosing import Choice, build_chooser
from heddle.dataplane.decode import Decode
from heddle.dataplane.modellist import PATHS, ModelList, asked_in
from heddle.dataplane.route import MCP, OPENAI, Route
from heddle.model.provider import Spelling
from heddle.model.snapshot import Snapshot
from heddle.net.message import Request
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Handler, Phase, Policy, compile_route
from heddle.traffic.models import ModelTable
from heddle.wire.llm.codecs import CODECS, FORMS

UNKNOWN: Final = Route("unknown", {})
_STRANGE: Final = tuple(
    (prefix, Route("unknown", {}, dialect))
    for prefix, dialect in (
        ("/v1/messages/", "anthropic_messages"),
        ("/v1beta/", "gemini"),
        ("/v1beta1/", "gemini"),
        ("/v1/projects/", "gemini"),
        ("/v1/publishers/", "gemini"),
        ("/model/", "bedrock_converse"),
    )
)
"""Below which nothing else is served, and who may have expected it."""


class Door(NamedTuple):
    """Where a dialect is served: at `path`, or below `prefix` where the path ends in `suffix`."""

    dialect: str
    operation: str
    path: str = ""
    prefix: str = ""
    suffix: str = ""


DOORS: Final = (
    Door("openai_chat", "chat", "/v1/chat/completions"),
    Door("openai_responses", "chat", "/v1/responses"),
    Door("openai_responses_count", "count_tokens", "/v1/responses/input_tokens"),
    Door("openai_responses_count", "count_tokens", "/v1/responses/input_tokens"),
    Door("openai_completions", "completions", "/v1/completions"),
    Door("openai_embeddings", "embeddings", "/v1/embeddings"),
    Door("openai_speech", "speech", "/v1/audio/speech"),
    Door("openai_transcriptions", "transcription", "/v1/audio/transcriptions"),
    Door("openai_translations", "transcription", "/v1/audio/translations"),
    Door("openai_images", "images", "/v1/images/generations"),
    Door("openai_image_edits", "images", "/v1/images/edits"),
    Door("openai_moderations", "moderation", "/v1/moderations"),
    Door("rerank", "rerank", "/v1/rerank"),
    Door("rerank", "rerank", "/v2/rerank"),
    Door("anthropic_messages", "chat", "/v1/messages"),
    Door("anthropic_count", "count_tokens", "/v1/messages/count_tokens"),
    *(
        Door(dialect, operation, prefix=prefix, suffix=f":{method}")
        for prefix in ("/v1beta/models/", "/v1/models/", "/v1beta1/publishers/", "/v1/publishers/", "/v1/projects/",
                       "/v1beta1/projects/")
        for dialect, operation, method in (
            ("gemini", "chat", "generateContent"),
            ("gemini", "chat", "streamGenerateContent"),
            ("gemini_embed_content", "embeddings", "embedContent"),
            ("gemini_embeddings", "embeddings", "batchEmbedContents"),
            ("gemini_count", "count_tokens", "countTokens"),
        )
    ),
    Door("bedrock_converse", "chat", prefix="/model/", suffix="/converse"),
    Door("bedrock_converse", "chat", prefix="/model/", suffix="/converse-stream"),
)  # fmt: skip


class Router:
    """All routes of an HTTP listener."""

    __slots__ = ("_below", "_exact")

    def __init__(self, exact: dict[str, Route], below: dict[str, dict[str, Route]]) -> None:
        """`below` has for each prefix the routes by suffix; the suffix "" is for all other paths below it."""
        self._exact = exact
        self._below = tuple(below.items())

    def find(self, path: str) -> Route:
        """The route of a path, one without methods when nothing is there. A trailing slash is another path, as in
        OpenAI's API."""
        route = self._exact.get(path)
        if route is not None:
            return route
        for prefix, routes in self._below:
            if path.startswith(prefix):
                rest = path[len(prefix) :]
                for mark in (":", "/"):
                    route = routes.get(mark + rest.rpartition(mark)[2])
                    if route is not None and rest.rpartition(mark)[0]:
                        return route
                return routes.get("") or _strange(path)
        return _strange(path)


def _strange(path: str) -> Route:
    return next((route for prefix, route in _STRANGE if path.startswith(prefix)), UNKNOWN)


def build_policies(snapshot: Snapshot, tools: Tools) -> dict[str, Any]:
    """All policies by name, None where nothing of one is declared. Raises ValueError when one cannot be built."""
    return {name: plugins.load("policies", name)(snapshot, tools) for name in plugins.names("policies")}


def build_routes(snapshot: Snapshot, tools: Tools, policies: dict[str, Any] | None = None) -> Router:
    """The router of HTTP listeners. Raises ValueError when the snapshot cannot be built."""
    if policies is None:
        policies = build_policies(snapshot, tools)
    chain: list[Policy] = [policy for policy in policies.values() if policy is not None]
    providers = {spec.name: plugins.load("providers", spec.type)(spec) for spec in snapshot.providers}
    spelling = {name: one.spell for name, one in providers.items() if isinstance(one, Spelling)}
    chooser = build_chooser(snapshot.models, tools, spelling)
    propagation = snapshot.observability.tracing.propagation
    backend = LlmBackend(snapshot.providers, providers, tools, propagation, chooser, snapshot.media)
    models = ModelTable(snapshot.models, snapshot.providers, spelling)
    choose = Choice(chooser, chain).apply

    def route(door: Door) -> Route:
        decode = Decode(CODECS[door.dialect].decode_request, models, choose, door.dialect in FORMS)
        about = [policy for policy in chain if door.dialect in getattr(policy, "dialects", (door.dialect,))]
        return Route(door.operation, {"POST": compile_route([*about, decode], backend.handle)}, door.dialect)

    exact: dict[str, Route] = {}
    below: dict[str, dict[str, Route]] = {}
    for door in (door for door in DOORS if door.dialect in CODECS):
        if door.path:
            exact[door.path] = route(door)
        else:
            below.setdefault(door.prefix, {})[door.suffix] = route(door)
    authentication = [policy for policy in chain if policy.phase == Phase.AUTHENTICATE]
    for at in PATHS:
        lists = ModelList(models, chain, at)
        exact[at] = Route("models", {"GET": compile_route(authentication, lists.all)}, lists.dialect)
        one = Route("models", {"GET": compile_route(authentication, lists.one)}, lists.dialect)
        below.setdefault(f"{at}/", {})[""] = one
    return Router(exact, below)


_KNOWN: Final = ", ".join(f"POST {door.path}" for door in DOORS if door.path)


def error_dialect(route: Route, request: Request) -> str:
    """The dialect that a failure is told in: the route's own, or the asking SDK's where it is everybody's."""
    shared = route.dialect == OPENAI and route.operation in ("models", UNKNOWN.operation)
    return asked_in(request, route.dialect) if shared else route.dialect


def pick(route: Route, method: str) -> Handler:
    """The handler for a method. Raises CallError (404 for no route, 405 with `allow`)."""
    handler = route.methods.get(method)
    if handler is not None:
        return handler
    if not route.methods and route.dialect == MCP:
        raise CallError(Reason.NOT_FOUND, "No virtual server is at this path; the usual ones are /mcp and /mcp/NAME.")
    if not route.methods:
        raise CallError(
            Reason.NOT_FOUND,
            f"Nothing is served at this path; see {_KNOWN}, GET /v1/models.",
        )
    allow = ", ".join(route.methods)
    raise CallError(Reason.METHOD_NOT_ALLOWED, f"Use {allow} here.", headers=[(b"allow", allow.encode())])
