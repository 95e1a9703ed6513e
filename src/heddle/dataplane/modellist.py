"""The models that some call of a caller could be allowed to use, in the form its SDK expects.

Owns what is listed: names and aliases as they are written, patterns included, without those that keys, access rules
and policies keep from the caller. Anthropic's SDK asks at OpenAI's path and is known by its version field.
"""

from collections.abc import Callable, Iterable
from urllib.parse import unquote

import msgspec

from heddle.model.call import ModelCall
from heddle.net.message import Reply, Request
from heddle.pipeline.exchange import Exchange, Policy
from heddle.traffic.models import ModelTable, Resolved, unknown_model
from heddle.wire.errors import ProtocolError
from heddle.wire.llm import openai_chat, openai_models
from heddle.wire.llm.anthropic import codec as anthropic
from heddle.wire.llm.anthropic import models as anthropic_models
from heddle.wire.llm.gemini import codec as gemini
from heddle.wire.llm.gemini import models as gemini_models

Listed = tuple[str, str]
"""Name, and name of the provider."""


class Form(msgspec.Struct, frozen=True):
    """How one dialect writes lists."""

    encode_list: Callable[[Iterable[Listed]], bytes]
    encode_model: Callable[[str, str], bytes]


FORMS: dict[str, Form] = {
    openai_chat.DIALECT: Form(openai_models.encode_list, openai_models.encode_model),
    anthropic.DIALECT: Form(anthropic_models.encode_list, anthropic_models.encode_model),
    gemini.DIALECT: Form(gemini_models.encode_list, gemini_models.encode_model),
}
"""Dialect -> its form."""

PATHS = {"/v1/models": openai_chat.DIALECT, "/v1beta/models": gemini.DIALECT}
"""Where lists are served, and in which dialect."""


_GOOGLE = (b"x-goog-api-key", b"x-goog-api-client")
"""Fields that Google's SDK sends: it asks at OpenAI's path unless it is told another version of the API."""


def asked_in(request: Request, dialect: str) -> str:
    """The dialect of whoever asks where several SDKs do: known by its fields, otherwise `dialect`."""
    if request.header(b"anthropic-version") is not None:
        return anthropic.DIALECT
    if any(request.header(name) is not None for name in _GOOGLE):
        return gemini.DIALECT
    return dialect


class ModelList:
    """Answers `GET` at one of PATHS."""

    __slots__ = ("_forms", "_models", "_path", "_policies", "dialect")

    def __init__(self, models: ModelTable, policies: list[Policy], path: str) -> None:
        self._models = models
        self._policies = policies
        self._path = path
        self.dialect = PATHS[path]

    async def all(self, exchange: Exchange) -> Reply:
        """The list, patterns included as they are written."""
        allowed = [
            (name, model.provider)
            for model in self._models.listed()
            for name in model.names
            if self._allows(exchange, name, model)
        ]
        return _reply(self._form(exchange).encode_list(allowed))

    async def one(self, exchange: Exchange) -> Reply:
        """One model, if this caller may use it. Raises CallError (404) otherwise."""
        name = unquote(exchange.request.path.removeprefix(f"{self._path}/"))
        if not _can_be_asked(name, self._models):
            raise unknown_model(name)
        model = self._models.resolve(name)
        if not self._allows(exchange, name, model):
            raise unknown_model(name)
        return _reply(self._form(exchange).encode_model(name, model.provider))

    def _form(self, exchange: Exchange) -> Form:
        return FORMS[asked_in(exchange.request, self.dialect)]

    def _allows(self, exchange: Exchange, name: str, model: Resolved) -> bool:
        if model.access is not None and not model.access.allows(exchange.principal):
            return False
        spell = model.spell or str
        places = [(target.provider, target.model) for target in model.targets]
        return any(
            self._permitted(exchange, _call(name, model.entry, provider, upstream))
            for provider, upstream in places or [(model.provider, spell(model.upstream_model or name))]
        )

    def _permitted(self, exchange: Exchange, call: ModelCall) -> bool:
        return all(policy.permits(exchange, call) for policy in self._policies)


def _call(name: str, entry: str, provider: str, upstream: str) -> ModelCall:
    return ModelCall(
        operation="chat", dialect=openai_chat.DIALECT, model=name, body=b"",
        entry=entry, provider=provider, upstream_model=upstream or name,
    )  # fmt: skip


def _can_be_asked(name: str, models: ModelTable) -> bool:
    """Whether `name` is one that a call can have, or stands in the list as it is, as patterns do."""
    try:
        openai_chat.check_model(name)
    except ProtocolError:
        return any(name in model.names for model in models.listed())
    return True


def _reply(body: bytes) -> Reply:
    return Reply(200, [(b"content-type", b"application/json")], body)
