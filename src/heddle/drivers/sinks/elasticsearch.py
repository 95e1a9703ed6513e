"""Records to Elasticsearch or OpenSearch, by the bulk API.

Owns the `create` operation with an id derived from the record: a repeated delivery meets its own document (409) and
adds nothing, and data streams, which accept only `create`, work. Items that the cluster was too busy for are sent
again; items that it refuses for good (a mapping conflict) become dead letters and do not hold up the others.
*Source:* Elasticsearch 8 reference, "Bulk API" (item status, 429), "Data streams"; RFC 7617 for basic authentication.
"""

import asyncio
import base64
import hashlib
import logging
import random

import msgspec

from heddle.drivers.sinks.base import Headers, SinkTools, UnavailableError, retry_after_s
from heddle.model.snapshot import SinkSpec

MAX_BULK_BYTES = 4 * 1024 * 1024
"""One request holds at most this much; the server's own bound is 100 MB, its advice 5 to 15."""

_HOPELESS = frozenset({400, 413})
"""Item statuses that no repetition changes: a mapping conflict, a document that is too large."""
_ROUNDS = 4
_PAUSE_S = 0.1

_log = logging.getLogger("heddle.exporter")


class _Stamp(msgspec.Struct):
    time: str = ""


class _Outcome(msgspec.Struct):
    status: int


class _Item(msgspec.Struct):
    create: _Outcome


class _BulkAnswer(msgspec.Struct):
    items: list[_Item]


_stamp = msgspec.json.Decoder(_Stamp).decode
_answer = msgspec.json.Decoder(_BulkAnswer).decode


class ElasticsearchSink:
    """One index or data stream; `index` may contain `{kind}`, which becomes `access` or `audit`."""

    def __init__(self, spec: SinkSpec, tools: SinkTools) -> None:
        self._url = spec.endpoint.rstrip("/") + "/_bulk"
        self._index = spec.index or "heddle-{kind}"
        self._ca_file = spec.ca_file
        self._tools = tools
        self._name = "elasticsearch"
        self._headers: Headers = [(b"content-type", b"application/x-ndjson"), (b"accept", b"application/json")]
        if spec.api_key:
            self._headers.append((b"authorization", b"ApiKey " + spec.api_key.encode()))
        elif spec.username:
            token = base64.b64encode(f"{spec.username}:{spec.password}".encode())
            self._headers.append((b"authorization", b"Basic " + token))

    def __repr__(self) -> str:
        return f"ElasticsearchSink({self._index})"

    async def write(self, kind: str, lines: list[bytes]) -> int:
        """See Sink."""
        accepted = 0
        for part in _parts(lines):
            accepted += await self._deliver(kind, part)
        return accepted

    async def close(self) -> None:
        """Nothing: connections belong to the client."""

    async def _deliver(self, kind: str, lines: list[bytes]) -> int:
        """Send until every line is accepted or refused for good, in a few rounds; how many were accepted."""
        dead: list[bytes] = []
        waiting = lines
        for attempt in range(_ROUNDS):
            if attempt:
                await asyncio.sleep(_PAUSE_S * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311
            outcomes = await self._bulk(kind, waiting)
            dead += [line for line, status in outcomes if status in _HOPELESS]
            waiting = [line for line, status in outcomes if status >= 400 and status not in _HOPELESS]
            if not waiting:
                break
        else:
            # Nothing is buried yet: what the next delivery repeats is refused, and buried, again.
            raise UnavailableError("the cluster refuses records for now")
        if dead:
            _log.error("%d %s records are refused for good and put aside", len(dead), kind)
            self._tools.bury(self._name, kind, dead)
        return len(lines) - len(dead)

    async def _bulk(self, kind: str, lines: list[bytes]) -> list[tuple[bytes, int]]:
        """One request: each line with its status, 200 when the document is there."""
        body = b"".join(self._operation(kind, line) for line in lines)
        status, headers, answer = await self._tools.post(self._url, self._headers, body, self._ca_file)
        if status == 413:  # the server's bound, or a proxy's, is lower than ours
            if len(lines) == 1:
                return [(lines[0], status)]
            half = len(lines) // 2
            return await self._bulk(kind, lines[:half]) + await self._bulk(kind, lines[half:])
        if status != 200:
            # 401, 403, 404 are the operator's to mend; meanwhile the spool keeps the records.
            raise UnavailableError(f"status {status}", retry_after_s(headers))
        try:
            items = _answer(answer).items
        except msgspec.DecodeError as exc:
            raise UnavailableError("the answer is not one of the bulk API") from exc
        if len(items) != len(lines):
            raise UnavailableError(f"{len(items)} results for {len(lines)} records")
        # 409: the document is there already, from a delivery whose answer was lost.
        statuses = [200 if item.create.status == 409 else item.create.status for item in items]
        return list(zip(lines, statuses, strict=True))

    def _operation(self, kind: str, line: bytes) -> bytes:
        # Access lines hold a span id, audit lines an id: equal text is the same record.
        name = hashlib.blake2b(line, digest_size=16).hexdigest()
        create = {"create": {"_index": self._index.replace("{kind}", kind), "_id": name}}
        stamp = msgspec.json.encode(_stamp(line).time)
        return msgspec.json.encode(create) + b'\n{"@timestamp":' + stamp + b"," + line.lstrip()[1:]


def _parts(lines: list[bytes]) -> list[list[bytes]]:
    """The lines in order, divided so that no request is larger than MAX_BULK_BYTES."""
    parts: list[list[bytes]] = [[]]
    size = 0
    for line in lines:
        size += len(line) + 120
        if size > MAX_BULK_BYTES and parts[-1]:
            parts.append([])
            size = len(line) + 120
        parts[-1].append(line)
    return parts
