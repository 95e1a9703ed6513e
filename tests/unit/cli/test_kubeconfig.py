"""`heddle kubeconfig`: what it writes, where, and what it leaves alone."""

import base64
import stat
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from heddle.cli.main import main
from heddle.controlplane.access.authority import Authority
from heddle.controlplane.access.certificates import CertificateError, Client


def run(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["kubeconfig", "--state", str(tmp_path / "state"), *arguments])


def written(path: Path) -> dict[str, Any]:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def proven(tmp_path: Path, config: dict[str, Any], index: int = 0) -> Client:
    pem = base64.b64decode(config["users"][index]["user"]["client-certificate-data"])
    shown = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    return Authority(tmp_path / "state", time.time).proves(shown)


def test_it_is_an_administrators_in_the_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    path = tmp_path / "state" / "kubeconfig"
    assert result.stdout == f"{path}\n"
    config = written(path)
    client = proven(tmp_path, config)
    assert (client.name, client.groups) == ("ada", ("heddle:admins",))
    assert config["current-context"] == "heddle"
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:9443"
    ca = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
    assert ca == (tmp_path / "state" / "control-plane" / "ca.crt").read_bytes()
    assert result.stderr == f"id {client.serial}\n"


def test_another_user_has_the_groups_that_are_named_and_no_more(tmp_path: Path):
    out = tmp_path / "alice.yaml"
    result = run(tmp_path, "--user", "alice", "--group", "a", "--group", "b", "--ttl", "1h", "--out", str(out))
    assert result.exit_code == 0, result.output
    client = proven(tmp_path, written(out))
    assert (client.name, client.groups) == ("alice", ("a", "b"))
    assert 3_500 < client.not_after_s - time.time() <= 3_600
    nobody = tmp_path / "nobody.yaml"
    run(tmp_path, "--user", "nobody", "--out", str(nobody))
    assert proven(tmp_path, written(nobody)).groups == ()


def test_a_token_may_be_had_instead(tmp_path: Path):
    result = run(tmp_path, "--user", "ci", "--token", "--namespace", "demo", "--out", "-")
    config = yaml.safe_load(result.stdout)
    assert set(config["users"][0]["user"]) == {"token"}
    assert config["contexts"][0]["context"] == {"cluster": "heddle", "user": "heddle", "namespace": "demo"}
    assert not (tmp_path / "state" / "kubeconfig").exists()


def test_a_file_that_is_there_is_left_alone_unless_asked(tmp_path: Path):
    out = tmp_path / "config"
    out.write_text("precious")
    result = run(tmp_path, "--out", str(out))
    assert result.exit_code == 1
    assert "--merge adds to it" in result.output
    assert out.read_text() == "precious"


def test_merging_keeps_what_else_is_there(tmp_path: Path):
    out = tmp_path / "config"
    others = {
        "clusters": [
            {"name": "prod", "cluster": {"server": "https://prod"}},
            {"name": "heddle", "cluster": {"server": "old"}},
        ],
        "users": [{"name": "prod", "user": {"token": "t"}}],
        "contexts": None,
        "preferences": {"colors": True},
    }
    out.write_text(yaml.safe_dump(others))
    out.chmod(0o644)
    assert run(tmp_path, "--out", str(out), "--merge").exit_code == 0
    config = written(out)
    assert [one["name"] for one in config["clusters"]] == ["prod", "heddle"]
    assert config["clusters"][1]["cluster"]["server"] == "https://127.0.0.1:9443"
    assert config["users"][0] == {"name": "prod", "user": {"token": "t"}}
    assert config["preferences"] == {"colors": True}
    assert config["current-context"] == "heddle"
    assert proven(tmp_path, config, 1).groups == ("heddle:admins",)


def test_merging_into_a_link_changes_what_it_leads_to(tmp_path: Path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("apiVersion: v1\nkind: Config\n")
    link.symlink_to(real)
    assert run(tmp_path, "--out", str(link), "--merge").exit_code == 0
    assert link.is_symlink()
    assert written(real)["current-context"] == "heddle"


@pytest.mark.parametrize(
    "text", ["a: b: c", "- 1", "kind: Pod", "clusters: {a: b}", "users: 3", "\x00", "a: !!python/name:os.x"]
)
def test_what_is_no_kubeconfig_is_left_alone(tmp_path: Path, text: str):
    out = tmp_path / "config"
    out.write_text(text)
    result = run(tmp_path, "--out", str(out), "--merge")
    assert result.exit_code == 1
    assert str(out) in result.output
    assert out.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--user", "system:admin"], "given by the control plane"),
        (["--user", "a", "--group", "system:gateways"], "given by the control plane"),
        (["--group", "system:masters"], "given by the control plane"),
        (["--ttl", "soon"], "expected a duration"),
        (["--ttl", "0s"], "a minute at least"),
        (["--ttl", "3650d"], "a year at most"),
        (["--user", "a\nb"], "printable"),
        (["--user", "a" * 65], "printable"),
        (["--server", "http://127.0.0.1:9443"], "expected https://"),
        (["--revoke", "../x"], "expected the id"),
    ],
)
def test_what_cannot_be_is_refused_in_words(tmp_path: Path, arguments: list[str], said: str):
    result = run(tmp_path, *arguments)
    assert result.exit_code in {1, 2}
    assert said in result.output
    assert not (tmp_path / "state" / "kubeconfig").exists()


def test_a_credential_is_revoked_by_its_id(tmp_path: Path):
    credential_id = run(tmp_path).stderr.split()[1]
    config = written(tmp_path / "state" / "kubeconfig")
    assert run(tmp_path, "--revoke", credential_id).exit_code == 0
    with pytest.raises(CertificateError, match="revoked"):
        proven(tmp_path, config)


def test_it_is_renewed_in_its_place(tmp_path: Path):
    run(tmp_path)
    first = written(tmp_path / "state" / "kubeconfig")
    assert run(tmp_path).exit_code == 0
    assert written(tmp_path / "state" / "kubeconfig") != first
