"""A Bedrock runtime on a local port that answers what it is told, boto3 clients for it, and the model as a judge."""

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import botocore.session
from botocore.config import Config
from botocore.validate import ParamValidator

SERVICE = botocore.session.get_session().get_service_model("bedrock-runtime")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        status, fields, answer = self.server.answers.pop(0)
        self.send_response(status)
        for name, value in fields:
            self.send_header(name.decode(), value.decode())
        self.send_header("content-length", str(len(answer)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@contextmanager
def serving(*answers) -> Iterator[ThreadingHTTPServer]:
    """A server that gives (status, fields, body) in turn; `requests` has (path, fields, body)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = False
    server.answers, server.requests = list(answers), []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def client(server, **config):
    """boto3 as an application makes it, without its retries."""
    made = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        config=Config(retries={"total_max_attempts": 1}, proxies={}, **config),
    )
    try:
        yield made
    finally:
        made.close()


def judge(body: dict, operation: str = "Converse", model: str = "anthropic.claude-sonnet-4-5-20250929-v1:0") -> dict:
    """The parameters that boto3 would have been given for a body; AssertionError where the service model says no."""
    shape = SERVICE.operation_model(operation).input_shape
    params = _params(body, shape, "body") | {"modelId": model}
    report = ParamValidator().validate(params, shape)
    assert not report.has_errors(), report.generate_report()
    return params


def _params(value, shape, at):
    """JSON as botocore's serializer takes it: blobs decoded; enums, patterns and bounds checked, which it leaves."""
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return value
    if kind == "structure":
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{at}: unknown {unknown}"
        if shape.is_tagged_union:
            assert len(value) == 1, f"{at}: not one member but {set(value)}"
        return {name: _params(inner, shape.members[name], f"{at}.{name}") for name, inner in value.items()}
    if kind == "list":
        assert len(value) <= shape.metadata.get("max", len(value)), at
        return [_params(inner, shape.member, f"{at}[]") for inner in value]
    if kind == "map":
        assert len(value) <= shape.metadata.get("max", len(value)), at
        return {
            _params(key, shape.key, f"{at} key"): _params(inner, shape.value, f"{at}.{key}")
            for key, inner in value.items()
        }
    if kind == "blob":
        return base64.b64decode(value, validate=True)
    if kind == "string":
        assert value in shape.enum or not shape.enum, f"{at}: {value!r} is not one of {shape.enum}"
        assert re.fullmatch(shape.metadata.get("pattern", r"(?s).*"), value), f"{at}: {value!r} breaks the pattern"
        assert len(value) <= shape.metadata.get("max", len(value)), at
    if kind in ("float", "integer"):
        assert value <= shape.metadata.get("max", value), at
    return value
