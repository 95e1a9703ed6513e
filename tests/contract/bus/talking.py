"""A process that speaks on a bus: says each line it reads about `t`, and prints what it hears there.

`python -m tests.contract.bus.talking FOLDER`. Runs on uvloop, as workers do.
"""

import asyncio
import base64
import sys
from pathlib import Path

import uvloop

from heddle.drivers.bus.unix import UnixBus


async def _talk(folder: Path) -> None:
    bus = UnixBus(folder)
    bus.subscribe("t", lambda payload: print("heard", base64.b64encode(payload).decode(), flush=True))
    print("address", bus.address, flush=True)
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def read() -> None:
        line = sys.stdin.buffer.readline()
        if not line:
            ended.set_result(None)
        elif line.startswith(b"others"):
            print("others", *bus.others, flush=True)
        else:
            bus.publish("t", line.rstrip(b"\n"))

    loop.add_reader(sys.stdin.fileno(), read)
    await ended
    bus.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_talk(Path(sys.argv[1])))
