"""How Python runs in a process that is nothing but a control plane.

Owns settings of the interpreter, which are the whole process's: for `main` functions alone, never for a part that tests
or other programs may run beside something else.
*Source:* Python library reference, `sys.setswitchinterval`, `gc.freeze`, `gc.set_threshold`.
"""

import gc
import sys

SWITCH_S = 0.0005
"""How soon the event loop lets a thread on that waits for the interpreter, when it has work without an end. The thread
that commits writes waits for it at every statement, and everybody whose write it carries waits for the thread."""
_YOUNG = 10_000
"""Allocations between two looks for cycles: what a request makes is gone when it is answered, nearly all without."""


def tune() -> None:
    """At the start of the process."""
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(_YOUNG, 20, 20)


def settle() -> None:
    """When everything is loaded: what is there now stays, and is not looked through again."""
    gc.collect()
    gc.freeze()
