"""The local authority: made once, private, and its credentials good for what they say."""

import stat
import threading
from pathlib import Path

import pytest
from tests.unit.controlplane.access.rig import Clock, der

from heddle.controlplane.access.authority import (
    AUTHORITY_FILE,
    CA_FILE,
    DENIED_FILE,
    DENIED_LOOK_S,
    FOLDER,
    SERVER_RENEW_S,
    SERVER_TTL_S,
    TOKEN_KEY_FILE,
    Authority,
    AuthorityError,
)
from heddle.controlplane.access.certificates import CertificateError, server_hosts


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_its_files_are_private(tmp_path: Path):
    authority = Authority(tmp_path, Clock())
    authority.server_certificate()
    assert mode(tmp_path / FOLDER) == 0o700
    private = {path.name: mode(path) for path in (tmp_path / FOLDER).iterdir() if path.name != CA_FILE}
    assert set(private) == {AUTHORITY_FILE, TOKEN_KEY_FILE, "server.pem"}
    assert set(private.values()) == {0o600}
    assert b"PRIVATE" not in (tmp_path / FOLDER / CA_FILE).read_bytes()


def test_a_folder_that_others_could_enter_is_closed(tmp_path: Path):
    (tmp_path / FOLDER).mkdir(mode=0o755)
    Authority(tmp_path, Clock())
    assert mode(tmp_path / FOLDER) == 0o700


def test_starts_at_once_end_with_one_authority(tmp_path: Path):
    ready = threading.Barrier(8)
    found: list[bytes] = []

    def start() -> None:
        ready.wait()
        authority = Authority(tmp_path, Clock())
        found.append(authority.ca_pem + authority.token_key)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / FOLDER).iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", [AUTHORITY_FILE, TOKEN_KEY_FILE])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, name: str):
    Authority(tmp_path, Clock())
    (tmp_path / FOLDER / name).chmod(0o640)
    with pytest.raises(AuthorityError, match="only its owner can read"):
        Authority(tmp_path, Clock())


def test_a_link_in_the_place_of_a_key_is_refused(tmp_path: Path):
    Authority(tmp_path, Clock())
    path = tmp_path / FOLDER / AUTHORITY_FILE
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuthorityError):
        Authority(tmp_path, Clock())


def test_a_damaged_authority_is_refused_and_kept(tmp_path: Path):
    Authority(tmp_path, Clock())
    path = tmp_path / FOLDER / AUTHORITY_FILE
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nnot one\n")
    with pytest.raises(AuthorityError, match="damaged"):
        Authority(tmp_path, Clock())
    assert path.read_bytes().endswith(b"not one\n")


def test_a_client_is_who_the_certificate_says(tmp_path: Path):
    authority = Authority(tmp_path, Clock())
    client = authority.proves(der(authority.issue("alice", ["dev", "ops"], 3600)))
    assert (client.name, client.groups) == ("alice", ("dev", "ops"))


def test_another_start_believes_what_was_issued(tmp_path: Path):
    pair = Authority(tmp_path, Clock()).issue("alice", [], 3600)
    assert Authority(tmp_path, Clock()).proves(der(pair)).name == "alice"


def test_no_private_key_is_shown(tmp_path: Path):
    authority = Authority(tmp_path, Clock())
    assert "PRIVATE" not in repr(authority.issue("alice", [], 3600))
    assert "key" not in repr(authority.signer).lower()


@pytest.mark.parametrize("ttl_s", [0, -1, 59, 367 * 86_400, float("nan")])
def test_lives_that_make_no_sense_are_refused(tmp_path: Path, ttl_s: float):
    with pytest.raises(CertificateError):
        Authority(tmp_path, Clock()).issue("alice", [], ttl_s)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a" * 65, "a\0", " alice"])
def test_names_that_nobody_has_are_refused(tmp_path: Path, name: str):
    authority = Authority(tmp_path, Clock())
    with pytest.raises(CertificateError):
        authority.issue(name, [], 3600)
    with pytest.raises(CertificateError):
        authority.issue("alice", [name], 3600)


def test_a_revoked_certificate_proves_nothing_from_then_on(tmp_path: Path):
    clock = Clock()
    authority = Authority(tmp_path, clock)
    shown = der(authority.issue("alice", [], 3600))
    serial = authority.proves(shown).serial
    authority.deny(serial, "lost\nlaptop")
    with pytest.raises(CertificateError, match="revoked"):
        authority.proves(shown)
    path = tmp_path / FOLDER / DENIED_FILE
    assert (mode(path), len(path.read_text().splitlines())) == (0o600, 1)
    path.unlink()
    clock.now_s += DENIED_LOOK_S
    assert authority.proves(shown).name == "alice"


@pytest.mark.parametrize("later_s", [DENIED_LOOK_S, -1])
def test_a_list_that_another_process_changed_holds_within_a_second(tmp_path: Path, later_s: float):
    clock = Clock()
    authority = Authority(tmp_path, clock)
    assert not authority.is_denied("cd")
    (tmp_path / FOLDER / DENIED_FILE).write_text("CD\n")
    clock.now_s += later_s
    assert authority.is_denied("cd")
    (tmp_path / FOLDER / DENIED_FILE).write_bytes(b"\xff\xfe")
    clock.now_s += later_s
    for _ in range(2):
        with pytest.raises(AuthorityError):
            authority.is_denied("ab")


def test_a_damaged_list_lets_nobody_in(tmp_path: Path):
    authority = Authority(tmp_path, Clock())
    (tmp_path / FOLDER / DENIED_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(AuthorityError):
        authority.is_denied("cd")


def test_the_servers_certificate_is_kept_while_it_is_good(tmp_path: Path):
    clock = Clock()
    authority = Authority(tmp_path, clock)
    path, renew_at_s = authority.server_certificate(["Mesh.Example", "10.1.2.3"])
    first = path.read_bytes()
    names, ends_s = server_hosts(first)
    assert {"127.0.0.1", "::1", "localhost", "mesh.example", "10.1.2.3"} <= names
    assert (ends_s, renew_at_s) == (clock() + SERVER_TTL_S, clock() + SERVER_TTL_S - SERVER_RENEW_S)
    assert authority.server_certificate(["mesh.example"])[0].read_bytes() == first
    clock.now_s = renew_at_s
    assert authority.server_certificate(["mesh.example"])[0].read_bytes() != first


def test_another_name_is_another_certificate(tmp_path: Path):
    authority = Authority(tmp_path, Clock())
    first = authority.server_certificate()[0].read_bytes()
    names, _ = server_hosts(authority.server_certificate(["other.example"])[0].read_bytes())
    assert "other.example" in names
    assert first


@pytest.mark.parametrize("host", ["", "a b", "a/b", "x" * 300, "ex\u00e4mple", "a\nb", "-x"])
def test_what_is_no_host_is_refused(tmp_path: Path, host: str):
    with pytest.raises(CertificateError):
        Authority(tmp_path, Clock()).server_certificate([host])
