"""A real Redis for tests: on a port of its own, in memory, with nothing of the machine's configuration."""

import shutil
import socket
import subprocess
import time
from pathlib import Path


class RedisServer:
    """Started when made."""

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory, self.port = directory, port or _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    @staticmethod
    def found() -> bool:
        """Whether it is installed."""
        return shutil.which("redis-server") is not None

    def start(self) -> None:
        """Start it, again if need be, and wait until it answers."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        command += ["--appendfsync", "always", "--dir", str(self.directory)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as sock:
                    sock.sendall(b"PING\r\n")
                    if sock.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
