"""What a tool server may ask of who called it: forms to fill in, pages to visit, and a model, if one was named.

Owns the conversation on the terminal. It always says that it is the server that asks, shows nothing that moves the
cursor, opens no page by itself, and sends an answer only after the person said so; the end of input cancels. A model
is asked only when the command named one, through the gateway like any caller.

*Source:* Model Context Protocol 2025-11-25 and 2026-07-28, "Elicitation", "Sampling".
"""

import asyncio
import http.client
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import click

from heddle.cli.chat import ChatError, Gateway
from heddle.directory.visible import clipped, visible
from heddle.wire.jsonrpc import METHOD_NOT_FOUND, RpcError

MAX_FIELDS = 50
"""Of one form: a person stops reading before."""
MAX_ATTEMPTS = 5
REFUSED = -1
"""Error code of a person who does not want a model to be asked ("Sampling", "Error Handling")."""
_T = TypeVar("_T")
Schema = dict[str, Any]


class Terminal:
    """The person at the terminal; questions and news go to standard error, so that results can be piped."""

    def __init__(self, url: str, model: str = "", gateway: Gateway | None = None) -> None:
        """`model` is asked when a server wants one, by way of `gateway`."""
        self._url = url
        self._model, self._gateway = model, gateway
        self._turn = asyncio.Lock()
        self.capabilities: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}}
        if gateway is not None:
            self.capabilities["sampling"] = {}

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """Progress and log messages, a line each."""
        if method == "notifications/progress":
            total = f"/{_number(params['total'])}" if params.get("total") is not None else ""
            _say(f"progress {_number(params.get('progress'))}{total} {clipped(str(params.get('message') or ''), 300)}")
        elif method == "notifications/message":
            data = params.get("data")
            text = data if isinstance(data, str) else json.dumps(data)
            logger = f" {clipped(str(params['logger']), 64)}" if params.get("logger") else ""
            _say(f"{clipped(str(params.get('level')), 16)}{logger}: {clipped(text, 2000)}")

    async def answer(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """What the person says. Raises RpcError for what nobody here answers."""
        async with self._turn:
            if method == "elicitation/create":
                return await _aside(lambda: self._elicit(params))
            if method == "sampling/createMessage" and self._gateway is not None:
                return await _aside(lambda: self._sample(params))
        raise RpcError(METHOD_NOT_FOUND, f"The terminal does not answer `{method}`.")

    # Elicitation

    def _elicit(self, params: dict[str, Any]) -> dict[str, Any]:
        _say(
            f"\nThe tool server behind {self._url} asks:\n  {clipped(str(params.get('message') or ''), 2000)}",
            bold=True,
        )
        try:
            if params.get("mode") == "url" or "url" in params:
                return self._visit(str(params.get("url") or ""))
            return self._fill(params.get("requestedSchema"))
        except click.Abort:
            _say("(cancelled)")
            return {"action": "cancel"}

    def _visit(self, url: str) -> dict[str, Any]:
        """A page, which only the person opens."""
        if not url.startswith(("https://", "http://")):
            _say(f"Declined: {clipped(url)} is no web page.")
            return {"action": "decline"}
        _say(f"It wants you to visit this page. Look at its host before you open it:\n  {clipped(url, 2000)}")
        return {"action": "accept" if _agreed("Go on with it?", default=None) else "decline"}

    def _fill(self, schema: object) -> dict[str, Any]:
        properties = schema.get("properties") if isinstance(schema, dict) else None
        fields = properties if isinstance(properties, dict) else {}
        if len(fields) > MAX_FIELDS or not all(isinstance(one, dict) for one in fields.values()):
            _say("Declined: its form cannot be shown.")
            return {"action": "decline"}
        if not _agreed("Answer? Never give passwords or keys here."):
            return {"action": "decline"}
        required = schema.get("required") if isinstance(schema, dict) else None
        content: dict[str, Any] = {}
        for name, field in fields.items():
            value = _asked(name, field, required=isinstance(required, list) and name in required)
            if value is not None:
                content[name] = value
        return {"action": "accept", "content": content}

    # Sampling

    def _sample(self, params: dict[str, Any]) -> dict[str, Any]:
        """An answer of the named model, in the form that servers of tools expect."""
        assert self._gateway is not None
        messages = _messages(params)
        _say(f"\nThe tool server behind {self._url} asks {self._model}:", bold=True)
        for one in messages:
            _say(f"  {one['role']}: {clipped(str(one['content']), 500)}")
        asked: dict[str, Any] = {"model": self._model, "messages": messages}
        for ours, theirs in (("max_tokens", "maxTokens"), ("temperature", "temperature"), ("stop", "stopSequences")):
            if params.get(theirs) is not None:
                asked[ours] = params[theirs]
        try:
            with self._gateway.post("/chat/completions", json.dumps(asked).encode()) as response:
                choice = json.loads(response.read())["choices"][0]
            text = choice["message"]["content"] or ""
        except ChatError as exc:
            raise RpcError(REFUSED, f"The model did not answer: {exc.message}") from exc
        except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException) as exc:
            raise RpcError(REFUSED, "The model's answer could not be read.") from exc
        reason = "maxTokens" if choice.get("finish_reason") == "length" else "endTurn"
        content = {"type": "text", "text": text}
        return {"role": "assistant", "content": content, "model": self._model, "stopReason": reason}


