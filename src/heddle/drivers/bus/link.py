"""What this process says to one other, over a connection of its own on which only it speaks.

Owns that a message is said at most once: a frame of which one byte has left is never said again. When the connection
breaks, what had not left goes over the next one; when the other is gone, nobody misses it.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from heddle.drivers.bus.backlog import Backlog, Losses
from heddle.drivers.bus.folder import Folder, GoneError

RETRY_S = 0.05
"""Between attempts to reach a process that lives, but accepts nobody right now."""


class Link:
    """To one process, until that is gone."""

    def __init__(self, folder: Folder, process: str, greeting: bytes, losses: Losses) -> None:
        """Raises GoneError, and then there is nothing to close."""
        self._folder, self._process, self._greeting, self._losses = folder, process, greeting, losses
        self._loop = asyncio.get_running_loop()
        self._waiting: Backlog[bytes] = Backlog(losses, f"process {process}")
        self._sock: socket.socket | None = None
        self._leaving = memoryview(b"")
        """What is left of the frame that is leaving."""
        self._began_s = 0.0
        self._writing = False
        self._again: asyncio.TimerHandle | None = None
        self.on_gone: Callable[[], None] = lambda: None
        """Called once, when the other turns out to be gone."""
        self._connect()

    def say(self, frame: bytes) -> None:
        """Now, or as soon as the other takes it; after what was said before."""
        if self._waiting.add(frame, len(frame)) and self._sock is not None and not self._writing:
            self._write()

    def close(self) -> None:
        """Say nothing more. What has left this process still arrives."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._hang_up()
        self._waiting.clear()

    def _connect(self) -> None:
        """Raises GoneError."""
        try:
            self._sock = self._folder.dial(self._process)
        except OSError:
            # It lives, and its queue of connections is full; or we have no descriptor left. Either passes.
            self._again = self._loop.call_later(RETRY_S, self._retry)
            return
        self._began_s = self._loop.time()
        self._leaving = memoryview(self._greeting)
        self._loop.add_reader(self._sock.fileno(), self._broken)
        self._write()

    def _retry(self) -> None:
        self._again = None
        try:
            self._connect()
        except GoneError:
            self._waiting.clear()
            self.on_gone()

    def _write(self) -> None:
        """Say what waits, as far as the other takes it."""
        try:
            while self._sock is not None and (self._leaving or self._waiting):
                if self._leaving:
                    self._leaving = self._leaving[self._sock.send(self._leaving) :]
                else:
                    sent = self._sock.send(self._waiting.first)
                    self._leaving = memoryview(self._waiting.take())[sent:]
        except BlockingIOError:
            self._await_room()
        except OSError:
            self._broken()
        else:
            self._need_no_room()

    def _await_room(self) -> None:
        if not self._writing and self._sock is not None:
            self._writing = True
            self._loop.add_writer(self._sock.fileno(), self._write)

    def _need_no_room(self) -> None:
        if self._writing and self._sock is not None:
            self._writing = False
            self._loop.remove_writer(self._sock.fileno())

    def _broken(self) -> None:
        """The connection has ended: nothing else makes it readable, for the other never speaks on it."""
        if self._leaving and self._leaving.obj is not self._greeting:
            self._losses.add(f"the connection to process {self._process} broke")
        self._hang_up()
        # At once, for the other may be gone; after a pause when it hung up on us, so that two do not spin.
        pause_s = 0.0 if self._loop.time() - self._began_s > 1.0 else RETRY_S
        self._again = self._loop.call_later(pause_s, self._retry)

    def _hang_up(self) -> None:
        self._leaving = memoryview(b"")
        if self._sock is None:
            return
        self._need_no_room()
        self._loop.remove_reader(self._sock.fileno())
        with contextlib.suppress(OSError):
            self._sock.close()
        self._sock = None
