"""The upstream of the streaming questions: answers with 100 events, as fast as they are read or one every 5 ms.

`python -m bench.mock_stream PORT`. The model decides: `paced` sends one event per PACE_S, any other all at once, each
in its own write, so that a gateway sees events arrive and not a file. Asked for usage it sends it.
"""

import asyncio
import itertools
import json
import os
import sys
from typing import cast

import uvloop

EVENTS = 100
PACE_S = 0.005

ANSWER = {
    "id": "chatcmpl-bench-0123456789",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Fox jumps over dog, and so on, sixteen times in a row."},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 201, "completion_tokens": 14, "total_tokens": 215},
    "system_fingerprint": "fp_0123456789",
}
"""What every plain call gets, here and from nginx: about 400 bytes."""


def _chunk(content: str, finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    choices = [] if usage else [{"index": 0, "delta": {"content": content}, "logprobs": None, "finish_reason": finish}]
    event: dict[str, object] = {
        "id": "chatcmpl-bench-0123456789",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "gpt-4o-mini",
        "choices": choices,
    }
    if usage:
        event["usage"] = usage
    data = b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


EVENT_STREAM = b"content-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n" + EVENT_STREAM
PLAIN = json.dumps(ANSWER, separators=(",", ":")).encode()
PLAIN_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(PLAIN)
DELTAS = [_chunk(f" word{i}") for i in range(EVENTS - 1)] + [_chunk("", "stop")]
USAGE = _chunk("", usage={"prompt_tokens": 201, "completion_tokens": 100, "total_tokens": 301})
DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class Mock(asyncio.Protocol):
    """One connection: reads calls by their Content-Length and answers them one after another."""

    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.lower().split(b"\r\n")[1:]:
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        if len(rest) >= length:
            self.buffer = rest[length:]
            self._answer(rest[:length])

    def _answer(self, body: bytes) -> None:
        if b'"stream":true' not in body.replace(b" ", b""):
            self.transport.write(PLAIN_HEAD + PLAIN)
            return
        tail = USAGE + DONE if b'"include_usage"' in body else DONE
        if b'"paced"' in body:
            self.transport.write(HEAD)
            self.events = itertools.chain(DELTAS, [tail])
            self._next()
        else:
            self._burst([HEAD, *DELTAS, tail])

    def _next(self) -> None:
        event = next(self.events, None)
        if event is not None and not self.transport.is_closing():
            self.transport.write(event)
            asyncio.get_running_loop().call_later(PACE_S, self._next)

    def _burst(self, pieces: list[bytes]) -> None:
        """One send per event, none waiting for another: the loop's own writes would arrive as a single read."""
        connection = self.transport.get_extra_info("socket").fileno()
        for index, piece in enumerate(pieces):
            try:
                sent = os.write(connection, piece)
            except BlockingIOError:
                sent = 0
            if sent < len(piece):
                self.transport.write(b"".join([piece[sent:], *pieces[index + 1 :]]))
                return


async def serve(port: int) -> None:
    """Answers until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
