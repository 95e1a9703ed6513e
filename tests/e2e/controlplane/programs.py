"""Which versions of kubectl there are: on the path, beside it, and Debian's as scripts/kubectl_setup.sh unpacks it."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

BESIDE = Path("/usr/lib/google-cloud-sdk/bin")
"""Where more versions are, on machines that have them."""
DEBIAN = Path(__file__).parents[3] / ".bench" / "kubectl" / "usr" / "bin" / "kubectl"


@cache
def kubectls() -> dict[int, str]:
    """Minor version -> program, the newest first."""
    named = [shutil.which("kubectl"), str(DEBIAN), *sorted(map(str, BESIDE.glob("kubectl.*")))]
    found: dict[int, str] = {}
    for program in named:
        if program and os.access(program, os.X_OK):
            found.setdefault(_minor(program), program)
    return dict(sorted(found.items(), reverse=True))


def _minor(program: str) -> int:
    ran = subprocess.run([program, "version", "--client", "-o", "json"], capture_output=True, timeout=30, check=True)
    return int(json.loads(ran.stdout)["clientVersion"]["minor"].rstrip("+"))


def chosen() -> list[int]:
    """Minor versions that are tried through everything: all with ALL_KUBECTLS (`make test-kubectl`), or the ends."""
    found = list(kubectls())
    return found if os.environ.get("ALL_KUBECTLS") else [*found[:1], *found[1:][-1:]]


def newest() -> str:
    """The one that tests use. It is called `kubectl`, also where there is none: the test of that says so."""
    return next(iter(kubectls().values()), "kubectl")


def since(minor: int) -> pytest.MarkDecorator:
    """For what only newer versions can do: Debian's is 1.20, and a machine may have no other."""
    there = max(kubectls(), default=0)
    return pytest.mark.skipif(there < minor, reason=f"needs kubectl 1.{minor}, and 1.{there} is the newest here")
