"""The bus of one machine: every process listens at a socket in a folder, and has a connection to each of the others.

Owns how processes meet. Who begins listens first and then greets all whose sockets it finds; who is greeted greets
back. So of any two, whoever comes later makes both known to each other. Everything happens in the call that asks for
it, as far as the kernel's buffers go: without a task, without a turn of the loop.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path

from heddle.drivers.bus import Handler, frames
from heddle.drivers.bus.backlog import Losses
from heddle.drivers.bus.folder import Folder, GoneError, is_ours
from heddle.drivers.bus.link import Link
from heddle.drivers.bus.memory import ADDRESS, new_process
from heddle.drivers.bus.topics import Topics

_log = logging.getLogger("heddle.bus")

READ_BYTES = 256 * 1024
REST_S = 0.1
"""How long nobody is accepted after that failed: no descriptor is free."""


class _Speaker:
    """A connection on which another process speaks to us."""

    __slots__ = ("frames", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.frames = frames.Frames()


class UnixBus:
    """A `Bus` between the processes that share `folder`."""

    def __init__(self, folder: Path) -> None:
        """Listen, and greet all others. Raises OSError. Needs a running loop, in which everything happens."""
        self._loop = asyncio.get_running_loop()
        self._folder = Folder(folder)
        self._process = new_process()
        self.address = f"{self._folder.machine}.{self._process}"
        self.losses = Losses()
        self.topics = Topics(self.losses)
        self._greeting = frames.greeting(self.address)
        self._links: dict[str, Link] = {}
        self._speakers: dict[int, _Speaker] = {}
        self._rest: asyncio.TimerHandle | None = None
        self._closed = False
        try:
            self._listener = self._folder.listen(self._process)
        except BaseException:
            self._folder.close()
            raise
        self._accept_more()
        self._look_around()

    @property
    def dropped(self) -> int:
        """See `Bus`."""
        return self.losses.count

    @property
    def others(self) -> list[str]:
        """The processes that this one speaks to, by the second part of their addresses."""
        return sorted(self._links)

    def publish(self, topic: str, payload: bytes) -> None:
        """See `Bus`."""
        if not self.topics.fits(topic, payload):
            return
        self.topics.post(topic, payload)
        if self._links:
            frame = frames.encode(topic, payload)
            for link in tuple(self._links.values()):
                link.say(frame)

    def send(self, address: str, topic: str, payload: bytes) -> bool:
        """See `Bus`."""
        if address == self.address:
            if self.topics.fits(topic, payload):
                self.topics.post(topic, payload)
            return True
        found = ADDRESS.fullmatch(address)
        link = self._link(found[2]) if found is not None else None
        if link is None:
            return False
        if self.topics.fits(topic, payload):
            link.say(frames.encode(topic, payload))
        return True

    def subscribe(self, topic: str, handler: Handler) -> Callable[[], None]:
        """See `Bus`."""
        return self.topics.subscribe(topic, handler)

    def close(self) -> None:
        """Leave. What was said and has left this process still arrives; others can be heard no more."""
        if self._closed:
            return
        self._closed = True
        self._folder.remove(self._process)
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for link in self._links.values():
            link.close()
        self._links.clear()
        for speaker in tuple(self._speakers.values()):
            self._end(speaker)
        self._folder.close()

    def _link(self, process: str) -> Link | None:
        """The link to a process; None when that is gone."""
        link = self._links.get(process)
        if link is not None or self._closed or process == self._process:
            return link
        try:
            link = Link(self._folder, process, self._greeting, self.losses)
        except GoneError:
            return None
        link.on_gone = lambda: self._forget(process)
        self._links[process] = link
        return link

    def _forget(self, process: str) -> None:
        link = self._links.pop(process, None)
        if link is not None:
            link.close()
        # Where one has died, another may have taken its place.
        self._look_around()

    def _look_around(self) -> None:
        try:
            found = self._folder.processes()
        except OSError as exc:
            _log.warning("other workers cannot be looked for: %s", exc.strerror or exc)
            return
        for process in found:
            self._link(process)

    def _accept_more(self) -> None:
        self._rest = None
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as exc:
            _log.warning("another worker cannot be heard: %s", exc.strerror or exc)
            self._loop.remove_reader(self._listener.fileno())
            self._rest = self._loop.call_later(REST_S, self._accept_more)
            return
        sock.setblocking(False)
        if not is_ours(sock):
            _log.warning("a process of another user was turned away")
            sock.close()
            return
        speaker = _Speaker(sock)
        self._speakers[sock.fileno()] = speaker
        self._loop.add_reader(sock.fileno(), self._hear, speaker)

    def _hear(self, speaker: _Speaker) -> None:
        try:
            data = speaker.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end(speaker)
            return
        unknown = not speaker.frames.address
        try:
            messages = speaker.frames.feed(data)
        except ValueError as exc:
            _log.warning("a connection that is none of ours was closed: %s", exc)
            self._end(speaker)
            return
        if unknown and speaker.frames.address:
            self._greeted(speaker.frames.address)
        for topic, payload in messages:
            self.topics.deliver(topic, payload)

    def _greeted(self, address: str) -> None:
        found = ADDRESS.fullmatch(address)
        if found is not None:
            self._link(found[2])

    def _end(self, speaker: _Speaker) -> None:
        fd = speaker.sock.fileno()
        if self._speakers.pop(fd, None) is not None:
            self._loop.remove_reader(fd)
        speaker.sock.close()
