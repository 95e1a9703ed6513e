"""Access to a running control plane, over real sockets: real kubectl, real TLS, real refusals."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.e2e.controlplane.access_paths import BY_A_READER, BY_NOBODY
from tests.e2e.controlplane.programs import newest, since

from heddle.cli.kubeconfig import Who, _config, _issue
from heddle.controlplane.access.authority import Authority
from heddle.controlplane.access.caller import ADMINS, EDITORS, VIEWERS
from heddle.controlplane.access.certificates import Pair
from heddle.controlplane.access.trail import Trail
from heddle.controlplane.process import ControlPlane, Settings

ROLES = "rbac.authorization.k8s.io"
SECRET = "aHVudGVyMg=="


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Plane:
    """A control plane in this process, and what one can do to it."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir
        self.trail = Trail(state_dir)
        self.made = ControlPlane(Settings(state_dir=state_dir, port=0, grace_s=1), audit=self.trail.audit)
        self._files = 0

    @property
    def authority(self) -> Authority:
        return self.made.authority

    def kubeconfig(self, user: str, *groups: str, token: bool = False) -> str:
        issued = _issue(self.authority, Who(user, groups, 3600.0), token=token)
        server = f"https://127.0.0.1:{self.made.address[1]}"
        self._files += 1
        path = self.folder / f"kubeconfig-{self._files}"
        path.write_text(yaml.safe_dump(_config(self.authority, issued, server, ("heddle", ""))))
        return str(path)

    async def kubectl(self, kubeconfig: str, *arguments: str, given: str = "") -> Ran:
        command = [newest(), "--kubeconfig", kubeconfig, "--cache-dir", str(self.folder / "cache"), *arguments]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        out, err = await asyncio.wait_for(process.communicate(given.encode()), 60)
        return Ran(process.returncode or 0, out.decode(), err.decode())

    async def apply(self, kubeconfig: str, *objects: dict[str, Any]) -> Ran:
        return await self.kubectl(kubeconfig, "apply", "-f", "-", given=yaml.safe_dump_all(objects))

    async def send(self, path: str, pair: Pair | None = None, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        """One request, its target as it is written."""
        context = ssl.create_default_context(cadata=self.authority.ca_pem.decode())
        if pair is not None:
            file = self.folder / "client.pem"
            file.write_bytes(pair.certificate + pair.key)
            context.load_cert_chain(file)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.made.address[1], ssl=context)
        try:
            named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{named}\r\n".encode("latin-1"))
            answer = await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return int(answer.split(b" ", 2)[1]), answer

    def audited(self) -> list[dict[str, Any]]:
        files = sorted((self.folder / "spool").glob("audit-*"))
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    made = Plane(tmp_path)
    await made.made.start()
    try:
        yield made
    finally:
        await made.made.stop()


def role(name: str, rules: list[dict[str, Any]], namespace: str = "", **more: Any) -> dict[str, Any]:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    kind = "Role" if namespace else "ClusterRole"
    return {"apiVersion": f"{ROLES}/v1", "kind": kind, "metadata": meta, "rules": rules, **more}


def bound(name: str, to: str, user: str, namespace: str = "") -> dict[str, Any]:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    kind, _, named = to.partition("/")
    return {
        "apiVersion": f"{ROLES}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": ROLES, "kind": kind, "name": named},
        "subjects": [{"apiGroup": ROLES, "kind": "User", "name": user}],
    }


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def secret() -> dict[str, Any]:
    meta = {"name": "s", "namespace": "demo"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"password": SECRET}}


async def ok(running: Any) -> Ran:
    ran: Ran = await running
    assert ran.code == 0, ran.err
    return ran


@since(28)
async def test_kubectl_knows_who_it_is_and_what_it_may(plane: Plane):
    owner, viewer = plane.kubeconfig("root", ADMINS), plane.kubeconfig("vi", VIEWERS, token=True)
    whoami = await ok(plane.kubectl(owner, "auth", "whoami", "-o", "json"))
    assert json.loads(whoami.out)["status"]["userInfo"]["username"] == "root"
    assert (await ok(plane.kubectl(owner, "auth", "can-i", "delete", "secrets", "-A"))).out.strip() == "yes"
    whoami = await ok(plane.kubectl(viewer, "auth", "whoami", "-o", "json"))
    assert json.loads(whoami.out)["status"]["userInfo"]["groups"] == [VIEWERS, "system:authenticated"]
    listed = (await ok(plane.kubectl(viewer, "auth", "can-i", "--list"))).out
    assert "configmaps" in listed
    assert "secrets" not in listed
    assert "roles" not in listed
    denied = await plane.kubectl(viewer, "auth", "can-i", "get", "secrets", "-A")
    assert (denied.code, denied.out.strip()) == (1, "no")
    refused = await plane.kubectl(viewer, "get", "secrets", "-A")
    assert 'User "vi" cannot list resource "secrets" in API group "" at the cluster scope' in refused.err


