"""`heddle chat`: talks to a model through the gateway, in a terminal or in a pipe.

Owns a conversation and how it looks. It speaks the same API as any caller and has no way around the gateway.
What a model says is shown without control characters: an answer must not steer the terminal.

*Source:* OpenAI API reference, "Create chat completion" and "Streaming".
"""

import http.client
import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from heddle.wire import sse
from heddle.wire.errors import ProtocolError

DEFAULT_URL = "http://127.0.0.1:8080/v1"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
HELP = "/model NAME changes the model, /system TEXT the instruction, /reset forgets, /quit or Ctrl-D ends."

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


_INTERRUPTED = 128 + signal.SIGINT
"""What shells expect of a program that Ctrl-C ended."""


class ChatError(click.ClickException):
    """What went wrong, and what to do about it."""


@dataclass
class Gateway:
    """Where to ask, and as whom."""

    url: str
    key: str = field(repr=False)
    timeout_s: float

    @contextmanager
    def post(self, path: str, body: bytes) -> Iterator[http.client.HTTPResponse]:
        """A good answer, its head read. Raises ChatError when there is none, or when it is an error."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ChatError(f"--url {self.url}: expected http://HOST:PORT/v1")
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        if self.key:
            if not self.key.isascii() or not self.key.isprintable():
                raise ChatError("The key has characters that no header can carry.")
            headers["authorization"] = f"Bearer {self.key}"
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        try:
            connection = kind(parts.hostname, parts.port, timeout=self.timeout_s)
        except (ValueError, http.client.HTTPException) as exc:
            raise ChatError(f"--url {self.url}: {exc}") from exc
        target = parts.path.rstrip("/") + path
        with closing(connection), closing(self._exchange(connection, target, body, headers)) as response:
            if response.status != 200:
                raise ChatError(_refusal(response))
            yield response

    def _exchange(
        self, connection: http.client.HTTPConnection, target: str, body: bytes, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        try:
            connection.request("POST", target, body, headers)
            return connection.getresponse()
        except ConnectionRefusedError as exc:
            raise ChatError(f"No gateway answers at {self.url}. Start one with `heddle demo`, or give --url.") from exc
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise ChatError(f"Asking {self.url} failed: {exc}") from exc


@dataclass
class Conversation:
    """What was said so far."""

    model: str
    system: str = ""
    messages: list[dict[str, str]] = field(default_factory=list)

    def request(self, prompt: str) -> bytes:
        """The body of the next call."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        messages = [*first, *self.messages, {"role": "user", "content": prompt}]
        asked = {"model": self.model, "messages": messages, "stream": True, "stream_options": {"include_usage": True}}
        return json.dumps(asked).encode()

    def add(self, prompt: str, said: str) -> None:
        """Remember a turn that is complete."""
        self.messages += [{"role": "user", "content": prompt}, {"role": "assistant", "content": said}]


@click.command()
@click.argument("message", nargs=-1)
@click.option("--url", default=DEFAULT_URL, show_default=True, envvar="HEDDLE_URL", help="Base URL of the gateway.")
@click.option("--key", default="", envvar="HEDDLE_KEY", help="API key. Default: the demo's, from the state directory.")
@click.option("--model", "-m", default="gpt-4o-mini", show_default=True, envvar="HEDDLE_MODEL", help="Model to ask.")
@click.option("--system", "-s", default="", help="Instruction that precedes the conversation.")
@click.option("--state", type=click.Path(path_type=Path), default=None, envvar="HEDDLE_STATE", metavar="DIR",
              help="State directory of `heddle demo` or `heddle up`, where its key is.")  # fmt: skip
@click.option("--timeout", "timeout_s", default=120.0, show_default=True, help="Seconds of silence to bear.")
def chat(
    message: tuple[str, ...], url: str, key: str, model: str, system: str, state: Path | None, timeout_s: float
) -> None:
    """Talk to a model through the gateway.

    With a MESSAGE it answers once; `-` reads the message from standard input. Without one it converses until
    Ctrl-D. The answer goes to standard output as it arrives; what it took in tokens goes to standard error.

    \b
    heddle chat "What is a heddle?"
    heddle chat -m claude-sonnet-4 -s "Answer in one line." "And a reed?"
    git diff | heddle chat -
    heddle chat                               # a conversation; /help in it lists commands

    Tricks of the offline model, as part of a message: [[pace 20]] [[length 100]], [[error 429 retry-after=2]],
    [[disconnect after=5]].
    """
    gateway = Gateway(url, key or demo_key(url, state), timeout_s)
    conversation = Conversation(model, system)
    if not message:
        _converse(gateway, conversation)
        return
    try:
        prompt = sys.stdin.read() if message == ("-",) else " ".join(message)
        _turn(gateway, conversation, prompt)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def demo_key(url: str, state_dir: Path | None) -> str:
    """The demo's key, for a gateway on this machine only: another one has no business with it."""
    if urlsplit(url).hostname not in LOOPBACK:
        return ""
    from heddle.cli.up import DEMO_KEY_FILE, default_state_dir  # noqa: PLC0415 - imports the mesh, needed only here

    try:
        return ((state_dir or default_state_dir()) / DEMO_KEY_FILE).read_text().strip()
    except OSError:
        return ""


