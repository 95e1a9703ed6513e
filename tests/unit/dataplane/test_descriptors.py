"""Caps that the system's limit on open files allows."""

import resource
import subprocess
import sys

import pytest

from heddle.dataplane.descriptors import WANTED, within
from heddle.model.snapshot import ListenerLimits, ListenerSpec


def listener(total: int = 10_000, per_address: int = 2_000) -> ListenerSpec:
    limits = ListenerLimits(max_connections=total, max_connections_per_address=per_address, head_timeout_s=3.0)
    return ListenerSpec(name="llm", address="127.0.0.1", port=8080, protocol="HTTP", limits=limits)


@pytest.mark.parametrize("files", [WANTED, 20_000])
def test_caps_that_fit_stay(files: int):
    spec = listener()
    assert within(spec, 1, files) is spec


@pytest.mark.parametrize(("listeners", "files"), [(1, 1_024), (3, 1_024), (2, 4_096), (1, 256)])
def test_callers_leave_files_for_providers(listeners: int, files: int):
    limits = within(listener(), listeners, files).limits
    assert limits.max_connections * listeners <= files * 3 / 4
    assert limits.max_connections_per_address <= limits.max_connections / 2, "one address must not keep out others"
    assert limits.head_timeout_s == 3.0


def test_a_smaller_share_of_an_address_stays():
    assert within(listener(per_address=10), 1, 1_024).limits.max_connections_per_address == 10


def test_with_next_to_nothing_somebody_is_still_served():
    assert within(listener(), 4, 64).limits.max_connections > 1


def test_the_soft_limit_is_raised_as_far_as_the_hard_one_allows():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
import resource
from heddle.dataplane.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (200, {min(hard, 1_500)}))
assert raise_limit() == {min(hard, 1_500)} == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
assert raise_limit() == {min(hard, 1_500)}
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