def _messages(params: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages as a model's API has them. Raises RpcError for contents that cannot be passed on."""
    system = params.get("systemPrompt")
    found: list[dict[str, Any]] = [{"role": "system", "content": system}] if isinstance(system, str) else []
    messages = params.get("messages")
    for one in messages if isinstance(messages, list) else ():
        role, content = (one.get("role"), one.get("content")) if isinstance(one, dict) else (None, None)
        parts = content if isinstance(content, list) else [content]
        texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
        if role not in ("user", "assistant") or len(texts) != len(parts) or not all(isinstance(t, str) for t in texts):
            raise RpcError(REFUSED, "Only messages of text can be passed to the model.")
        found.append({"role": role, "content": "\n".join(map(str, texts))})
    return found


# One field of a form


def _asked(name: str, field: Schema, *, required: bool) -> Any:
    """The value of a field; None for one that was left empty. Raises click.Abort at the end of input."""
    choices = _choices(field)
    many = field.get("type") == "array"
    title = clipped(str(field.get("title") or name), 80)
    about = clipped(str(field.get("description") or ""), 300)
    _say(
        f"  {title}" + (f": {about}" if about and about != title else "") + ("" if required else " (may be left empty)")
    )
    for number, (value, label) in enumerate(choices, 1):
        _say(f"    {number}) {clipped(label, 100)}" + (f" ({clipped(value, 60)})" if label != value else ""))
    default = _default(field.get("default"))
    for _ in range(MAX_ATTEMPTS):
        hint = "  numbers or values, with commas" if many else "  "
        text = click.prompt(hint, default=default or "", show_default=bool(default), err=True, prompt_suffix="> ")
        if not text.strip():
            if not required:
                return None
            _say("    It has to be answered.")
            continue
        try:
            return _several(text, choices, field) if many else _value(text, choices, field)
        except ValueError as exc:
            _say(f"    {exc}")
    raise click.Abort


def _choices(field: Schema) -> list[tuple[str, str]]:
    """Values that may be chosen, each with what it is called."""
    if field.get("type") == "array":
        items = field.get("items")
        field = items if isinstance(items, dict) else {}
    for member in ("oneOf", "anyOf"):
        options = field.get(member)
        if isinstance(options, list):
            named = [one for one in options if isinstance(one, dict) and isinstance(one.get("const"), str)]
            return [(one["const"], str(one.get("title") or one["const"])) for one in named]
    values = field.get("enum")
    if not isinstance(values, list):
        return []
    texts = [value for value in values if isinstance(value, str)]
    labels = field.get("enumNames")
    if isinstance(labels, list) and len(labels) == len(texts):
        return [(value, str(label)) for value, label in zip(texts, labels, strict=True)]
    return [(value, value) for value in texts]


def _default(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if visible(text) == text else ""


def _several(text: str, choices: list[tuple[str, str]], field: Schema) -> list[str]:
    found = [_picked(part.strip(), choices) if choices else part.strip() for part in text.split(",") if part.strip()]
    _check(len(found), field.get("minItems"), field.get("maxItems"), "choices")
    return found


def _value(text: str, choices: list[tuple[str, str]], field: Schema) -> Any:
    kind = field.get("type")
    if choices:
        return _picked(text.strip(), choices)
    if kind == "boolean":
        known = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}
        if text.strip().lower() not in known:
            raise ValueError("Answer yes or no.")
        return known[text.strip().lower()]
    if kind in ("integer", "number"):
        return _number_of(text.strip(), field)
    _check(len(text), field.get("minLength"), field.get("maxLength"), "characters")
    return text


def _number_of(text: str, field: Schema) -> int | float:
    whole = field.get("type") == "integer"
    try:
        number: int | float = int(text) if whole or text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        raise ValueError(f"A {'whole number' if whole else 'number'} is wanted.") from None
    if number in (float("inf"), float("-inf")) or number != number:  # noqa: PLR0124 - not a number
        raise ValueError("A number is wanted.")
    _check(number, field.get("minimum"), field.get("maximum"), "")
    return number


def _check(size: float, least: Any, most: Any, what: str) -> None:
    if isinstance(least, int | float) and size < least:
        raise ValueError(f"At least {least:g} {what}".rstrip() + ".")
    if isinstance(most, int | float) and size > most:
        raise ValueError(f"At most {most:g} {what}".rstrip() + ".")


def _picked(text: str, choices: list[tuple[str, str]]) -> str:
    values = [value for value, _ in choices]
    if text in values:
        return text
    if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= len(values):
        return values[int(text) - 1]
    raise ValueError("Choose one of the above, by its number or value.")


# The terminal


def _agreed(question: str, default: bool | None = True) -> bool:
    return click.confirm(f"  {question}", default=default, err=True)


def _say(text: str, *, bold: bool = False) -> None:
    click.echo(click.style(text.rstrip(), bold=True) if bold else text.rstrip(), err=True)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "?"


async def _aside(ask: Callable[[], _T]) -> _T:
    """Ask in a thread, while connections are kept; one that Ctrl-C leaves behind holds up nothing."""
    loop = asyncio.get_running_loop()
    said: asyncio.Future[_T] = loop.create_future()

    def settle(value: _T | None, error: BaseException | None) -> None:
        if said.done():
            return
        if error is not None:
            said.set_exception(error)
        else:
            said.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value: _T | None = None
        error: BaseException | None = None
        try:
            value = ask()
        except Exception as exc:  # told where it is waited for
            error = exc
        with suppress(RuntimeError):  # the command has ended meanwhile
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, daemon=True).start()
    return await said
