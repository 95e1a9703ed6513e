"""Callers who stall: a hundred of each kind, while others go on calling."""

import os
import resource

import pytest
from tests.e2e.running import CONFIG, running_mesh
from tests.proofs import slow


@pytest.mark.slow
def test_stalled_callers_are_closed_and_hurt_nobody(tmp_path):
    result = slow.run(tmp_path, 100, timeout_s=2.0)
    missed = [target.line() for target in result.targets if not target.met]
    assert missed == [], result.text()


def test_a_low_limit_of_open_files_is_raised(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, soft), hard))
    try:
        with running_mesh(tmp_path, CONFIG) as mesh:
            (pid,) = mesh.running()["workers"]
            assert resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
            assert mesh.process is not None
            assert os.getpgid(pid) == os.getpgid(mesh.process.pid)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
