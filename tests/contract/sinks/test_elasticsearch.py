"""Records in Elasticsearch: each once, none lost, whatever the cluster does on the way."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.contract.sinks.collectors import FakeElasticsearch

from heddle.drivers.sinks import elasticsearch
from heddle.drivers.sinks.base import SinkTools, UnavailableError
from heddle.drivers.sinks.elasticsearch import ElasticsearchSink
from heddle.model.snapshot import SinkSpec

LINES = [b'{"time":"2026-11-21T08:00:00.000Z","span_id":"%016x"}\n' % number for number in range(50)]


def _sink(cluster: FakeElasticsearch, tools: SinkTools, **fields: Any) -> ElasticsearchSink:
    spec = SinkSpec(type="elasticsearch", endpoint=cluster.url, **({"index": "audit"} | fields))
    return ElasticsearchSink(spec, tools)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elasticsearch, "_PAUSE_S", 0.0)


async def test_records_become_documents_of_the_index(tools: SinkTools) -> None:
    async with FakeElasticsearch() as cluster:
        assert await _sink(cluster, tools).write("access", LINES) == 50
        assert {index for index, _ in cluster.documents} == {"audit"}
        document = next(iter(cluster.documents.values()))
        assert document["@timestamp"] == document["time"] == "2026-11-21T08:00:00.000Z"


async def test_kinds_can_have_an_index_each(tools: SinkTools) -> None:
    async with FakeElasticsearch() as cluster:
        sink = _sink(cluster, tools, index="heddle-{kind}")
        await sink.write("access", LINES[:1])
        await sink.write("audit", LINES[1:2])
        assert {index for index, _ in cluster.documents} == {"heddle-access", "heddle-audit"}


async def test_a_repeated_delivery_adds_nothing(tools: SinkTools) -> None:
    async with FakeElasticsearch() as cluster:
        sink = _sink(cluster, tools)
        cluster.lose_answers = 1
        with pytest.raises(ConnectionError):
            await sink.write("audit", LINES)
        assert await sink.write("audit", LINES) == 50
        assert len(cluster.documents) == 50


async def test_items_that_the_cluster_was_too_busy_for_are_sent_again_alone(tools: SinkTools) -> None:
    async with FakeElasticsearch() as cluster:
        busy = {f"{number:016x}" for number in range(10)}

        def status(document: dict[str, Any]) -> int:
            if document["span_id"] in busy:
                busy.discard(document["span_id"])
                return 429
            return 201

        cluster.item_status = status
        assert await _sink(cluster, tools).write("audit", LINES) == 50
        assert len(cluster.documents) == 50
        assert [request.body.count(b'"create"') for request in cluster.requests] == [50, 10]


async def test_a_cluster_that_stays_busy_is_left_alone_for_a_while(tools: SinkTools, tmp_path: Path) -> None:
    async with FakeElasticsearch() as cluster:
        cluster.item_status = lambda document: 503 if document["span_id"].endswith("1") else 400
        with pytest.raises(UnavailableError):
            await _sink(cluster, tools).write("audit", LINES)
        assert len(cluster.requests) <= 5
        assert os.listdir(tmp_path) == [], "nothing is given up while any of it may yet be accepted"


async def test_items_refused_for_good_are_put_aside_and_hold_nothing_up(tools: SinkTools, tmp_path: Path) -> None:
    async with FakeElasticsearch() as cluster:
        cluster.item_status = lambda document: 400 if document["span_id"].endswith("3") else 201
        assert await _sink(cluster, tools).write("audit", LINES) == 47
        dead = (tmp_path / "dead-elasticsearch-audit.jsonl").read_bytes().splitlines(keepends=True)
        assert dead == [line for line in LINES if json.loads(line)["span_id"].endswith("3")]
        assert (tmp_path / "dead-elasticsearch-audit.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_a_refused_request_is_tried_again_later(tools: SinkTools, status: int) -> None:
    async with FakeElasticsearch() as cluster:
        cluster.status = status
        with pytest.raises(UnavailableError) as caught:
            await _sink(cluster, tools).write("audit", LINES)
        assert caught.value.retry_after_s == 7.0


async def test_requests_shrink_until_the_server_takes_them(tools: SinkTools, tmp_path: Path) -> None:
    async with FakeElasticsearch() as cluster:
        cluster.max_bytes = 1500
        huge = b'{"time":"2026-11-21T08:00:00.000Z","span_id":"big","path":"' + b"x" * 2000 + b'"}\n'
        assert await _sink(cluster, tools).write("access", [*LINES, huge]) == 50
        assert len(cluster.documents) == 50
        assert (tmp_path / "dead-elasticsearch-access.jsonl").read_bytes() == huge


async def test_large_batches_are_divided(tools: SinkTools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elasticsearch, "MAX_BULK_BYTES", 2000)
    async with FakeElasticsearch() as cluster:
        assert await _sink(cluster, tools).write("access", LINES) == 50
        assert len(cluster.requests) > 2
        assert max(len(request.body) for request in cluster.requests) < 2500


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"username": "elastic", "password": "pässword"}, "Basic ZWxhc3RpYzpww6Rzc3dvcmQ="),
        ({"api_key": "a2V5"}, "ApiKey a2V5"),
    ],
)
async def test_credentials_are_sent_and_shown_nowhere(tools: SinkTools, fields: dict[str, str], expected: str) -> None:
    async with FakeElasticsearch() as cluster:
        cluster.authorization = expected
        sink = _sink(cluster, tools, **fields)
        assert await sink.write("access", LINES[:1]) == 1
        cluster.authorization = "another"
        with pytest.raises(UnavailableError) as caught:
            await sink.write("access", LINES[:1])
        for secret in (*fields.values(), expected):
            assert secret not in f"{sink!r} {caught.value!r}" or secret == "elastic"


async def test_nobody_there_is_a_connection_error(tools: SinkTools) -> None:
    async with FakeElasticsearch() as cluster:
        sink = _sink(cluster, tools)
    with pytest.raises(ConnectionError):
        await sink.write("access", LINES)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"items":[]}', b'{"items":[{"index":{"status":200}}]}'])
async def test_an_answer_that_is_not_a_bulk_answer_confirms_nothing(tools: SinkTools, body: bytes) -> None:
    async with FakeElasticsearch() as cluster:
        cluster._answer = lambda _: (200, {}, body)
        with pytest.raises(UnavailableError):
            await _sink(cluster, tools).write("audit", LINES)
