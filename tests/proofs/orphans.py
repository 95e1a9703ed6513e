"""Who is left when a parent is killed? Every parent of a tool server over stdio gets kill -9, in turn.

The tree below a mesh: the stdio host, a watchdog for each server, the server, and what the server started, once in a
session of its own, and once left behind by a parent that has ended: nobody of them may live two seconds later,
whoever was killed. What belonged to others is not touched, and the next session finds everything running again.
"""

import contextlib
import http.client
import os
import random
import signal
import threading
import time
from pathlib import Path

from bench.figures import Result, Target
from tests.e2e.running import RunningMesh, running_mesh
from tests.e2e.stdio_rig import TEXT, Tools, alive, kill, whole_trees

VICTIMS = ("server", "watchdog", "host", "host, of starting servers", "mesh")
"""In this order again and again; after `mesh` another one is started on the same state."""
MOST_S = 2.0
STARTS, STARTS_WITHIN_S = 4, 0.12
"""How many servers are being started when their host is killed, and in what time that happens."""
MARK = f"HEDDLE_PROOF={os.getpid()}"
"""In the environment of every server, and so of everybody it ever started."""
MARKED = TEXT.replace("stdio: {{", "stdio: {{env: {{" + MARK.replace("=", ": '") + "'}}, ")


class Tally:
    """What became of the kills of one kind."""

    def __init__(self) -> None:
        self.kills = 0
        self.left: list[str] = []
        self.slowest_s = 0.0
        self.back_s = 0.0
        self.others_hurt = 0


def marked() -> list[int]:
    """Every process that a server of this proof is, or has started, wherever it went."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if MARK.encode() in (folder / "environ").read_bytes().split(b"\0") and alive(int(folder.name)):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def starting(mesh: RunningMesh, tally: Tally, rng: random.Random) -> None:
    """Kill the host at some moment while servers are being started."""
    tree = next(whole_trees(Tools(mesh)))

    def begin(number: int) -> None:
        # Its host is being killed.
        with contextlib.suppress(OSError, AssertionError, http.client.HTTPException):
            Tools(mesh, owner=f"starting{number}").begin()

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(STARTS)]
    for thread in threads:
        thread.start()
    time.sleep(rng.uniform(0, STARTS_WITHIN_S))
    begun_s = time.monotonic()
    os.kill(tree["host"], signal.SIGKILL)
    for thread in threads:
        thread.join()
    while (left := marked()) and time.monotonic() - begun_s < MOST_S:
        time.sleep(0.01)
    tally.kills += 1
    tally.left += [f"{len(left)} of starting servers"] if left else []
    tally.slowest_s = max(tally.slowest_s, time.monotonic() - begun_s)
    next(whole_trees(Tools(mesh)))
    tally.back_s = max(tally.back_s, time.monotonic() - begun_s)


def one(mesh: RunningMesh, victim: str, tally: Tally) -> None:
    """One kill: the tree, the bystander, and the way back."""
    tools, bystander = Tools(mesh), Tools(mesh, owner="bystander")
    tree = next(whole_trees(tools))
    other = bystander.begin()
    left, took_s = kill(tree, victim, MOST_S)
    tally.kills += 1
    tally.left += [f"{part} of {victim}" for part in left]
    tally.slowest_s = max(tally.slowest_s, took_s)
    killed_s = time.monotonic()
    if victim == "mesh":
        assert mesh.process is not None
        mesh.process.wait()
        if alive(other):
            tally.left.append("another session's server")
        mesh.start()
    elif victim != "host":
        tally.others_hurt += bystander.call("pid") != other
    next(whole_trees(tools))
    tally.back_s = max(tally.back_s, time.monotonic() - killed_s)


def run(folder: Path, kills: int) -> Result:
    """The whole proof."""
    tallies = {victim: Tally() for victim in dict.fromkeys(VICTIMS)}
    rng = random.Random(4)
    with running_mesh(folder, MARKED) as mesh:
        for number in range(kills):
            victim = VICTIMS[number % len(VICTIMS)]
            if victim in {"server", "watchdog", "host", "mesh"}:
                one(mesh, victim, tallies[victim])
            else:
                starting(mesh, tallies[victim], rng)
        assert marked(), "those of the last tree"
    strays = len(marked())
    result = Result(
        "Nobody outlives a killed parent", ["killed", "times", "left", "all gone after", "serves again after"]
    )
    for victim, tally in tallies.items():
        slowest, back = f"{tally.slowest_s * 1000:.0f} ms", f"{tally.back_s * 1000:.0f} ms"
        result.rows.append([victim, tally.kills, len(tally.left), slowest, back])
    result.notes = ["Times are the longest of all kills of the kind."]
    result.notes += [f"Left: {left}." for tally in tallies.values() for left in tally.left]
    left = sum(len(tally.left) for tally in tallies.values())
    slowest_s = max(tally.slowest_s for tally in tallies.values())
    result.targets = [
        Target("kills", float(sum(tally.kills for tally in tallies.values())), at_least=kills),
        Target("processes left after two seconds", float(left), at_most=0),
        Target("processes left in the end, wherever they went", float(strays), at_most=0),
        Target("longest time until all were gone, in seconds", slowest_s, at_most=MOST_S),
        Target("other sessions hurt", float(sum(tally.others_hurt for tally in tallies.values())), at_most=0),
    ]
    return result
