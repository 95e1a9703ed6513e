"""The client of the terminal against servers that mean no good, and where its key goes."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from heddle.cli.main import main
from heddle.cli.mcp_shown import Attachments

TOOL = {"name": "draw", "inputSchema": {"type": "object"}}
Answer = Callable[[dict[str, Any]], Any]


class Server:
    """A modern server that answers what a test wants."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {
            "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}},
            "tools/list": {"tools": [TOOL]},
        }
        self.status = 200
        self.fields: dict[str, str] = {}
        self.keys: list[str | None] = []
        self.methods: list[str] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.keys.append(self.headers["authorization"])
                server.methods.append(message["method"])
                answer = server.results.get(message["method"], {})
                body = answer if isinstance(answer, bytes) else server.wrapped(message, answer)
                self.send_response(server.status)
                for name, value in {"content-type": "application/json", **server.fields}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/mcp"

    @staticmethod
    def wrapped(message: dict[str, Any], answer: Any) -> bytes:
        told = {"error": answer["error"]} if isinstance(answer, dict) and "error" in answer else {"result": answer}
        return json.dumps({"jsonrpc": "2.0", "id": message["id"], **told}).encode()

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def heddle(*arguments: str, **environ: str) -> Result:
    return CliRunner(env=environ).invoke(main, [*arguments])


def call(server: Server, result: Any, *arguments: str) -> Result:
    server.results["tools/call"] = result
    return heddle("mcp", "call", "draw", *arguments, "--url", server.url)


def test_what_a_tool_says_steers_no_terminal(server: Server) -> None:
    text = "a\x1b[2J\x1b]0;owned\x07\u202eb\r\tc\n"
    shown = call(server, {"content": [{"type": "text", "text": text}]})
    assert (shown.exit_code, shown.stdout) == (0, "a[2J]0;ownedb\tc\n\n")
    raw = call(server, {"content": [{"type": "text", "text": text}], "x\u202e": 1}, "--raw")
    assert raw.stdout.isascii()
    assert "\x1b" not in raw.stdout
    assert json.loads(raw.stdout)["content"][0]["text"] == text
    server.results["tools/list"] = {"tools": [{**TOOL, "name": "dr\u200baw\x1b[2J", "description": f"{text}more"}]}
    listed = heddle("mcp", "list", "--url", server.url)
    assert "dr<U+200B>aw<U+001B>[2J" in listed.stdout
    assert "\x1b" not in listed.output


@pytest.mark.parametrize(
    "result",
    [
        {"content": 5}, {"content": [5, None]}, {"content": [{"type": "text"}]}, {"content": [{"type": "image"}]},
        {"content": [{"type": "image", "data": "!", "mimeType": 5}]},
        {"content": [{"type": "resource", "resource": 5}]}, {"content": [{"type": "resource_link"}]},
        {"structuredContent": [1]}, {},
    ],
)  # fmt: skip
def test_a_result_of_another_shape_is_no_crash(server: Server, result: Any) -> None:
    shown = call(server, result)
    assert shown.exit_code == 0, shown.output


