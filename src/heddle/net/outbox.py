"""Small messages that leave together at the end of a turn of the loop.

A send on a socket whose reader sleeps wakes it, which costs more than the send. Under load a turn answers many calls,
so their requests and answers are gathered and sent one after the other: the reader is woken once. Idle, a message waits
for nothing but the callback that made it. Everything else a connection writes goes straight to its transport, after
`flush`, so that the order stays.
"""

import asyncio


class Outbox:
    """The gathered messages of one server or client."""

    __slots__ = ("_loop", "_pending")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: list[tuple[asyncio.WriteTransport, bytes]] = []

    def send(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write `data` at the end of this turn, or at the next `flush`; not at all if the transport closes before."""
        pending = self._pending
        if not pending:
            # Asked for once: it takes a system call, to see whether this is still the same process.
            loop = self._loop = self._loop or asyncio.get_running_loop()
            loop.call_soon(self.flush)
        pending.append((transport, data))

    def flush(self) -> None:
        """Write everything now. Whoever writes to a transport directly, or closes it, calls this first."""
        pending = self._pending
        if not pending:
            return
        self._pending = []
        for transport, data in pending:
            if not transport.is_closing():
                transport.write(data)
