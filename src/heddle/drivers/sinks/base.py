"""The contract of all sinks, and what they are given to fulfil it."""

import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

Headers = list[tuple[bytes, bytes]]

MAX_DEAD_BYTES = 64 * 1024 * 1024
"""Bound on a file of refused access records or spans; refused audit records have none."""


class HttpAnswer(NamedTuple):
    """What a collector answered."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


Post = Callable[[str, Headers, bytes, str], Awaitable[HttpAnswer]]
"""`post(url, headers, body, ca_file)`; ConnectionError or TimeoutError when there is no answer."""


class UnavailableError(ConnectionError):
    """The destination asks to be tried again, not before `retry_after_s` seconds (0 when it did not say)."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Sink(Protocol):
    """One destination. Built with its spec (`SinkSpec` or `TracingSpec`) and the tools."""

    async def write(self, kind: str, lines: list[bytes]) -> int:
        """Deliver JSON lines of one kind (`access`, `audit`, `spans`), each with its newline; how many were accepted.

        On return every line is dealt with: accepted, or refused for good and put aside as a dead letter. Raises
        ConnectionError or TimeoutError when the same lines must be tried again; some may then arrive twice.
        """
        ...

    async def close(self) -> None:
        """Give connections and files up."""
        ...


@dataclass(frozen=True, slots=True)
class SinkTools:
    """What the exporter lends to its sinks."""

    post: Post
    directory: Path
    """For dead letters."""

    def bury(self, name: str, kind: str, lines: list[bytes]) -> None:
        """Keep lines that `name` refused, in `dead-<name>-<kind>.jsonl`; ConnectionError when that fails."""
        path = self.directory / f"dead-{name}-{kind}.jsonl"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            with contextlib.closing(open(path, "ab", opener=lambda file, _: os.open(file, flags, 0o600))) as file:
                if kind == "audit" or file.tell() < MAX_DEAD_BYTES:
                    file.writelines(lines)
                    file.flush()
                    os.fdatasync(file.fileno())
        except OSError as exc:
            raise ConnectionError(f"dead letters cannot be written: {exc.strerror}") from exc


def retry_after_s(headers: dict[bytes, bytes]) -> float:
    """Seconds of a `retry-after` field, at most five minutes; 0 when absent or a date."""
    value = headers.get(b"retry-after", b"")
    return min(float(value), 300.0) if value.isdigit() else 0.0
