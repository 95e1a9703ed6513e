"""`heddle chat` against a server whose answers are written down."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from heddle.cli import chat as chat_module
from heddle.cli.chat import Conversation, Gateway, chat


def event(value):
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def says(*pieces):
    return b"".join(event({"choices": [{"index": 0, "delta": {"content": piece}}]}) for piece in pieces)


USAGE = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
DONE = b"data: [DONE]\n\n"


class Server:
    def __init__(self):
        self.status, self.body, self.headers = 200, says("Hel", "lo") + USAGE + DONE, {}
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.requests.append((self.path, dict(self.headers), body))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


def run(server, *args, text=None):
    return CliRunner().invoke(chat, ["--url", server.url, "--key", "sk-me", *args], input=text)


def test_one_message_is_answered(server):
    result = run(server, "-m", "claude-x", "-s", "Be brief.", "What", "now?")
    assert (result.exit_code, result.stdout) == (0, "Hello\n")
    ((path, headers, body),) = server.requests
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer sk-me"
    assert body["model"] == "claude-x"
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What now?"}]
    assert body["stream_options"] == {"include_usage": True}


def test_the_message_can_come_from_a_pipe(server):
    assert run(server, "-", text="from a pipe").stdout == "Hello\n"
    assert server.requests[0][2]["messages"][0]["content"] == "from a pipe"


def test_a_conversation_remembers_and_obeys(server):
    result = run(server, text="one\ntwo\n/reset\n/model other\nthree\n/help\n/quit\n")
    assert result.exit_code == 0
    assert result.stdout.count("Hello") == 3
    bodies = [body for _, _, body in server.requests]
    assert [message["content"] for message in bodies[1]["messages"]] == ["one", "Hello", "two"]
    assert [message["content"] for message in bodies[2]["messages"]] == ["three"]
    assert bodies[2]["model"] == "other"
    assert "/quit or Ctrl-D ends" in result.stderr


def test_a_failed_turn_is_told_and_forgotten(server):
    server.status, server.body = 429, b'{"error":{"message":"Slow down."}}'
    server.headers = {"retry-after": "3"}
    result = run(server, text="one\n")
    assert result.exit_code == 0
    assert "429: Slow down. Try again in 3 s." in result.stderr


def test_an_answer_cannot_steer_the_terminal(server):
    server.body = says("a\x1b]0;evil\x07b\x9b31m\r\u202ec\n") + DONE
    assert run(server, "x").stdout == "a]0;evilb31mc\n\n"
    server.status, server.body = 400, json.dumps({"error": {"message": "\x1b[2Jno"}}).encode()
    assert "\x1b" not in run(server, "x").stderr


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b'{"error":{"message":"No key."}}', "401: No key. Give a key with --key or HEDDLE_KEY."),
        (404, b'{"error":{"message":"No model."}}', "`heddle status` shows what is served."),
        (500, b"<html>", "is --url right?"),
        (400, b"[]", "is --url right?"),
        (400, b'{"error":"text"}', "400: text"),
        (200, says("a"), "cut before its end"),
        (200, says("a") + event({"error": {"message": "upstream gone"}}), "upstream gone"),
        (200, says("a") + b"data: {\n\n", "not JSON"),
        (200, b"data: 1\n\n", "not an object"),
    ],
)
def test_what_goes_wrong_is_said(server, status, body, said):
    server.status, server.body = status, body
    result = run(server, "x")
    assert result.exit_code == 1
    assert said in result.stderr
    assert "sk-me" not in result.output


def test_without_a_gateway_it_says_what_to_do():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
    result = CliRunner().invoke(chat, ["--url", url, "--key", "k", "x"])
    assert result.exit_code == 1
    assert "heddle demo" in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://", "http://127.0.0.1:99999/v1"])
def test_a_url_that_cannot_be_one(url):
    result = CliRunner().invoke(chat, ["--url", url, "--key", "k", "x"])
    assert result.exit_code == 1


def test_the_demos_key_goes_to_this_machine_only(tmp_path):
    (tmp_path / "demo.key").write_text("sk-demo\n")
    assert chat_module.demo_key("http://127.0.0.1:8080/v1", tmp_path) == "sk-demo"
    assert chat_module.demo_key("http://localhost:8080/v1", tmp_path) == "sk-demo"
    assert chat_module.demo_key("https://elsewhere.example/v1", tmp_path) == ""
    assert chat_module.demo_key("http://127.0.0.1.elsewhere.example/v1", tmp_path) == ""
    assert chat_module.demo_key("http://127.0.0.1/v1", tmp_path / "missing") == ""


def test_tool_calls_are_shown(server):
    call = {"index": 0, "id": "c", "function": {"name": "get_time", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": "{}"}}
    server.body = b"".join(event({"choices": [{"index": 0, "delta": {"tool_calls": [one]}}]}) for one in (call, more))
    server.body += DONE
    assert "[get_time] {}" in run(server, "x").stdout


def test_no_representation_shows_the_key():
    assert "sk-me" not in repr(Gateway("http://x/v1", "sk-me", 1.0))
    assert "sk-me" not in repr(Conversation("m"))


@pytest.mark.parametrize("key", ["sk-me\nx: y", "sk-mé"])
def test_a_key_that_no_header_can_carry_is_not_shown(server, key):
    result = CliRunner().invoke(chat, ["--url", server.url, "--key", key, "x"])
    assert result.exit_code == 1
    assert "sk-m" not in result.output
    assert server.requests == []


def test_the_help_teaches():
    result = CliRunner().invoke(chat, ["--help"])
    assert "heddle chat" in result.output
    assert "[[error 429 retry-after=2]]" in " ".join(result.output.split())
