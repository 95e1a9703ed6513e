"""Replicas on one PostgreSQL, as processes: what one is told, the other knows; what one may do, only one does."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import kubernetes
import pytest
from tests.contract.documents.postgres_server import PostgresServer
from tests.e2e.running import eventually
from tests.proofs.replicas import one_after_the_other, one_of_two
from tests.proofs.replicas_rig import Replica, Turns, running

from heddle.controlplane.replicas.keys import make_key_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not PostgresServer.found(), reason="no PostgreSQL on this machine"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    made = PostgresServer()
    yield made
    made.close()


class Two:
    """Two replicas, with an administrator's client for each."""

    def __init__(self, folder: Path, database: str, *arguments: str) -> None:
        self.folder, self.database, self.key = folder, database, folder / "key"
        make_key_file(self.key)
        self.replicas = [Replica(folder, name, database, self.key, *arguments) for name in "ab"]

    def start(self) -> "Two":
        for one in self.replicas:
            one.start()
        self.kubeconfigs = [one.wait().kubeconfig(self.folder / f"{one.port}.yaml") for one in self.replicas]
        self.apis = [Turns([one], 0).official() for one in self.kubeconfigs]
        return self

    def lease(self, name: str = "heddle-control-plane") -> str:
        """Who holds it; empty is nobody."""
        for one, api in zip(self.replicas, self.apis, strict=True):
            if one.process is not None and one.process.poll() is None:
                leases = kubernetes.client.CoordinationV1Api(api.api_client)
                return str(leases.read_namespaced_lease(name, "kube-system").spec.holder_identity or "")
        raise AssertionError("nobody to ask")

    def leader(self, name: str = "heddle-control-plane") -> Replica:
        eventually(lambda: self.lease(name), 15)
        holder = self.lease(name)
        return next(one for one in self.replicas if f":{one.port}_" in holder)


@pytest.fixture
def two(tmp_path: Path, server: PostgresServer) -> Iterator[Two]:
    made = Two(tmp_path, server.database())
    with running(*made.replicas):
        yield made.start()


def test_no_kill_of_the_only_control_plane_loses_anything(tmp_path: Path):
    told = one_after_the_other(tmp_path / "sqlite", "", 2)
    assert told.wrong == 0, told
    assert told.acknowledged > 50


def test_no_kill_of_a_replica_loses_anything_and_the_other_goes_on(tmp_path: Path, server: PostgresServer):
    told = one_of_two(tmp_path / "two", server.database(), 2)
    assert told.wrong == 0, told
    assert told.acknowledged > 50
    assert told.gap_s < 2


def test_what_is_written_at_one_is_read_at_the_other_at_once(two: Two):
    one, other = two.apis
    for number in range(30):
        body = {"metadata": {"name": f"m{number}"}, "data": {"value": str(number)}}
        one.create_namespaced_config_map("default", body)
        assert other.read_namespaced_config_map(f"m{number}", "default").data == {"value": str(number)}
        one, other = other, one


