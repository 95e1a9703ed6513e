"""Two meshes, one behind the other: the gateway, and one whose offline models stand in for the vendors.

Between them stands a tap, which keeps every request that reached a vendor and every answer it gave, byte for byte: what
the gateway must carry is read there, by readers that share nothing with its codecs.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.running import RunningMesh, eventually, free_ports, running_mesh
from tests.e2e.servers import Answer, Asked, reply, serving
from tests.unit.providers.scripted_asking import ASKING, Told

VENDORS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini", "bedrock_converse")
MODELS = {
    "openai_chat": "gpt-5.1",
    "openai_responses": "gpt-5.2",
    "anthropic_messages": "claude-sonnet-4-6",
    "gemini": "gemini-3-pro",
    "bedrock_converse": "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
}
"""Vendor -> its model, by whose name the stand-in mesh knows which vendor is meant."""
NAMES = {vendor: f"m-{vendor.replace('_', '-')}" for vendor in VENDORS}
"""Vendor -> the name of its model at the gateway."""
KEY = "sk-test-123"
SECRET = "sk-vendor-secret"

_CREDENTIALS = {
    "openai_chat": ("authorization", f"Bearer {SECRET}"),
    "openai_responses": ("authorization", f"Bearer {SECRET}"),
    "anthropic_messages": ("x-api-key", SECRET),
    "gemini": ("x-goog-api-key", SECRET),
    "bedrock_converse": ("authorization", f"Bearer {SECRET}"),
}
_STREAMS = (b"text/event-stream", b"application/vnd.amazon.eventstream")
_DROPPED = ("connection", "content-length", "transfer-encoding")

GATEWAY = """\
listeners:
  - {{{{name: llm, address: 127.0.0.1, port: {{port}}, protocol: HTTP}}}}
admin: {{{{address: 127.0.0.1, port: {{admin_port}}}}}}
llm:
  providers:
{providers}
  models:
{models}
observability: {{{{logging: {{{{output: [{{{{type: file, path: access.log}}}}]}}}}}}}}
security:
  authentication:
    type: api_key
    keys:
      - {{{{key: "{key}", user: alice, tenant: dev-team, agent: planner}}}}
authorization:
  policies:
    - {{{{name: dev, match: {{{{kubernetes: {{{{namespace: dev-team}}}}}}}}, resources: ["model:*"], action: allow}}}}
"""
STANDINS = """\
listeners:
  - {{{{name: llm, address: 127.0.0.1, port: {{port}}, protocol: HTTP}}}}
admin: {{{{address: 127.0.0.1, port: {{admin_port}}}}}}
llm:
  providers:
{providers}
  models:
{models}
security:
  authentication: {{{{type: none}}}}
authorization:
  policies:
    - {{{{name: all, resources: ["model:*"], action: allow}}}}
