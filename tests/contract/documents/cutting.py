"""A way to PostgreSQL that breaks where it is told to."""

import asyncio
import contextlib
from typing import Literal, Self
from urllib.parse import urlsplit

Where = Literal["before", "after"]
NEVER: tuple[bytes, Where] = (b"\0never\0", "before")


class Cutting:
    """A relay to the database of a DSN: it breaks when it sees some bytes, before or after it has passed them on."""

    def __init__(self, dsn: str) -> None:
        self._parts = urlsplit(dsn)
        self._server: asyncio.Server | None = None
        self._cut = NEVER
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def dsn(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return self._parts._replace(netloc=f"postgres@127.0.0.1:{port}").geturl()

    def cut(self, seen: bytes, where: Where) -> None:
        """Break the next connection that says this."""
        self._cut = (seen, where)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, back = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        try:
            down = asyncio.create_task(_down(there, writer))
            await self._up(reader, writer, back)
        finally:
            down.cancel()
            writer.transport.abort()
            back.close()
            self._tasks.discard(task)

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                seen, where = self._cut
                if seen not in data:
                    back.write(data)
                    await back.drain()
                    continue
                self._cut = NEVER
                writer.transport.abort()
                if where == "after":
                    back.write(data)
                    # Long enough for the other side to have done it.
                    await asyncio.sleep(0.1)
                return


async def _down(there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await there.read(65_536):
            writer.write(data)
            await writer.drain()
