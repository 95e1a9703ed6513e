"""Credentials: where each comes from, when it is fetched anew, and that none is ever shown."""

import json
from pathlib import Path

import pytest

from heddle.drivers.kube import Exec, Reach
from heddle.drivers.kube.credentials import CredentialError, Credentials

SERVER = "https://127.0.0.1:1"
V1 = "client.authentication.k8s.io/v1"
SECRET = "hunter2"


def program(folder: Path, printed: object, status: int = 0) -> Exec:
    """A credential plug-in that counts how often it ran."""
    path = folder / "plugin"
    text = printed if isinstance(printed, str) else json.dumps(printed)
    (folder / "printed").write_text(text)
    path.write_text(f'#!/bin/sh\necho x >> {folder}/ran\nprintf "%s" "$KUBERNETES_EXEC_INFO" > {folder}/info\n'
                    f"cat {folder}/printed\necho oops >&2\nexit {status}\n")  # fmt: skip
    path.chmod(0o700)
    return Exec(("./plugin", "get"), V1, folder=str(folder))


def credential(**status: str) -> dict[str, object]:
    return {"kind": "ExecCredential", "apiVersion": V1, "status": status}


def test_a_token_file_is_read_every_time(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("one\n")
    credentials = Credentials(Reach(server=SERVER, token_file=str(file)))
    assert credentials.token() == "one"
    file.write_text("two\n")
    assert credentials.token() == "two"
    file.unlink()
    with pytest.raises(CredentialError, match="No such file"):
        credentials.token()


def test_a_program_is_run_again_only_when_its_credential_ends(tmp_path: Path):
    printed = credential(token="t", expirationTimestamp="2026-01-01T00:01:40Z")
    now = [1_767_225_600.0]
    credentials = Credentials(Reach(server=SERVER, program=program(tmp_path, printed)), lambda: now[0])
    assert [credentials.token(), credentials.token()] == ["t", "t"]
    now[0] += 89
    credentials.token()
    assert (tmp_path / "ran").read_text() == "x\n"
    now[0] += 2
    credentials.token()
    assert (tmp_path / "ran").read_text() == "x\nx\n"
    credentials.forget()
    credentials.token()
    assert (tmp_path / "ran").read_text() == "x\nx\nx\n"
    asked = json.loads((tmp_path / "info").read_text())
    assert asked == {"kind": "ExecCredential", "apiVersion": V1, "spec": {"interactive": False}}


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "not json",
        "[]",
        f'{{"token": "{SECRET}"}}',
        {"kind": "Other", "apiVersion": V1, "status": {"token": SECRET}},
        {"kind": "ExecCredential", "apiVersion": "x/v9", "status": {"token": SECRET}},
        {"kind": "ExecCredential", "apiVersion": V1},
        {"kind": "ExecCredential", "apiVersion": V1, "status": {}},
        {"kind": "ExecCredential", "apiVersion": V1, "status": {"token": 5}},
        credential(token=SECRET, expirationTimestamp="soon"),
        credential(token=f"{SECRET}\r\nx-evil: 1"),
    ],
)
def test_what_is_no_credential_is_refused_and_not_shown(tmp_path: Path, printed: object):
    credentials = Credentials(Reach(server=SERVER, program=program(tmp_path, printed)))
    with pytest.raises(CredentialError) as refused:
        credentials.token()
    assert SECRET not in str(refused.value)


def test_a_program_that_fails_or_is_not_there(tmp_path: Path):
    with pytest.raises(CredentialError, match="ended with 3: oops"):
        Credentials(Reach(server=SERVER, program=program(tmp_path, credential(token="t"), 3))).token()
    missing = Exec(("no-such-plugin",), V1, hint="install it")
    with pytest.raises(CredentialError, match="was not found; install it"):
        Credentials(Reach(server=SERVER, program=missing)).token()


def test_no_credential_without_tls():
    for reach in (Reach(server="http://h", token="t"), Reach(server="http://h", certificate="c", key="k")):
        with pytest.raises(CredentialError, match="https only"):
            Credentials(reach)
    assert Credentials(Reach(server="http://127.0.0.1:1")).context() is None


@pytest.mark.parametrize("reach", [{"ca": "no pem"}, {"certificate": "no pem", "key": SECRET}])
def test_unusable_certificates(reach: dict[str, str]):
    with pytest.raises(CredentialError) as refused:
        Credentials(Reach(server=SERVER, **reach)).context()
    assert SECRET not in str(refused.value)


def test_reprs_show_nothing():
    reach = Reach(server=SERVER, token=SECRET, key=SECRET, program=Exec(("x", SECRET), V1, (("A", SECRET),)))
    assert SECRET not in repr(reach) + repr(reach.program)