def _converse(gateway: Gateway, conversation: Conversation) -> None:
    click.echo(f"{conversation.model} at {gateway.url}. {HELP}", err=True)
    while True:
        try:
            line = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            click.echo(err=True)
            return
        if line in ("/quit", "/exit"):
            return
        if line.startswith("/"):
            click.echo(_command(conversation, line), err=True)
        elif line:
            try:
                _turn(gateway, conversation, line)
            except ChatError as exc:
                exc.show()
            except KeyboardInterrupt:
                click.echo(" (stopped)", err=True)


def _command(conversation: Conversation, line: str) -> str:
    """Obey a line that begins with a slash; what to say about it."""
    name, _, rest = line.partition(" ")
    if name == "/model" and rest:
        conversation.model = rest.strip()
        return f"now asking {conversation.model}"
    if name == "/system":
        conversation.system = rest.strip()
        return "instruction set" if rest else "instruction removed"
    if name == "/reset":
        conversation.messages.clear()
        return "forgotten"
    return HELP


def _turn(gateway: Gateway, conversation: Conversation, prompt: str) -> None:
    said: list[str] = []
    usage: dict[str, Any] = {}
    with gateway.post("/chat/completions", conversation.request(prompt)) as response:
        try:
            for chunk in _chunks(response):
                usage = chunk.get("usage") or usage
                text = _text(chunk)
                said.append(text)
                click.echo(_CONTROL.sub("", text), nl=False)
        finally:
            click.echo()
    conversation.add(prompt, "".join(said))
    _account(usage)


def _chunks(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The chunks of a streamed answer. Raises ChatError when it breaks."""
    splitter = sse.Splitter()
    try:
        while data := response.read1(65536):
            for event in splitter.feed(data):
                text = sse.payload(event)
                if text == b"[DONE]":
                    return
                if text:
                    yield _chunk(text)
    except (OSError, http.client.HTTPException, ProtocolError) as exc:
        raise ChatError(f"The answer was cut: {exc or type(exc).__name__}") from exc
    raise ChatError("The answer was cut before its end.")


def _chunk(text: bytes) -> dict[str, Any]:
    try:
        chunk = json.loads(text)
    except ValueError as exc:
        raise ChatError("The answer cannot be read: an event of it is not JSON.") from exc
    if not isinstance(chunk, dict):
        raise ChatError("The answer cannot be read: an event of it is not an object.")
    if chunk.get("error"):
        raise ChatError(_clean(_message(chunk)))
    return chunk


def _text(chunk: dict[str, Any]) -> str:
    """What a chunk adds to the first choice; tool calls are shown as they are made."""
    choices = chunk.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    text = delta.get("content") or ""
    for call in delta.get("tool_calls") or ():
        function = call.get("function") or {}
        text += f"\n[{function['name']}] " if function.get("name") else ""
        text += function.get("arguments") or ""
    return text


def _account(usage: dict[str, Any]) -> None:
    """One line on what it took, for people at a terminal."""
    if usage and sys.stderr.isatty():
        line = f"({usage.get('prompt_tokens', 0)} tokens in, {usage.get('completion_tokens', 0)} out)"
        click.echo(click.style(line, dim=True), err=True)


def _refusal(response: http.client.HTTPResponse) -> str:
    """An error answer as a sentence, with what to do where that is known."""
    try:
        body = json.loads(response.read(65536))
    except (OSError, ValueError, http.client.HTTPException):
        body = None
    said = _message(body) if isinstance(body, dict) else "the answer is not from a gateway for models; is --url right?"
    hint = {401: " Give a key with --key or HEDDLE_KEY.", 404: " `heddle status` shows what is served."}
    retry = response.getheader("retry-after")
    later = f" Try again in {retry} s." if retry and retry.isdigit() else ""
    return _clean(f"{response.status}: {said}{hint.get(response.status, '')}{later}")


def _message(body: dict[str, Any]) -> str:
    error = body.get("error")
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else "an error without a message"


def _clean(text: str) -> str:
    return _CONTROL.sub("", text)