@since(28)
async def test_an_account_acts_with_a_token_of_its_own_until_it_is_gone(plane: Plane):
    owner = plane.kubeconfig("root", ADMINS)
    await ok(plane.apply(owner, namespace("demo")))
    await ok(plane.kubectl(owner, "create", "serviceaccount", "bot", "-n", "demo"))
    arguments = ("create", "rolebinding", "bot", "-n", "demo", "--clusterrole=view", "--serviceaccount=demo:bot")
    await ok(plane.kubectl(owner, *arguments))
    token = (await ok(plane.kubectl(owner, "create", "token", "bot", "-n", "demo"))).out.strip()
    path = "/api/v1/namespaces/demo/configmaps"
    assert (await plane.send(path, authorization=f"Bearer {token}"))[0] == 200
    assert (await plane.send("/api/v1/namespaces/demo/secrets", authorization=f"Bearer {token}"))[0] == 403
    await ok(plane.kubectl(owner, "delete", "serviceaccount", "bot", "-n", "demo"))
    assert (await plane.send(path, authorization=f"Bearer {token}"))[0] == 401


async def test_a_right_that_was_taken_away_is_gone_at_once_also_on_an_open_connection(plane: Plane):
    owner, alice = plane.kubeconfig("root", ADMINS), plane.kubeconfig("alice")
    await ok(plane.apply(owner, namespace("demo"), bound("alice", "ClusterRole/edit", "alice", "demo")))
    await ok(plane.kubectl(alice, "get", "secrets", "-n", "demo"))
    await ok(plane.kubectl(owner, "delete", "rolebinding", "alice", "-n", "demo"))
    assert (await plane.kubectl(alice, "get", "secrets", "-n", "demo")).code == 1


