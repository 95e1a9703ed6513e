"""Tokens, and what they buy."""

import shutil
import ssl
from pathlib import Path

import pytest

from heddle.controlplane.access.authority import AUTHORITY_FILE, FOLDER, TOKEN_KEY_FILE, Authority
from heddle.controlplane.distribution.joining import Gateway, JoinError, Joining, group_of, may_follow, user_of
from heddle.dataplane.subscription.identity import new_request, write_identity
from heddle.wire.delta import Interest, Join

EDGE = Interest("default/edge")


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def joining(tmp_path: Path, clock: Clock) -> Joining:
    return Joining(tmp_path, Authority(tmp_path, clock), clock)


def certificate_of(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def test_a_token_makes_the_gateway_that_it_names(joining: Joining):
    _, request = new_request()
    joined = joining.join(Join(joining.token("edge-1", EDGE), request))
    assert (joined.name, joined.interest) == ("edge-1", EDGE)
    gateway = joining.proven(certificate_of(joined.certificate))
    assert gateway.name == "edge-1"
    assert may_follow(gateway, EDGE)
    assert not may_follow(gateway, Interest("default/inner"))
    assert not may_follow(gateway, Interest("*"))


def test_a_token_is_good_once_also_after_a_restart(joining: Joining, tmp_path: Path, clock: Clock):
    token = joining.token("edge-1", EDGE)
    joining.join(Join(token, new_request()[1]))
    for again in (joining, Joining(tmp_path, Authority(tmp_path, clock), clock)):
        with pytest.raises(JoinError, match="has been used"):
            again.join(Join(token, new_request()[1]))


def test_a_token_that_is_spelt_otherwise_is_the_same_token(joining: Joining):
    token = joining.token("edge-1", EDGE)
    joining.join(Join(token, new_request()[1]))
    sealed, _, fingerprint = token.partition(".")
    for other in (sealed + "==", "!" + sealed, sealed.replace("-", "+"), sealed[:9] + "\n" + sealed[9:]):
        with pytest.raises(JoinError):
            joining.join(Join(f"{other}.{fingerprint}", new_request()[1]))


def test_a_token_of_one_replica_is_good_at_another(joining: Joining, tmp_path: Path, clock: Clock):
    other = tmp_path / "other" / FOLDER
    other.mkdir(parents=True, mode=0o700)
    for name in (AUTHORITY_FILE, TOKEN_KEY_FILE):
        shutil.copy(tmp_path / FOLDER / name, other / name)
    elsewhere = Joining(other.parent, Authority(other.parent, clock), clock)
    assert elsewhere.join(Join(joining.token("edge-1", EDGE), new_request()[1])).name == "edge-1"


def test_a_request_that_cannot_be_signed_does_not_use_the_token(joining: Joining):
    token = joining.token("edge-1", EDGE)
    with pytest.raises(JoinError):
        joining.join(Join(token, b"garbage"))
    joining.join(Join(token, new_request()[1]))


def test_a_token_ends(joining: Joining, clock: Clock):
    token = joining.token("edge-1", EDGE, ttl_s=60)
    clock.now_s += 61
    with pytest.raises(JoinError, match="has ended"):
        joining.join(Join(token, new_request()[1]))


def test_used_tokens_are_forgotten_once_they_have_ended(joining: Joining, clock: Clock, tmp_path: Path):
    joining.join(Join(joining.token("a", EDGE, ttl_s=60), new_request()[1]))
    clock.now_s += 61
    joining.join(Join(joining.token("b", EDGE), new_request()[1]))
    used = tmp_path / "control-plane" / "joined"
    assert len(used.read_text().splitlines()) == 1
    assert used.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("token", ["", ".", "x" * 4000, "é", "AAAA.0000"])
def test_what_is_no_token_makes_nobody_a_gateway(joining: Joining, token: str):
    with pytest.raises(JoinError):
        joining.join(Join(token, new_request()[1]))


def test_a_token_of_another_control_plane_is_none(joining: Joining, tmp_path: Path, clock: Clock):
    other = Joining(tmp_path / "other", Authority(tmp_path / "other", clock), clock)
    with pytest.raises(JoinError):
        joining.join(Join(other.token("edge-1", EDGE), new_request()[1]))


def test_a_users_certificate_is_no_gateways(joining: Joining, tmp_path: Path, clock: Clock):
    authority = Authority(tmp_path, clock)
    for name, groups in (("alice", ("system:gateways",)), ("system:gateway:edge", ("devs",))):
        with pytest.raises(JoinError, match="not one of a gateway"):
            joining.proven(certificate_of(authority.issue(name, groups, 3600).certificate))


@pytest.mark.parametrize("name", ["", "A", "a" * 50, "a b", "a/b", "ä", "-", "a\n"])
def test_names_that_cannot_be(name: str):
    with pytest.raises(ValueError):
        user_of(name)


def test_a_gateway_with_a_long_name_has_a_group_of_its_own():
    long = "n" * 60 + "/" + "g" * 60
    assert len(group_of(long)) <= 64
    assert group_of(long) != group_of(long + "g")
    assert may_follow(Gateway("x", (group_of(long),), "1"), Interest(long))


def test_an_identity_keeps_its_names(joining: Joining, tmp_path: Path):
    key, request = new_request()
    joined = joining.join(Join(joining.token("edge-1", EDGE), request))
    path = tmp_path / "gateway.pem"
    identity = write_identity(path, joined.name, joined.interest, key, joined.certificate, joined.authority)
    assert (identity.name, identity.interest) == ("edge-1", EDGE)
    assert identity.begins_s < identity.ends_s
    assert path.stat().st_mode & 0o777 == 0o600
    identity.context()
