"""How the interpreter is set in a control plane's process; tried in a process of its own."""

import subprocess
import sys

PROGRAM = """
import gc, sys
from heddle.controlplane import tuning
tuning.tune()
assert abs(sys.getswitchinterval() - tuning.SWITCH_S) < 1e-6
kept = [{} for _ in range(1000)]
tuning.settle()
assert gc.get_freeze_count() > 1000
assert gc.isenabled()
"""


def test_threads_wait_less_and_what_stays_is_set_aside():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=30)
