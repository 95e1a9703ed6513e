"""Certificates that are renewed under a running mesh, and what survives the moment in which they are broken."""

import os
import signal
import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.net.rig import make_certificates
from tests.e2e.running import CONFIG, RunningMesh, eventually

LISTENING = "port: {port}, protocol: HTTP"
TLS = CONFIG.replace(LISTENING, f"{LISTENING}, tls: {{{{cert_file: cert.pem, key_file: key.pem}}}}")


def certify(folder: Path) -> str:
    """Fresh certificates in a folder, as a certificate authority would renew them; the served one as it is written."""
    make_certificates(folder)
    return ssl.PEM_cert_to_DER_cert((folder / "cert.pem").read_text()).hex()


def served(mesh: RunningMesh) -> str:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", mesh.port), timeout=5)).hex()


@pytest.fixture
def mesh(new_mesh: Any) -> RunningMesh:
    made: RunningMesh = new_mesh(TLS)
    certify(made.config.parent)
    return made.start()


def test_a_renewed_certificate_is_served_and_is_another_version(mesh: RunningMesh) -> None:
    first, version = served(mesh), mesh.running()["version"]
    renewed = certify(mesh.config.parent)
    eventually(lambda: served(mesh) == renewed)
    assert renewed != first
    eventually(lambda: mesh.running()["version"] != version)
    assert f"reloaded: version {mesh.running()['version']}" in mesh.log
    assert mesh.stop() == 0


def test_a_worker_that_dies_while_a_certificate_is_broken_serves_again_when_it_is_whole(mesh: RunningMesh) -> None:
    certificate = mesh.config.parent / "cert.pem"
    whole, before = certificate.read_bytes(), served(mesh)
    certificate.write_bytes(whole[:100])
    eventually(lambda: mesh.running()["rejected"])
    assert served(mesh) == before, "the old one runs on"
    os.kill(mesh.running()["workers"][0], signal.SIGKILL)  # type: ignore[index]
    eventually(lambda: "refuses what runs, trying again" in mesh.log)
    assert mesh.get("/readyz")[0] == 503
    certificate.write_bytes(whole)
    eventually(lambda: mesh.get("/readyz")[0] == 200, within_s=15)
    assert served(mesh) == before
    assert mesh.stop() == 0


def test_sighup_reads_everything_again_and_says_that_nothing_changed(mesh: RunningMesh) -> None:
    assert mesh.process is not None
    version = mesh.running()["version"]
    mesh.process.send_signal(signal.SIGHUP)
    eventually(lambda: f"unchanged: version {version}" in mesh.log)
    assert "reloaded" not in mesh.log
    assert mesh.get("/readyz")[0] == 200
