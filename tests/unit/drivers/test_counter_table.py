"""The file of shared counters, below the protocol that `tests/contract/counters` tries."""

import os
import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).parent.parent.parent.parent / "src"

LAST_BUCKET = """
import mmap, sys
from pathlib import Path
from heddle.drivers.counters.shared import prepare
from heddle.drivers.counters.table import WAYS, Table

path = Path(sys.argv[1])
held = prepare(path, 1)
above = [mmap.mmap(-1, mmap.PAGESIZE) for _ in range(64)]
table = Table(path)
for one in above:  # whatever lies behind the table now is not mapped any more
    one.close()
last = table.layout.rows // WAYS - 1
for number in range(1000):
    assert table.find(last.to_bytes(8, "little") + number.to_bytes(8, "little")) == 0
print("found nothing")
"""


def test_a_key_of_the_last_bucket_is_looked_for_within_the_file(tmp_path: Path):
    # mmap.find of Python 3.11.0 to 3.11.4, which Debian 12 has, reads on and is killed (gh-105235).
    ran = subprocess.run(
        [sys.executable, "-c", LAST_BUCKET, str(tmp_path / "limits.bin")],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "found nothing"), ran.stderr