"""


_PROVIDERS = {
    "openai_chat": 'type: openai, base_url: "{tap}/v1", options: {{apis: [chat, embeddings]}}',
    "openai_responses": 'type: openai, base_url: "{tap}/v1", options: {{apis: [responses]}}',
    "anthropic_messages": 'type: anthropic, base_url: "{tap}"',
    "gemini": 'type: gemini, base_url: "{tap}/v1beta"',
    "bedrock_converse": 'type: bedrock, base_url: "{tap}", options: {{region: eu-west-1}}',
}


@dataclass
class Passed:
    """One call of the gateway to a vendor."""

    target: str
    fields: dict[str, str]
    body: bytes
    status: int
    answered: dict[str, str]
    answer: bytes
    vendor: str

    @property
    def request(self) -> Any:
        """What the vendor was asked."""
        return json.loads(self.body)

    def told(self) -> Told:
        """What it answered."""
        asking = ASKING[self.vendor]
        if self.answered["content-type"].encode().partition(b";")[0] in _STREAMS:
            told: Told = asking.gathered(asking.split(self.answer))
        else:
            told = asking.told(json.loads(self.answer))
        return told


@dataclass
class Meshes:
    """Both, running."""

    gateway: RunningMesh
    standins: RunningMesh | None = None
    passed: list[Passed] = field(default_factory=list)
    _records: dict[str, dict[str, Any]] = field(default_factory=dict)
    _read: int = 0

    @property
    def url(self) -> str:
        """Of the gateway, without a path."""
        return self.gateway.url.removesuffix("/v1")

    def record(self, trace_id: str) -> dict[str, Any]:
        """The access record of a call."""
        eventually(lambda: self._find(trace_id))
        return self._records[trace_id]

    def _find(self, trace_id: str) -> bool:
        path = self.gateway.state / "access.log"
        if trace_id not in self._records and path.exists():
            with path.open("rb") as log:
                log.seek(self._read)
                whole = log.read().rpartition(b"\n")[0]
            self._read += len(whole) + bool(whole)
            for line in whole.splitlines():
                record = json.loads(line)
                self._records[record.get("trace_id", "")] = record
        return trace_id in self._records


@contextmanager
def running_meshes(folder: Path) -> Iterator[Meshes]:
    """Both meshes and the tap between them."""
    standing = STANDINS.format(
        providers="\n".join(
            f"    - {{{{name: {vendor}, type: scripted, options: {{{{format: {vendor}}}}}}}}}" for vendor in VENDORS
        ),
        models="\n".join(f'    - {{{{name: "{MODELS[vendor]}", provider: {vendor}}}}}' for vendor in VENDORS),
    )
    with running_mesh(folder / "standins", standing) as standins:
        passed: list[Passed] = []
        tap = _Tap(standins.port, passed)
        with serving(tap.answer) as server:
            models = "\n".join(
                f'    - {{{{name: {NAMES[vendor]}, provider: {vendor}, model: "{MODELS[vendor]}"}}}}\n'
                f'    - {{{{name: "{MODELS[vendor]}", provider: {vendor}}}}}'
                for vendor in VENDORS
            )
            providers = "\n".join(
                f"    - {{{{name: {vendor}, api_key: {SECRET}, {said.replace('{tap}', server.url)}}}}}"
                for vendor, said in _PROVIDERS.items()
            )
            text = GATEWAY.format(providers=providers, models=models, key=KEY)
            with running_mesh(folder / "gateway", text) as gateway:
                yield Meshes(gateway, standins, passed)


class _Tap:
    """Passes requests on and answers back, and keeps both."""

    def __init__(self, port: int, passed: list[Passed]) -> None:
        self._port = port
        self._passed = passed
        self._local = threading.local()

    def answer(self, asked: Asked) -> Answer:
        """What the stand-in says, whole: a stream is collected, which changes only when it arrives."""
        vendor = _vendor(asked)
        fields = dict(asked.fields)
        name, value = _CREDENTIALS[vendor]
        if fields.get(name) != value or SECRET in asked.target or KEY in str(asked.fields):
            return reply(401, b'{"error":{"message":"This is not the credential of the vendor."}}')
        sent = {
            key: text
            for key, text in fields.items()
            if key in ("content-type", "accept") or key.startswith("anthropic-")
        }
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(asked.method, asked.target, asked.body, sent)
            response = connection.getresponse()
            try:
                body, cut = response.read(), False
            except http.client.IncompleteRead as exc:
                body, cut = exc.partial, True
        finally:
            connection.close()
        answered = {key.lower(): text for key, text in response.getheaders()}
        self._passed.append(Passed(asked.target, fields, asked.body, response.status, answered, body, vendor))
        kept = {key.replace("-", "_"): text for key, text in answered.items() if key not in _DROPPED}
        whole = reply(response.status, body, **kept)
        return whole if not cut else lambda sock: sock.sendall(whole.replace(b"content-length: ", b"content-length: 1"))


def _vendor(asked: Asked) -> str:
    """Whose interface a path is of."""
    path = asked.target.partition("?")[0]
    if path.startswith("/model/"):
        return "bedrock_converse"
    if path.startswith("/v1beta/"):
        return "gemini"
    if path.startswith("/v1/messages"):
        return "anthropic_messages"
    return "openai_chat" if path == "/v1/chat/completions" else "openai_responses"


__all__ = ["KEY", "MODELS", "NAMES", "VENDORS", "Meshes", "Passed", "free_ports", "running_meshes"]
