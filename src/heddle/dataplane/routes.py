"""What is served where: the model routes of an HTTP listener, compiled from a snapshot."""

from dataclasses import dataclass
from urllib.parse import unquote

from heddle import plugins
from heddle.backends.llm import LlmBackend
from heddle.dataplane.decode import Decode, Decoder
from heddle.model.call import ModelCall
from heddle.model.snapshot import Snapshot
from heddle.net.message import Reply
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Handler, Phase, Policy, compile_route
from heddle.traffic.models import ModelTable, Resolved
from heddle.wire.errors import ProtocolError
from heddle.wire.llm import openai_chat, openai_embeddings, openai_models


@dataclass(frozen=True, slots=True)
class Route:
    """One path: what it is called in records, and who answers which method."""

    operation: str
    methods: dict[str, Handler]


UNKNOWN = Route("unknown", {})
_MODELS = "/v1/models"


class Router:
    """All routes of an HTTP listener."""

    __slots__ = ("_exact", "_prefixes")

    def __init__(self, exact: dict[str, Route], prefixes: dict[str, Route]) -> None:
        self._exact = exact
        self._prefixes = tuple(prefixes.items())

    def find(self, path: str) -> Route:
        """The route of a path, `UNKNOWN` when there is none. A trailing slash is another path, as in OpenAI's API."""
        route = self._exact.get(path)
        if route is not None:
            return route
        for prefix, below in self._prefixes:
            if path.startswith(prefix):
                return below
        return UNKNOWN


def build_routes(snapshot: Snapshot, tools: Tools) -> Router:
    """The router of HTTP listeners. Raises ValueError when the snapshot cannot be built."""
    policies = [plugins.load("policies", name)(snapshot, tools) for name in plugins.names("policies")]
    chain: list[Policy] = [policy for policy in policies if policy is not None]
    providers = {spec.name: plugins.load("providers", spec.type)(spec) for spec in snapshot.providers}
    backend = LlmBackend(snapshot.providers, providers, tools, snapshot.observability.tracing.propagation)
    models = ModelTable(snapshot.models, snapshot.providers)

    def model_route(operation: str, decoder: Decoder) -> Route:
        handler = compile_route([*chain, Decode(decoder, models)], backend.handle)
        return Route(operation, {"POST": handler})

    authentication = [policy for policy in chain if policy.phase == Phase.AUTHENTICATE]
    listing = ModelList(models, chain)
    return Router(
        {
            "/v1/chat/completions": model_route("chat", openai_chat.decode_request),
            "/v1/embeddings": model_route("embeddings", openai_embeddings.decode_request),
            _MODELS: Route("models", {"GET": compile_route(authentication, listing.all)}),
        },
        {f"{_MODELS}/": Route("models", {"GET": compile_route(authentication, listing.one)})},
    )


class ModelList:
    """The models that some call of this caller could be allowed to use."""

    __slots__ = ("_models", "_policies")

    def __init__(self, models: ModelTable, policies: list[Policy]) -> None:
        self._models = models
        self._policies = policies

    async def all(self, exchange: Exchange) -> Reply:
        """GET /v1/models: the list, patterns included as they are written."""
        allowed = [model for model in self._models.listed() if self._allows(exchange, model.entry, model)]
        return _reply(openai_models.encode_list((model.entry, model.provider) for model in allowed))

    async def one(self, exchange: Exchange) -> Reply:
        """GET /v1/models/{name}: one model, if this caller may use it. Raises CallError (404) otherwise."""
        name = unquote(exchange.request.path.removeprefix(f"{_MODELS}/"))
        if not _can_be_asked(name, self._models):
            raise _unknown_model(name)
        model = self._models.resolve(name)
        if not self._allows(exchange, name, model):
            raise _unknown_model(name)
        return _reply(openai_models.encode_model(name, model.provider))

    def _allows(self, exchange: Exchange, name: str, model: Resolved) -> bool:
        upstream = model.upstream_model or name
        call = ModelCall(
            operation="chat", dialect=openai_chat.DIALECT, model=name, body=b"",
            entry=model.entry, provider=model.provider, upstream_model=upstream,
        )  # fmt: skip
        return all(policy.permits(exchange, call) for policy in self._policies)


def _can_be_asked(name: str, models: ModelTable) -> bool:
    """Whether `name` is one that a call can have, or stands in the list as it is, as patterns do."""
    try:
        openai_chat.check_model(name)
    except ProtocolError:
        return any(model.entry == name for model in models.listed())
    return True


def _unknown_model(name: str) -> CallError:
    shown = name if len(name) <= openai_chat.MAX_MODEL_CHARS else f"{name[: openai_chat.MAX_MODEL_CHARS]}..."
    return CallError(Reason.MODEL_NOT_FOUND, f"The model `{shown}` does not exist or you do not have access to it.")


def _reply(body: bytes) -> Reply:
    return Reply(200, [(b"content-type", b"application/json")], body)


def pick(route: Route, method: str) -> Handler:
    """The handler for a method. Raises CallError (404 for no route, 405 with `allow`)."""
    handler = route.methods.get(method)
    if handler is not None:
        return handler
    if route is UNKNOWN:
        raise CallError(
            Reason.NOT_FOUND,
            "Nothing is served at this path; see POST /v1/chat/completions, POST /v1/embeddings, GET /v1/models.",
        )
    allow = ", ".join(route.methods)
    raise CallError(Reason.METHOD_NOT_ALLOWED, f"Use {allow} here.", headers=[(b"allow", allow.encode())])
