"""Standard output and files: whole lines, rotation, and readers that do not read."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from heddle.drivers.sinks.base import SinkTools
from heddle.drivers.sinks.stream import FileSink, StdoutSink
from heddle.model.snapshot import SinkSpec

LINES = [b'{"n":%d}\n' % number for number in range(100)]


async def test_stdout_gets_the_lines(tools: SinkTools, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert await StdoutSink(SinkSpec(type="stdout"), tools).write("access", LINES) == 100
    assert capfdbinary.readouterr().out == b"".join(LINES)


async def test_a_reader_that_does_not_read_stops_this_sink_only(tools: SinkTools) -> None:
    reader, writer = os.pipe()
    sink = StdoutSink(SinkSpec(type="stdout"), tools, fd=writer)
    stuck = asyncio.create_task(sink.write("access", [b"x" * 1000 + b"\n"] * 1000))
    for _ in range(20):  # the loop runs on
        await asyncio.sleep(0.001)
    assert not stuck.done()
    received = 0
    while received < 1_001_000:
        received += len(await asyncio.to_thread(os.read, reader, 65_536))
    assert await stuck == 1000
    os.close(reader)
    os.close(writer)


async def test_a_closed_stdout_is_a_connection_error(tools: SinkTools) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(ConnectionError):
        await StdoutSink(SinkSpec(type="stdout"), tools, fd=writer).write("access", LINES)
    os.close(writer)


async def test_a_file_gets_the_lines_also_after_a_rename(tools: SinkTools, tmp_path: Path) -> None:
    path = tmp_path / "log"
    sink = FileSink(SinkSpec(type="file", path=str(path)), tools)
    assert await sink.write("audit", LINES) == 100
    path.rename(tmp_path / "log.1")
    sink._file._looked_s = 0.0
    await sink.write("audit", LINES)
    await sink.close()
    assert path.read_bytes() == (tmp_path / "log.1").read_bytes() == b"".join(LINES)


async def test_a_file_can_rotate_by_size(tools: SinkTools, tmp_path: Path) -> None:
    sink = FileSink(SinkSpec(type="file", path=str(tmp_path / "log")), tools, max_bytes=500, keep=2)
    for _ in range(10):
        await sink.write("access", LINES)
    await sink.close()
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2"]
    assert all((tmp_path / name).read_bytes() == b"".join(LINES) for name in os.listdir(tmp_path))


@pytest.mark.parametrize("path", ["/proc/nope/log", "/dev/full"])
async def test_a_file_that_cannot_be_written_is_a_connection_error(tools: SinkTools, path: str) -> None:
    if not Path(path).parent.exists() and path == "/dev/full":
        pytest.skip("no /dev/full here")
    sink = FileSink(SinkSpec(type="file", path=path), tools)
    with pytest.raises(ConnectionError):
        await sink.write("audit", LINES)
    with contextlib.suppress(OSError):
        await sink.close()
