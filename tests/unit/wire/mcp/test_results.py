"""How a result of a tool ends, told from its bytes."""

import pytest

from heddle.wire.mcp.results import ending


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (b'{"content":[]}', (False, False)),
        (b'{"content":[],"isError":true}', (True, False)),
        (b'{ "isError" : false, "resultType":"complete"}', (False, False)),
        (b'{"resultType":"input_required","inputRequests":{}}', (False, True)),
        (b'{"content":[{"isError":true,"resultType":"input_required"}]}', (False, False)),
        (b'{"structuredContent":{"text":"\\"isError\\":true"}}', (False, False)),
        (b'{"isError":"true"}', (False, False)),
        (b'{"isError":true', (False, False)),
        (b'{"isError":true,"a":' + b"[" * 100_000, (False, False)),
        (b"[]", (False, False)),
    ],
)
def test_ending(result: bytes, told: tuple[bool, bool]) -> None:
    assert ending(result) == told
