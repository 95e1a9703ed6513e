"""A service that judges texts: ours to define, or one that speaks OpenAI's moderation.

It needs the whole, so streams wait. A service that fails or takes too long has no say: the guard's `on_error` decides.

*Source:* OpenAI API reference, "Create moderation", as of 2026-11.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from heddle.guards.automaton import Automaton
from heddle.guards.scanner import Found, scan
from heddle.guards.treatment import recognisers_of
from heddle.model.snapshot import TimeoutSpec
from heddle.model.snapshot_guards import GuardSpec, WebhookSpec
from heddle.net.client import OutboundRequest
from heddle.net.errors import NetError
from heddle.net.message import Headers
from heddle.pipeline.assembly import Tools
from heddle.pipeline.guarding import GuardUnavailableError, Judged

MAX_VERDICT_BYTES = 256 * 1024
MAX_REASON_CHARS = 200


class _Verdict(msgspec.Struct):
    allow: bool
    reason: str = ""


class _Result(msgspec.Struct):
    flagged: bool


class _Moderation(msgspec.Struct):
    results: list[_Result]


class WebhookJudge:
    """One guard with a webhook."""

    def __init__(self, spec: GuardSpec, tools: Tools) -> None:
        webhook = spec.webhook
        if webhook is None:
            raise ValueError(f"guard {spec.name!r} has no webhook")
        self.spec = spec
        self._webhook: WebhookSpec = webhook
        looked_for = recognisers_of(spec)
        self._automaton = Automaton(looked_for) if looked_for else None
        parts = urlsplit(webhook.url)
        self._client = tools.client
        self._origin = tools.client.origin(f"{parts.scheme}://{parts.netloc}", owner="guard webhook")
        self._target = ((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode("ascii")
        tools.closers.append(lambda: tools.client.discard(self._origin))

    async def judge(self, texts: Sequence[Judged], model: str, request: bytes) -> str:
        """Why the texts must not pass; empty when they may. Raises GuardUnavailableError."""
        del request
        if self._automaton is not None and not any(self._finds(one.text) for one in texts):
            return ""
        if self._webhook.credential_error:
            raise GuardUnavailableError(self._webhook.credential_error)
        body = self._moderation(texts) if self._webhook.format == "openai_moderation" else self._own(texts, model)
        return self._read(await self._post(body))

    def _finds(self, text: str) -> bool:
        automaton = self._automaton
        return automaton is not None and any(isinstance(piece, Found) for piece in scan(automaton, text))

    def _own(self, texts: Sequence[Judged], model: str) -> bytes:
        shown = [{"scope": one.scope, "text": one.text} for one in texts]
        return _encode({"guard": self.spec.name, "model": model, "texts": shown})

    def _moderation(self, texts: Sequence[Judged]) -> bytes:
        question: dict[str, object] = {"input": [one.text for one in texts]}
        if self._webhook.model:
            question["model"] = self._webhook.model
        return _encode(question)

    async def _post(self, body: bytes) -> bytes:
        headers: Headers = [(b"content-type", b"application/json"), (b"accept", b"application/json")]
        if self._webhook.credential:
            headers.append((b"authorization", f"Bearer {self._webhook.credential}".encode()))
        limit_s = self._webhook.timeout_s
        timeouts = TimeoutSpec(connect_s=limit_s, first_byte_s=limit_s, idle_s=limit_s, total_s=limit_s)
        try:
            answer = await self._client.send(
                self._origin, OutboundRequest("POST", self._target, headers, body), timeouts
            )
            try:
                data = await answer.body.read(MAX_VERDICT_BYTES)
            finally:
                answer.close()
        except NetError as exc:
            raise GuardUnavailableError(f"asking failed: {type(exc).__name__}") from exc
        if answer.status != 200:
            raise GuardUnavailableError(f"it answered with status {answer.status}")
        return data

    def _read(self, data: bytes) -> str:
        try:
            if self._webhook.format == "openai_moderation":
                results = msgspec.json.decode(data, type=_Moderation).results
                return "a moderation flagged it" if any(one.flagged for one in results) else ""
            verdict = msgspec.json.decode(data, type=_Verdict)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
            raise GuardUnavailableError("its verdict cannot be read") from exc
        if verdict.allow:
            return ""
        reason = "".join([char for char in verdict.reason[:MAX_REASON_CHARS] if char.isprintable()])
        return reason.rstrip(". ") or "a webhook refused it"


def _encode(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError as exc:  # a lone surrogate: JSON text cannot carry it
        raise GuardUnavailableError("a text is not valid Unicode") from exc
