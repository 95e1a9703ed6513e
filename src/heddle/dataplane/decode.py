"""From bytes to a call: reads the body, within bounds, and lets the route's codec make a ModelCall of it."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from heddle.dataplane.admission import check_form, check_json
from heddle.model.call import ModelCall
from heddle.net.decompress import decompress
from heddle.net.errors import BodyError, PeerGone
from heddle.net.message import Request
from heddle.pipeline.errors import CallError, Reason
from heddle.pipeline.exchange import Exchange, Phase
from heddle.traffic.models import ModelTable, Resolved
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.parameters import foresee

Decoder = Callable[[bytes, str], ModelCall]
"""From a body and a request target (of a form its content type, which has the boundary) to a call."""
Choose = Callable[[Exchange, ModelCall, Resolved], None]


class Decode:
    """Phase DECODE of the model routes: after this, `exchange.call` is set and its model resolved."""

    __slots__ = ("_choose", "_decode", "_form", "_models")

    phase: ClassVar[Phase] = Phase.DECODE

    def __init__(self, decoder: Decoder, models: ModelTable, choose: Choose, form: bool = False) -> None:
        self._choose = choose
        self._form = form
        self._decode = decoder
        self._models = models

    def check(self, exchange: Exchange) -> Awaitable[None] | None:
        """Decode and resolve; waits only for a body that is not all there. Raises CallError."""
        request = exchange.request
        fields = request.fields()
        if self._form:
            check_form(request)
        elif fields.get(b"content-type") != b"application/json":
            check_json(request)
        max_bytes = exchange.listener.limits.max_body_bytes
        body = request.body.whole(max_bytes)
        if body is None or b"content-encoding" in fields:
            return self._later(exchange, body, max_bytes)
        self._take(exchange, body)
        return None

    async def _later(self, exchange: Exchange, body: bytes | None, max_bytes: int) -> None:
        self._take(exchange, await read_body(exchange.request, body, max_bytes))

    def _take(self, exchange: Exchange, body: bytes) -> None:
        request = exchange.request
        target = f"{request.path}?{request.query}" if request.query else request.path
        if self._form:
            target = request.fields()[b"content-type"].decode("latin-1")
        try:
            call = self._decode(body, target)
        except ProtocolError as exc:
            raise bad_request(exc) from exc
        exchange.call = call
        model = self._models.resolve(call.model)
        if call.model == model.entry:
            # The same object from call to call: whatever is looked up by the name is found without comparing it.
            call.model = model.entry
        call.entry = model.entry
        call.provider = model.provider
        call.upstream_model = model.upstream_model or call.model
        if model.spell is not None:
            call.upstream_model = model.spell(call.upstream_model)
        if model.changes is not None:
            foresee(call, model.changes)
        if model.targets or model.access is not None:
            self._choose(exchange, call, model)

    def permits(self, exchange: Exchange, model: ModelCall) -> bool:
        """Decoding hides no model."""
        del exchange, model
        return True


def bad_request(error: ProtocolError) -> CallError:
    """What a codec's refusal becomes: the caller's fault, at a named place."""
    reason = Reason.BAD_JSON if error.malformed else Reason.BAD_REQUEST
    return CallError(reason, error.detail, param=error.param)


_BY_STATUS: Final = {408: Reason.TIMEOUT_READING, 413: Reason.TOO_LARGE, 415: Reason.UNSUPPORTED_MEDIA}


async def read_body(request: Request, body: bytes | None, max_bytes: int) -> bytes:
    """The whole body, decompressed; `body` is what has arrived if that is all. Raises CallError (4xx, CALLER_GONE)."""
    try:
        if body is None:
            body = await request.body.read(max_bytes)
        encoding = request.header(b"content-encoding")
        return body if encoding is None else decompress(body, encoding, max_bytes)
    except BodyError as exc:
        raise CallError(_BY_STATUS.get(exc.status, Reason.BAD_REQUEST), exc.detail) from exc
    except PeerGone as exc:
        raise CallError(Reason.CALLER_GONE, "The caller left before its request was complete.") from exc
