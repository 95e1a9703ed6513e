"""What is served where: the model routes of an HTTP listener, compiled from a snapshot."""

from dataclasses import dataclass

from heddle import plugins
from heddle.backends.llm import LlmBackend
from heddle.dataplane.decode import Decode, Decoder
from heddle.model.call import ModelCall
from heddle.model.snapshot import Snapshot
from heddle.net.message import Reply
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Handler, Phase, Policy, compile_route
from heddle.traffic.models import ModelTable
from heddle.wire.llm import openai_chat, openai_embeddings, openai_models


@dataclass(frozen=True, slots=True)
class Route:
    """One path: what it is called in records, and who answers which method."""

    operation: str
    methods: dict[str, Handler]


UNKNOWN = Route("unknown", {})


def build_routes(snapshot: Snapshot, tools: Tools) -> dict[str, Route]:
    """All routes of an HTTP listener by exact path. Raises ValueError when the snapshot cannot be built."""
    policies = [plugins.load("policies", name)(snapshot, tools) for name in plugins.names("policies")]
    chain: list[Policy] = [policy for policy in policies if policy is not None]
    providers = {spec.name: plugins.load("providers", spec.type)(spec) for spec in snapshot.providers}
    backend = LlmBackend(snapshot.providers, providers, tools)
    models = ModelTable(snapshot.models, snapshot.providers)

    def model_route(operation: str, decoder: Decoder) -> Route:
        handler = compile_route([*chain, Decode(decoder, models)], backend.handle)
        return Route(operation, {"POST": handler})

    listing = compile_route([p for p in chain if p.phase == Phase.AUTHENTICATE], ModelList(models, chain).handle)
    return {
        "/v1/chat/completions": model_route("chat", openai_chat.decode_request),
        "/v1/embeddings": model_route("embeddings", openai_embeddings.decode_request),
        "/v1/models": Route("models", {"GET": listing}),
    }


class ModelList:
    """GET /v1/models: the models that some call of this caller could be allowed to use."""

    __slots__ = ("_models", "_policies")

    def __init__(self, models: ModelTable, policies: list[Policy]) -> None:
        self._models = models
        self._policies = policies

    async def handle(self, exchange: Exchange) -> Reply:
        """The list, patterns included as they are written."""
        listed = []
        for model in self._models.listed():
            call = ModelCall(
                operation="chat",
                dialect="openai_chat",
                model=model.entry,
                body=b"",
                entry=model.entry,
                provider=model.provider,
                upstream_model=model.upstream_model or model.entry,
            )
            if all(policy.permits(exchange, call) for policy in self._policies):
                listed.append((model.entry, model.provider))
        return Reply(200, [(b"content-type", b"application/json")], openai_models.encode_list(listed))


def find(routes: dict[str, Route], path: str) -> Route:
    """The route of a path, `UNKNOWN` when there is none. A trailing slash is another path, as in OpenAI's API."""
    return routes.get(path, UNKNOWN)


def pick(route: Route, method: str) -> Handler:
    """The handler for a method. Raises CallError (404 for no route, 405 with `allow`)."""
    handler = route.methods.get(method)
    if handler is not None:
        return handler
    if route is UNKNOWN:
        raise CallError(Reason.NOT_FOUND, "Nothing is served at this path; see POST /v1/chat/completions, POST /v1/embeddings, GET /v1/models.")
    allow = ", ".join(route.methods)
    raise CallError(Reason.METHOD_NOT_ALLOWED, f"Use {allow} here.", headers=[(b"allow", allow.encode())])
