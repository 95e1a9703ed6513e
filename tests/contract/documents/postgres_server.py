"""A real PostgreSQL for tests: a cluster of its own, on a socket and a port of its own, ended with the tests."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

DISTRIBUTIONS = "/usr/lib/postgresql"
"""Where packages put the programs that are not for everybody's PATH."""
DURABLE = ("fsync=on", "synchronous_commit=on")
QUICK = ("fsync=off", "full_page_writes=off")
"""For tests that end processes of ours, and never the machine."""


class PostgresServer:
    """Started when made."""

    def __init__(self, options: tuple[str, ...] = QUICK) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="heddle-pg-"))
        self.port, self.options = _free_port(), options
        # It refuses to run as root.
        self._as = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            entry = pwd.getpwnam("postgres")
            os.chown(self.directory, entry.pw_uid, entry.pw_gid)
        self._databases = 0
        self._run("initdb", "-D", str(self.directory / "data"), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
        self.start()

    @staticmethod
    def found() -> bool:
        """Whether it is installed."""
        return _program("postgres") is not None and _program("initdb") is not None

    @property
    def dsn(self) -> str:
        """Of the database that is always there."""
        return self.dsn_of("postgres")

    def dsn_of(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The address of a new database."""
        self._databases += 1
        name = f"t{self._databases}"
        self.psql(f"CREATE DATABASE {name}")
        return self.dsn_of(name)

    def psql(self, command: str, database: str = "postgres") -> str:
        """What the database answers to a statement."""
        return self._run("psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-d", self.dsn_of(database), "-c", command)

    def speak_tls(self, certificate: bytes, key: bytes) -> None:
        """Offer TLS from the next start on."""
        for name, content in (("server.crt", certificate), ("server.key", key)):
            path = self.directory / "data" / name
            path.write_bytes(content)
            path.chmod(0o600)
            if self._as:
                shutil.chown(path, "postgres", "postgres")
        self.options = (*self.options, "ssl=on")

    def start(self) -> None:
        """Start it, again if need be, and wait until it answers."""
        program = _program("postgres")
        assert program is not None
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.directory}"]
        settings += ["shared_buffers=16MB", "max_connections=60", *self.options]
        command = [program, "-D", str(self.directory / "data")]
        command += [part for setting in settings for part in ("-c", setting)]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._as)  # type: ignore[call-overload]
        deadline = time.monotonic() + 20
        while True:
            try:
                self.psql("SELECT 1")
            except subprocess.CalledProcessError:
                assert self.process.poll() is None, (self.directory / "log").read_text()[-2_000:]
                assert time.monotonic() < deadline, "PostgreSQL does not answer"
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it: at once, or with SIGINT in good order."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)

    def close(self) -> None:
        """End it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.directory)

    def _run(self, name: str, *arguments: str) -> str:
        program = _program(name)
        assert program is not None, f"there is no {name} here"
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=True, cwd="/", timeout=60, **self._as
        )  # type: ignore[call-overload]
        return str(done.stdout).strip()


def _program(name: str) -> str | None:
    newest = sorted(Path(DISTRIBUTIONS).glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(newest[-1]) if newest else shutil.which(name)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
