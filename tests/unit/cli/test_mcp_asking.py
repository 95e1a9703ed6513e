"""Questions of servers at a terminal: what is asked, what is sent, and that nobody is asked what they did not offer."""

import asyncio
import json
from contextlib import contextmanager
from typing import Any

import click
import pytest
from click.testing import CliRunner

from heddle.cli.chat import ChatError
from heddle.cli.mcp_asking import Terminal
from heddle.wire.jsonrpc import RpcError


def asked(params: dict[str, Any], typed: str) -> tuple[dict[str, Any], str]:
    """The answer to an elicitation, and what was shown."""
    said: list[dict[str, Any]] = []

    @click.command()
    def ask() -> None:
        said.append(asyncio.run(Terminal("http://h/mcp").answer("elicitation/create", params)))

    result = CliRunner().invoke(ask, input=typed)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""  # that is for results
    return said[0], result.stderr


def form(**properties: Any) -> dict[str, Any]:
    return {"message": "Well?", "requestedSchema": {"type": "object", "properties": properties, "required": ["need"]}}


CHOICES = {"type": "string", "oneOf": [{"const": "r", "title": "Red"}, {"const": "g", "title": "Green"}]}


@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        ({"type": "string"}, "x", "x"),
        ({"type": "integer", "minimum": 3}, "2\n3", 3),
        ({"type": "number", "maximum": 2}, "nan\ninf\n9\n1.5", 1.5),
        ({"type": "number"}, "7", 7),
        ({"type": "boolean"}, "maybe\nY", True),
        ({"type": "string", "minLength": 2, "maxLength": 3}, "a\nabcd\nabc", "abc"),
        (CHOICES, "blue\n3\n0\n\u0662\n2", "g"),
        (CHOICES, "r", "r"),
        ({"type": "string", "enum": ["a", "b"], "enumNames": ["A!", "B!"]}, "2", "b"),
        ({"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 2}, "1\n1, c", ["a", "c"]),
        ({"type": "array", "items": {"anyOf": CHOICES["oneOf"]}}, "Red\nr", ["r"]),
        ({"type": "string"}, "\nx", "x"),
        ({"type": 5, "enum": 7, "title": ["odd"]}, "x", "x"),
    ],
)
def test_a_field_is_asked_until_it_fits(field: dict[str, Any], typed: str, value: Any) -> None:
    answer, _ = asked(form(need=field), f"y\n{typed}\n")
    assert answer == {"action": "accept", "content": {"need": value}}


def test_what_may_be_left_empty_is_left_out_and_defaults_are_offered() -> None:
    answer, shown = asked(form(may={"type": "integer"}, need={"type": "string", "default": "gray"}), "y\n\n\n")
    assert answer == {"action": "accept", "content": {"need": "gray"}}
    assert "may (may be left empty)" in shown
    assert "[gray]" in shown


@pytest.mark.parametrize(
    ("typed", "action"), [("n\n", "decline"), ("", "cancel"), ("y\n", "cancel"), ("y\n" + "\n" * 9, "cancel")]
)
def test_nothing_is_sent_that_was_not_said(typed: str, action: str) -> None:
    assert asked(form(need={"type": "string"}), typed)[0] == {"action": action}


def test_a_question_steers_no_terminal() -> None:
    evil = "\x1b]0;owned\x07\u202eabc\r"
    params = form(**{f"need{evil}": {"type": "string", "description": evil, "enum": [evil], "default": evil}})
    _, shown = asked({**params, "message": evil}, "y\n1\n")
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(shown)
    assert "[\x1b" not in shown


@pytest.mark.parametrize(
    "schema", [None, [], {"properties": 5}, {"properties": {"a": 5}}, {"properties": {str(n): {} for n in range(51)}}]
)
def test_a_form_that_is_none_is_no_crash(schema: Any) -> None:
    answer, _ = asked({"message": 5, "requestedSchema": schema}, "y\n")
    assert answer["action"] in ("accept", "decline")
    assert not answer.get("content")


def test_a_page_is_shown_and_never_opened() -> None:
    params = {"mode": "url", "message": "Log in", "url": "https://login.example/x"}
    answer, shown = asked(params, "y\n")
    assert answer == {"action": "accept"}
    assert "https://login.example/x" in shown
    assert asked(params, "n\n")[0] == {"action": "decline"}
    assert asked(params, "\n")[0] == {"action": "cancel"}  # nothing is taken for granted
    for url in ("javascript:alert(1)", "file:///etc/passwd", "", 5):
        assert asked({**params, "url": url}, "y\n")[0] == {"action": "decline"}


# Models


class Gateway:
    """A model that answers always the same."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.bodies: list[Any] = []

    @contextmanager
    def post(self, path: str, body: bytes) -> Any:
        assert path == "/chat/completions"
        self.bodies.append(json.loads(body))
        if isinstance(self.answer, Exception):
            raise self.answer
        answer = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()

        class Response:
            def read(self) -> bytes:
                return answer

        yield Response()


SAMPLING = {
    "systemPrompt": "Be short.", "maxTokens": 9, "temperature": 0.5,
    "messages": [{"role": "user", "content": {"type": "text", "text": "hi"}},
                 {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
}  # fmt: skip


def sample(gateway: Gateway, params: dict[str, Any]) -> Any:
    return asyncio.run(Terminal("http://h/mcp", "m", gateway).answer("sampling/createMessage", params))  # type: ignore[arg-type]


def test_a_named_model_answers() -> None:
    gateway = Gateway({"choices": [{"message": {"content": "ho"}, "finish_reason": "length"}]})
    assert sample(gateway, SAMPLING) == {
        "role": "assistant", "content": {"type": "text", "text": "ho"}, "model": "m", "stopReason": "maxTokens",
    }  # fmt: skip
    (body,) = gateway.bodies
    assert body["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "a\nb"},
    ]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 9, 0.5)


@pytest.mark.parametrize(
    "answer", [b"[", {}, {"choices": []}, {"choices": [{"message": 5}]}, ChatError("no"), OSError()]
)
def test_a_model_that_does_not_answer_is_told(answer: object) -> None:
    with pytest.raises(RpcError, match=r"[Mm]odel"):
        sample(Gateway(answer), SAMPLING)


@pytest.mark.parametrize(
    "message", [5, {"role": "system", "content": {"type": "text", "text": "x"}},
                {"role": "user", "content": {"type": "image", "data": ""}}, {"role": "user", "content": None},
                {"role": "user", "content": {"type": "text", "text": 5}}],
)  # fmt: skip
def test_only_texts_are_passed_to_the_model(message: Any) -> None:
    gateway = Gateway({})
    with pytest.raises(RpcError, match="Only messages of text"):
        sample(gateway, {"messages": [message]})
    assert gateway.bodies == []


def test_no_model_is_offered_unless_one_is_named() -> None:
    terminal = Terminal("http://h/mcp")
    assert "sampling" not in terminal.capabilities
    for method in ("sampling/createMessage", "roots/list", "odd"):
        with pytest.raises(RpcError):
            asyncio.run(terminal.answer(method, SAMPLING))


def test_news_are_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal("http://h/mcp")
    terminal.hear("notifications/progress", {"progress": 0.5, "total": 2, "message": "so\nfar\x1b[2J"})
    terminal.hear("notifications/message", {"level": "info", "logger": "db", "data": {"rows": 3}})
    terminal.hear("notifications/progress", {})
    terminal.hear("notifications/odd", {"data": "x"})
    told = capsys.readouterr().err
    assert told.splitlines() == ["progress 0.5/2 so far<U+001B>[2J", 'info db: {"rows": 3}', "progress ?"]
