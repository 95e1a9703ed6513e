"""The public suite's scenarios for OAuth clients, against the gateway's own credentials.

`scripts/node_setup.sh` installs the suite (`make conformance-mcp` runs it).
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NODE = ROOT / ".bench/node/node_modules"
SUITE = [str(NODE / "node/bin/node"), str(NODE / "@modelcontextprotocol/conformance/dist/index.js")]
SCENARIOS = [
    "auth/metadata-default",
    "auth/metadata-var1",
    "auth/metadata-var2",
    "auth/metadata-var3",
    "auth/basic-cimd",
    "auth/scope-from-www-authenticate",
    "auth/scope-from-scopes-supported",
    "auth/scope-omitted-when-undefined",
    "auth/scope-step-up",
    "auth/scope-retry-limit",
    "auth/token-endpoint-auth-basic",
    "auth/token-endpoint-auth-post",
    "auth/token-endpoint-auth-none",
    "auth/pre-registration",
    "auth/2025-03-26-oauth-metadata-backcompat",
    "auth/resource-mismatch",
    "auth/offline-access-scope",
    "auth/offline-access-not-supported",
    "auth/client-credentials-jwt",
    "auth/client-credentials-basic",
    "auth/authorization-server-migration",
    "auth/iss-supported",
    "auth/iss-not-advertised",
    "auth/iss-supported-missing",
    "auth/iss-wrong-issuer",
    "auth/iss-unexpected",
    "auth/iss-normalized",
    "auth/metadata-issuer-mismatch",
    "auth/enterprise-managed-authorization",
]
NOT_PASSED = {
    "auth/2025-03-26-oauth-endpoint-fallback": "a server without metadata does not say that it supports PKCE",
    "auth/dpop": "an extension that is not built: tokens that are bound to a key (RFC 9449)",
    "auth/dpop-nonce": "the same",
    "auth/wif-jwt-bearer": "an extension that is not built: tokens for a workload's own JWT",
}
"""Scenarios that are not passed, and why."""


def run(*arguments: str) -> str:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [*SUITE, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return re.sub(r"\x1b\[\d+m", "", done.stdout + done.stderr)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path(SUITE[1]).exists(), reason="scripts/node_setup.sh has not been run"),
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_passes(scenario: str):
    command = f"{sys.executable} -m tests.conformance.oauth.client"
    said = run("client", "--command", command, "--scenario", scenario, "--timeout", "30000")
    assert "OVERALL: PASSED" in said, said[-3000:]
    passed = re.search(r"Passed: (\d+)/(\d+), 0 failed, 0 warnings", said)
    assert passed, said[-3000:]
    assert passed[1] == passed[2] != "0"


def test_no_scenario_is_left_out():
    listed = re.findall(r"^\s*-\s+(auth/\S+)", run("list"), flags=re.MULTILINE)
    assert set(listed) == {*SCENARIOS, *NOT_PASSED}
