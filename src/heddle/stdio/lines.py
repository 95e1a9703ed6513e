"""Lines out of pieces: what a pipe delivers, cut at line ends, in bounded memory."""


class LineTooLongError(Exception):
    """A line that has no end within the bound. `begun` is its beginning."""

    def __init__(self, begun: bytes, max_bytes: int) -> None:
        super().__init__(f"a line is longer than {max_bytes} bytes")
        self.begun = begun


class LineSplitter:
    """Cuts pieces into lines. The pieces may be cut anywhere and give the same lines."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: list[bytes] = []
        self._size = 0

    @property
    def rest(self) -> bytes:
        """What has come since the last line end."""
        return b"".join(self._kept)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends (LF). Raises LineTooLongError."""
        *lines, rest = data.split(b"\n")
        if lines:
            self._check(self._size + len(lines[0]), lines[0])
            if self._kept:
                lines[0] = b"".join((*self._kept, lines[0]))
                self._kept.clear()
            self._size = 0
        if rest:
            self._check(self._size + len(rest), rest)
            self._kept.append(rest)
            self._size += len(rest)
        return lines

    def _check(self, size: int, last: bytes) -> None:
        # Lines in between are shorter than the piece they came in.
        if size > self._max_bytes:
            raise LineTooLongError(b"".join((*self._kept, last))[:4096], self._max_bytes)