@pytest.mark.parametrize(
    "answer",
    [b"", b"{", b"[]", b'{"jsonrpc":"2.0","id":99,"result":{}}', b"\xff" * 9, 5, "x", None,
     b'{"jsonrpc":"2.0","id":3,"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}"],
)  # fmt: skip
def test_an_answer_that_is_none_is_told(server: Server, answer: Any) -> None:
    told = call(server, answer)
    assert told.exit_code == 2, told.output
    assert told.stderr.startswith("Error: ")
    assert "Traceback" not in told.output


def test_structured_content_is_printed_once(server: Server) -> None:
    both = {"content": [{"type": "text", "text": '{"a":1}'}, {"type": "text", "text": "note"}]}
    assert call(server, {**both, "structuredContent": {"a": 1}}).stdout == 'note\n{\n  "a": 1\n}\n'
    assert call(server, {**both, "structuredContent": {"a": 2}}).stdout == '{"a":1}\nnote\n{\n  "a": 2\n}\n'


def test_a_value_that_was_wrapped_is_printed_once(server: Server) -> None:
    wrapped = {"content": [{"type": "text", "text": "[1]"}], "structuredContent": {"result": [1]}}
    assert json.loads(call(server, wrapped).stdout) == {"result": [1]}


def test_a_server_that_lists_its_search_only_is_searched(server: Server) -> None:
    server.results["tools/list"] = {"tools": [{"name": "find_tools", "inputSchema": {"type": "object"}}]}
    known = {"name": "draw", "inputSchema": {"properties": {"size": {"type": "integer"}}}}
    for tools, told in (([{"name": "other"}, known], "size: expected integer"), ([5], ""), (5, ""), (None, "")):
        server.results["tools/call"] = {"structuredContent": {"tools": tools}}
        shown = heddle("mcp", "call", "draw", "size=large", "--url", server.url)
        assert (shown.exit_code, told in shown.stderr) == (2 if told else 0, True), shown.output
    server.results["tools/call"] = {"structuredContent": {"tools": [known]}}
    assert '"size"' in heddle("mcp", "inspect", "draw", "--url", server.url).stdout
    assert "there is no paint" in heddle("mcp", "inspect", "paint", "--url", server.url).stderr


def test_errors_are_told_with_what_to_do(server: Server) -> None:
    pages = [{"message": "Log in", "url": "https://login.example/\x1b[2J"}]
    told = call(server, {"error": {"code": -32042, "message": "first\nvisit", "data": {"elicitations": pages}}})
    assert (told.exit_code, told.stderr) == (
        2,
        "Error: error -32042: first visit\n  Log in: https://login.example/<U+001B>[2J\n",
    )
    for data in (5, {"elicitations": 5}, {"elicitations": [{}]}):
        assert call(server, {"error": {"code": -32042, "message": "m", "data": data}}).exit_code == 2


def test_a_refused_key_is_told_and_not_shown(server: Server) -> None:
    server.status, server.fields = 401, {"www-authenticate": 'Bearer resource_metadata="https://h/x"'}
    told = heddle("mcp", "list", "--url", server.url, "--key", "sk-secret-0123")
    assert told.exit_code == 2
    assert "does not take this key. It asks for: Bearer resource_metadata=" in told.stderr
    assert "sk-secret" not in told.output
    server.status = 403
    assert "refuses this caller (403)" in heddle("mcp", "list", "--url", server.url, "--key", "k").stderr


def test_a_server_cannot_have_the_key_taken_elsewhere(server: Server) -> None:
    other = Server()
    server.status, server.fields = 307, {"location": other.url}
    assert heddle("mcp", "list", "--url", server.url, "--key", "sk-secret-0123").exit_code == 2
    assert other.methods == []
    other.close()


def test_the_key_of_the_environment_is_for_the_mesh(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    here = heddle("mcp", "list", "--url", server.url, HEDDLE_KEY="sk-mine")
    assert here.exit_code == 0
    assert set(server.keys) == {"Bearer sk-mine"}
    server.keys.clear()
    monkeypatch.setattr("heddle.cli.mcp.LOOPBACK", ())
    there = heddle("mcp", "list", "--url", server.url, HEDDLE_KEY="sk-mine")
    assert "HEDDLE_KEY is not sent to 127.0.0.1" in there.stderr
    assert set(server.keys) == {None}
    server.keys.clear()
    assert heddle("mcp", "list", "--url", server.url, "--key", "sk-mine").exit_code == 0
    assert heddle("mcp", "list", HEDDLE_KEY="sk-mine", HEDDLE_MCP_URL=server.url).exit_code == 0
    assert set(server.keys) == {"Bearer sk-mine"}


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://h/mcp", "http://", "http://[", "http://h:0/mcp", "http://h:99999/mcp", "http://a:b@h/mcp"]
)
def test_what_is_no_place_is_refused(url: str, tmp_path: Path) -> None:
    told = heddle("mcp", "list", "--url", url, "--state", str(tmp_path))
    assert told.exit_code in (1, 2)
    assert "Error: " in told.stderr
    assert not isinstance(told.exception, ValueError)


@pytest.mark.parametrize("key", ["a\nb", "a\r\nx: y", "\u00e9", "\x00"])
def test_a_key_that_no_header_can_carry_is_refused(server: Server, key: str) -> None:
    told = heddle("mcp", "list", "--url", server.url, "--key", key)
    assert (told.exit_code, "characters that no header can carry" in told.stderr) == (2, True)
    assert server.methods == []


def test_files_are_named_by_us_and_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "result-1.bin").write_text("mine")
    (tmp_path / "result-2.bin").symlink_to(tmp_path / "elsewhere")
    told = Attachments(tmp_path).keep("image", "../../etc/passwd", "aGk=")
    assert told.endswith("result-3.bin]")
    assert (tmp_path / "result-1.bin").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "result-3.bin").read_bytes() == b"hi"
    assert (tmp_path / "result-3.bin").stat().st_mode & 0o077 == 0