@pytest.mark.parametrize("mode", ["create", "apply", "server-side", "merge", "json", "replace"])
async def test_an_administrator_of_a_namespace_stays_one_whichever_way_they_write(plane: Plane, mode: str):
    owner, mallory = plane.kubeconfig("root", ADMINS), plane.kubeconfig("mallory")
    own = role("own", [{"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]}], "demo")
    await ok(plane.apply(owner, namespace("demo"), bound("m", "ClusterRole/admin", "mallory", "demo")))
    await ok(plane.apply(mallory, own))
    await ok(plane.apply(mallory, bound("own", "Role/own", "friend", "demo")))
    wanted = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    more = role("own", wanted, "demo")
    if mode == "create":
        ran = await plane.apply(mallory, bound("up", "ClusterRole/cluster-admin", "mallory", "demo"))
    elif mode == "apply":
        ran = await plane.apply(mallory, more)
    elif mode == "server-side":
        ran = await plane.kubectl(
            mallory, "apply", "--server-side", "--force-conflicts", "-f", "-", given=yaml.safe_dump(more)
        )
    elif mode == "replace":
        ran = await plane.kubectl(mallory, "replace", "-f", "-", given=yaml.safe_dump(more))
    else:
        patch: Any = {"rules": wanted} if mode == "merge" else [{"op": "replace", "path": "/rules", "value": wanted}]
        arguments = ("patch", "role", "own", "-n", "demo", "--type", mode, "-p", json.dumps(patch))
        ran = await plane.kubectl(mallory, *arguments)
    assert ran.code != 0
    assert "attempting to grant permissions not currently held" in ran.err
    assert (await plane.kubectl(mallory, "auth", "can-i", "use", "environment.heddle.dev", "-n", "demo")).code == 1
    assert (await plane.kubectl(mallory, "get", "secrets", "-n", "default")).code == 1


async def test_nobody_goes_back_to_a_role_that_gave_more(plane: Plane):
    owner, mallory = plane.kubeconfig("root", ADMINS), plane.authority.issue("mallory", [], 3600)
    wide = role("own", [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}], "demo")
    await ok(plane.apply(owner, namespace("demo"), bound("m", "ClusterRole/admin", "mallory", "demo"), wide))
    await ok(plane.apply(owner, role("own", [], "demo"), bound("own", "Role/own", "mallory", "demo")))
    path = f"/apis/{ROLES}/v1/namespaces/demo/roles/own/rollback"
    code, answer = await plane.send(path, mallory, "POST")
    assert code == 403
    assert b"not currently held" in answer
    await ok(plane.apply(owner, wide))
    await ok(plane.kubectl(owner, "delete", "role", "own", "-n", "demo"))
    code, answer = await plane.send(path, mallory, "POST")
    assert (code, b"not currently held" in answer) == (403, True)


async def test_what_a_binding_binds_cannot_be_changed(plane: Plane):
    owner = plane.kubeconfig("root", ADMINS)
    await ok(plane.apply(owner, bound("b", "ClusterRole/view", "alice")))
    ran = await plane.apply(owner, bound("b", "ClusterRole/cluster-admin", "alice"))
    assert ran.code != 0
    assert "cannot change roleRef" in ran.err


@since(28)
async def test_nobody_is_taken_for_somebody_else(plane: Plane):
    ran = await plane.kubectl(plane.kubeconfig("root", ADMINS), "--as", "dev", "get", "namespaces")
    assert ran.code != 0
    assert "Forbidden" in ran.err
    pair = plane.authority.issue("root", [ADMINS], 3600)
    code, answer = await plane.send("/api/v1/namespaces", pair, impersonate_user="dev")
    assert code == 403
    assert b"impersonation is not supported" in answer


# Certificates, on the wire


async def test_a_certificate_of_another_authority_ends_the_handshake(plane: Plane, tmp_path: Path):
    other = Authority(tmp_path / "other", plane.authority._now)
    with pytest.raises((ssl.SSLError, OSError, IndexError)):
        await plane.send("/api", other.issue("root", [ADMINS], 3600))


async def test_an_expired_certificate_opens_nothing(plane: Plane, tmp_path: Path):
    now = plane.authority._now
    late = Authority(tmp_path, lambda: now() - 7200)
    with pytest.raises((ssl.SSLError, OSError, IndexError)):
        await plane.send("/api", late.issue("root", [ADMINS], 3600))


async def test_a_revoked_certificate_opens_nothing(plane: Plane):
    pair = plane.authority.issue("root", [ADMINS], 3600)
    assert (await plane.send("/api", pair))[0] == 200
    der = x509.load_pem_x509_certificate(pair.certificate).public_bytes(Encoding.DER)
    plane.authority.deny(plane.authority.proves(der).serial)
    assert (await plane.send("/api", pair))[0] == 401


# Paths


@pytest.mark.parametrize("path", BY_NOBODY)
async def test_nobody_gets_behind_a_public_path(plane: Plane, path: str):
    code, answer = await plane.send(path)
    assert code in {400, 401, 404}, answer
    assert b'"items"' not in answer
    assert b'"resources"' not in answer


async def test_a_query_makes_no_other_path(plane: Plane):
    code, answer = await plane.send("/version?/api/v1/secrets")
    assert (code, b'"gitVersion"' in answer) == (200, True)


async def test_a_reader_of_one_kind_reads_that_and_nothing_else(plane: Plane):
    owner = plane.kubeconfig("root", ADMINS)
    rules = [{"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["configmaps"]}]
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hidden", "namespace": "other"}}
    await ok(plane.apply(owner, namespace("demo"), namespace("other"), secret(), config_map, role("r", rules, "demo")))
    await ok(plane.apply(owner, bound("r", "Role/r", "reader", "demo")))
    pair = plane.authority.issue("reader", [], 3600)
    assert (await plane.send("/api/v1/namespaces/demo/configmaps", pair))[0] == 200
    for path in BY_A_READER:
        code, answer = await plane.send(path, pair)
        assert code in {400, 403, 404}, (path, answer)
        assert SECRET.encode() not in answer, path
        assert b"hidden" not in answer, path


# What is written down


async def test_writes_refusals_and_reads_of_secrets_are_on_the_disk_and_no_value_is(plane: Plane):
    owner, editor = plane.kubeconfig("root", ADMINS), plane.kubeconfig("ed", EDITORS)
    await ok(plane.apply(owner, namespace("demo"), secret()))
    await ok(plane.kubectl(editor, "get", "secret", "s", "-n", "demo"))
    patch = '{"data":{"password":"c2Vjb25kLXBhc3N3b3Jk"}}'
    await ok(plane.kubectl(editor, "patch", "secret", "s", "-n", "demo", "-p", patch))
    await plane.kubectl(editor, "get", "roles", "-n", "demo")
    await plane.send("/api", authorization="Bearer not-a-token-but-secret")
    found = plane.audited()
    by_who = {(one.get("user"), one.get("verb"), one.get("resource"), one.get("code")): one for one in found}
    assert ("root", "create", "secrets/demo/s", 201) in by_who or ("root", "create", "secrets/demo", 201) in by_who
    assert by_who["ed", "get", "secrets/demo/s", 200]["groups"] == [EDITORS, "system:authenticated"]
    assert by_who["ed", "patch", "secrets/demo/s", 200]["changes"] == ["data.password"]
    assert by_who["ed", "list", f"roles.{ROLES}/demo", 403]["outcome"] == "deny"
    assert any(one["audit"] == "authn" and one["source"] == "127.0.0.1" for one in found)
    whole = json.dumps(found)
    for hidden in (SECRET, "c2Vjb25kLXBhc3N3b3Jk", "not-a-token"):
        assert hidden not in whole
