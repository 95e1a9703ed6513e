"""The package whose hot path is compiled (ADR 17) does what the sources do: the same tests, run on it.

A short form of `make test-compiled`. Skipped where there is no C compiler or no headers, for there it cannot be made.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
HERE = Path(sys.executable).parent.parent
HEADERS = Path(sysconfig.get_path("include")) / "Python.h"

BUILD_S = 900
RUN_S = 600

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(BUILD_S + RUN_S),
    pytest.mark.skipif(shutil.which(os.environ.get("CC", "cc")) is None, reason="there is no C compiler"),
    pytest.mark.skipif(not HEADERS.exists(), reason="Python's headers are not installed"),
]

PROVEN = [
    "tests/e2e/net",
    "tests/e2e/backends",
    "tests/e2e/test_openai_sdk.py",
    "tests/e2e/test_bad_input.py",
    "tests/e2e/test_limits.py",
    "tests/e2e/test_failover.py",
    "tests/e2e/test_mcp_workers.py",
    "tests/property/net",
]


@pytest.fixture(scope="module")
def package():
    environment = {**os.environ, "VENV": str(HERE)}
    made = subprocess.run(
        [ROOT / "scripts/compiled.sh"], env=environment, capture_output=True, text=True, check=False, timeout=BUILD_S
    )
    assert made.returncode == 0, made.stderr
    where = subprocess.run(
        [ROOT / "scripts/compiled.sh", "path"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return Path(where.stdout.strip())


def on(package, command):
    environment = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_S,
    )


def test_it_is_compiled_and_it_is_what_is_imported(package):
    assert package.name == ".compiled"
    asked = on(package, ["-c", "from heddle.dataplane import gateway; print(gateway.__file__)"])
    assert asked.stdout.strip().startswith(str(package)), asked.stderr
    assert asked.stdout.strip().endswith(".so")


def test_the_request_path_passes_its_own_tests(package):
    ran = on(package, ["-m", "pytest", "-q", "-p", "no:cacheprovider", *PROVEN])
    assert ran.returncode == 0, ran.stdout[-4000:]