def test_a_right_that_is_taken_away_at_one_is_gone_at_the_other_at_once(two: Two):
    rights = kubernetes.client.RbacAuthorizationV1Api(two.apis[0].api_client)
    command = [sys.executable, "-m", "heddle", "kubeconfig", "--state", str(two.replicas[1].state), "--user", "alice"]
    path = two.folder / "alice.yaml"
    server = f"https://127.0.0.1:{two.replicas[1].port}"
    subprocess.run([*command, "--out", str(path), "--server", server], check=True, capture_output=True)
    alice = Turns([path], 0).official()
    subject = {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"}
    for number in range(20):
        binding = {"metadata": {"name": f"alice-{number}"}, "subjects": [subject], "roleRef": role}
        rights.create_namespaced_role_binding("default", binding)
        alice.list_namespaced_config_map("default")
        rights.delete_namespaced_role_binding(f"alice-{number}", "default")
        with pytest.raises(kubernetes.client.exceptions.ApiException) as refused:
            alice.list_namespaced_config_map("default", resource_version="0")
        assert refused.value.status == 403


def test_a_credential_that_is_revoked_at_one_is_refused_at_the_other(two: Two):
    state = two.replicas[0].state
    made = subprocess.run(
        [sys.executable, "-m", "heddle", "kubeconfig", "--state", str(state), "--out", str(two.folder / "bob.yaml"),
         "--server", f"https://127.0.0.1:{two.replicas[1].port}"], check=True, capture_output=True, text=True,
    )  # fmt: skip
    bob = Turns([two.folder / "bob.yaml"], 0).official()
    bob.list_namespaced_config_map("default")
    revoked = made.stderr.split()[-1]
    command = [sys.executable, "-m", "heddle", "kubeconfig", "--state", str(state), "--revoke", revoked]
    subprocess.run(command, check=True, capture_output=True)

    def refused() -> bool:
        try:
            bob.list_namespaced_config_map("default")
        except kubernetes.client.exceptions.ApiException as exc:
            return bool(exc.status == 401)
        return False

    eventually(refused, 5)


def test_one_leads_another_follows_when_it_is_killed_and_at_once_when_it_ends(two: Two):
    leader = two.leader()
    holder = two.lease()
    leader.kill()
    began_s = time.monotonic()
    eventually(lambda: two.lease() not in {"", holder}, 10)
    assert time.monotonic() - began_s < 5.5
    leader.start().wait()
    second = two.leader()
    assert second is not leader
    holder = two.lease()
    assert second.stop() == 0
    began_s = time.monotonic()
    eventually(lambda: two.lease() not in {"", holder}, 10)
    assert time.monotonic() - began_s < 2


def test_one_of_two_collects_what_belonged_to_what_is_gone(two: Two):
    one, other = two.apis
    owner = one.create_namespaced_config_map("default", {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid}
    for number in range(5):
        metadata = {"name": f"owned-{number}", "ownerReferences": [reference]}
        other.create_namespaced_config_map("default", {"metadata": metadata})
    two.leader().kill()
    left = next(
        api for api, one in zip(two.apis, two.replicas, strict=True) if one.process and one.process.poll() is None
    )
    left.delete_namespaced_config_map("owner", "default")
    eventually(lambda: all(not m.metadata.name.startswith("owned") for m in _maps(left)), 15)


def _maps(api: kubernetes.client.CoreV1Api) -> list[object]:
    return list(api.list_namespaced_config_map("default").items)


def test_a_folder_is_followed_by_one_and_by_the_other_when_that_is_gone(tmp_path: Path, server: PostgresServer):
    declared = tmp_path / "declared"
    declared.mkdir()
    for number in range(5):
        _declare(declared, number, "one")
    two = Two(tmp_path, server.database(), "--folder", str(declared))
    with running(*two.replicas):
        two.start()
        api = two.apis[0]
        eventually(lambda: len([m for m in _maps(api) if m.metadata.name.startswith("d")]) == 5, 30)  # type: ignore[attr-defined]
        before = server.psql(_WRITES, two.database.rpartition("/")[2])
        time.sleep(3)
        assert server.psql(_WRITES, two.database.rpartition("/")[2]) == before, (
            "nothing is written while nothing changes"
        )
        lease = "heddle-source-folder-declared"
        leader = two.leader(lease)
        leader.kill()
        _declare(declared, 0, "two")
        left = two.apis[1 - two.replicas.index(leader)]
        eventually(lambda: left.read_namespaced_config_map("d0", "default").data == {"value": "two"}, 20)
        assert two.lease(lease)


_WRITES = "SELECT count(*) FROM heddle_changes WHERE resource <> 'leases.coordination.k8s.io'"


def _declare(folder: Path, number: int, value: str) -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"d{number}", "namespace": "default"}}
    (folder / f"d{number}.yaml").write_text(json.dumps({**made, "data": {"value": value}}))


def test_who_has_other_keys_does_not_start_and_says_why(two: Two):
    stranger = Replica(two.folder, "stranger", two.database, two.key)
    shutil.rmtree(stranger.state, ignore_errors=True)
    lonely = Replica(two.folder, "lonely")
    with running(stranger, lonely):
        lonely.start().wait().stop()
        shutil.copytree(lonely.state / "control-plane", stranger.state / "control-plane")
        process = stranger.start().process
        assert process is not None
        assert process.wait(30) == 1
    said = stranger.log.read_text()
    assert "control-plane/authority.pem is not the one that replicas on this database use" in said
    assert "Traceback" not in said
    everything = said + "".join(one.log.read_text() for one in two.replicas)
    assert two.key.read_text().strip() not in everything
    assert "PRIVATE KEY" not in everything


def test_the_official_watch_goes_on_at_the_other_replica(two: Two):
    found: list[str] = []
    done = threading.Event()

    def follow() -> None:
        turns, after = Turns(two.kubeconfigs, two.replicas.index(victim)), start
        while not done.is_set():
            api = turns.official()
            try:
                stream = kubernetes.watch.Watch().stream(
                    api.list_namespaced_config_map, "default", resource_version=after, timeout_seconds=5
                )
                for event in stream:
                    after = event["object"].metadata.resource_version
                    found.append(event["object"].metadata.name)
                    if done.is_set():
                        break
            except Exception:
                turns.next()

    victim, start = two.replicas[0], two.apis[0].list_namespaced_config_map("default").metadata.resource_version
    thread = threading.Thread(target=follow)
    thread.start()
    try:
        for number in range(60):
            two.apis[1].create_namespaced_config_map("default", {"metadata": {"name": f"w{number}"}})
            if number == 20:
                victim.kill()
        eventually(lambda: len(found) >= 60, 15)
    finally:
        done.set()
        two.apis[1].create_namespaced_config_map("default", {"metadata": {"name": "end"}})
        thread.join()
    assert found[:60] == [f"w{number}" for number in range(60)]
