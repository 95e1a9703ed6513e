"""How many files a process may have open, and what of that callers may take.

A connection is an open file, and so is the one to the provider that answers it. Owns the share of callers: whoever
connects often enough must run into a cap, never into the limit of the system, behind which nothing works any more.
*Source:* getrlimit(2), RLIMIT_NOFILE.
"""

import contextlib
import resource

import msgspec

from heddle.model.snapshot import ListenerSpec

WANTED = 65_536
"""Open files asked of the system: callers up to `max_connections` on a few listeners, and as many providers."""
_RESERVED_SHARE = 4
"""One in so many is not for callers, but for connections to providers, logs and listeners."""
_RESERVED_LEAST = 64
_FEWEST = 16
"""Connections that a listener takes however little there is."""


def raise_limit() -> int:
    """Raise the soft limit of this process, which is often 1,024, as far as it may and needs; the limit now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft == resource.RLIM_INFINITY:
        return WANTED
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return soft


def within(spec: ListenerSpec, listeners: int, open_files: int) -> ListenerSpec:
    """`spec` with caps that one of `listeners` can afford; the same where they fit.

    Where they do not, one address gets half of them at most, so that it cannot keep out the others.
    """
    callers = open_files - max(_RESERVED_LEAST, open_files // _RESERVED_SHARE)
    share = max(_FEWEST, callers // max(1, listeners))
    limits = spec.limits
    if limits.max_connections <= share:
        return spec
    fitting = msgspec.structs.replace(
        limits,
        max_connections=share,
        max_connections_per_address=min(limits.max_connections_per_address, share // 2),
    )
    return msgspec.structs.replace(spec, limits=fitting)
