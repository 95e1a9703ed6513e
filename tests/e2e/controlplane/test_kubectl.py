"""The real kubectl against the resource API: everything people do with it."""

import contextlib
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.e2e.controlplane.plane import Plane
from tests.e2e.controlplane.programs import kubectls, since


def model(name: str, **spec: Any) -> dict[str, Any]:
    given = {"provider": "OpenAI", "model": "gpt-4o"} | spec
    return {"apiVersion": "kagent.dev/v1alpha2", "kind": "ModelConfig", "metadata": {"name": name}, "spec": given}


def test_there_is_a_kubectl():
    assert kubectls(), "install Debian's kubernetes-client"


def test_kinds_are_listed_and_explained(plane: Plane):
    listed = plane.kubectl("api-resources")
    assert "agents" in listed
    assert "kagent.dev/v1alpha2" in listed
    assert "description" in plane.kubectl("explain", "agents.spec")
    assert "backendRefs" in plane.kubectl("explain", "httproutes.spec.rules", "--recursive")
    assert "v1.36" in plane.kubectl("version")


def test_apply_diff_and_apply_again(plane: Plane):
    assert "created" in plane.kubectl("apply", "-f", "-", stdin=model("first"))
    assert "unchanged" in plane.kubectl("apply", "-f", "-", stdin=model("first"))
    shown = plane.kubectl("diff", "-f", "-", stdin=model("first", model="gpt-5"), fails=True)
    assert "+  model: gpt-5" in shown
    assert "configured" in plane.kubectl("apply", "-f", "-", stdin=model("first", model="gpt-5"))
    assert plane.kubectl("get", "modelconfig", "first", "-o", "jsonpath={.spec.model}") == "gpt-5"


def test_an_apply_by_another_conflicts(plane: Plane):
    ours = ["apply", "--server-side", "--field-manager"]
    plane.kubectl(*ours, "alice", "-f", "-", stdin=model("shared"))
    other = model("shared", model="gpt-5")
    said = plane.kubectl(*ours, "bob", "-f", "-", stdin=other, fails=True)
    assert 'conflict with "alice": .spec.model' in said
    assert "serverside-applied" in plane.kubectl(*ours, "bob", "--force-conflicts", "-f", "-", stdin=other)


@since(25)
def test_mistakes_are_told(plane: Plane):
    said = plane.kubectl("apply", "-f", "-", stdin=model("bad", modle="x"), fails=True)
    assert 'unknown field "spec.modle"' in said
    said = plane.kubectl("apply", "-f", "-", stdin=model("bad", provider="Nobody"), fails=True)
    assert "Nobody" in said
    assert "NotFound" in plane.kubectl("get", "agent", "nobody", fails=True)
    assert "not found" in plane.kubectl("-n", "nowhere", "create", "configmap", "x", fails=True)


@since(24)
def test_patch_label_annotate_and_edit(plane: Plane):
    plane.kubectl("apply", "-f", "-", stdin=model("edited"))
    plane.kubectl("patch", "modelconfig", "edited", "--type=merge", "-p", '{"spec":{"model":"a"}}')
    plane.kubectl(
        "patch", "modelconfig", "edited", "--type=json", "-p", '[{"op":"replace","path":"/spec/model","value":"b"}]'
    )
    assert "strategic" in plane.kubectl("patch", "modelconfig", "edited", "-p", '{"spec":{}}', fails=True)
    plane.kubectl("label", "modelconfig", "edited", "team=x")
    plane.kubectl("annotate", "modelconfig", "edited", "note=y")
    plane.kubectl("edit", "modelconfig", "edited", env={"KUBE_EDITOR": "sed -i s/model:.b/model:\\ c/"})
    found = json.loads(plane.kubectl("get", "modelconfig", "edited", "-o", "json"))
    assert (found["spec"]["model"], found["metadata"]["labels"]["team"]) == ("c", "x")
    assert "edited" in plane.kubectl("get", "modelconfig", "-l", "team=x", "-o", "name")
    condition = {"type": "Accepted", "status": "True", "reason": "Ok", "message": "m"}
    condition["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    status = json.dumps({"status": {"conditions": [condition]}})
    plane.kubectl("patch", "modelconfig", "edited", "--subresource=status", "--type=merge", "-p", status)
    assert "condition met" in plane.kubectl("wait", "--for=condition=Accepted", "modelconfig/edited", "--timeout=10s")


def test_tables(plane: Plane):
    plane.kubectl("apply", "-f", "-", stdin=model("tabled"))
    head, *rows = plane.kubectl("get", "modelconfigs", "-A", "-o", "wide").splitlines()
    assert head.split() == ["NAMESPACE", "NAME", "PROVIDER", "MODEL"]
    assert ["default", "tabled", "OpenAI", "gpt-4o"] in [row.split() for row in rows]
    assert "kind: ModelConfig" in plane.kubectl("get", "modelconfig", "tabled", "-o", "yaml")
    assert "Name:         tabled" in plane.kubectl("describe", "modelconfig", "tabled")


def test_core_kinds_come_as_protobuf(plane: Plane):
    plane.kubectl("create", "namespace", "team")
    plane.kubectl("-n", "team", "create", "configmap", "c", "--from-literal=a=b")
    plane.kubectl("-n", "team", "create", "secret", "generic", "s", "--from-literal=p=hunter2")
    plane.kubectl("-n", "team", "create", "serviceaccount", "sa")
    plane.kubectl("-n", "team", "create", "role", "r", "--verb=get,list", "--resource=agents.kagent.dev")
    plane.kubectl("-n", "team", "create", "rolebinding", "rb", "--role=r", "--user=bob", "--serviceaccount=team:sa")
    plane.kubectl("-n", "team", "create", "service", "clusterip", "svc", "--tcp=80:8080")
    plane.kubectl("create", "clusterrole", "cr", "--verb=get", "--resource=secrets", "--resource-name=x")
    plane.kubectl("create", "clusterrolebinding", "crb", "--clusterrole=cr", "--group=g")
    bound = json.loads(plane.kubectl("-n", "team", "get", "rolebinding", "rb", "-o", "json"))
    assert [one["name"] for one in bound["subjects"]] == ["bob", "sa"]
    assert plane.kubectl("-n", "team", "get", "secret", "s", "-o", "jsonpath={.data.p}") == "aHVudGVyMg=="
    port = plane.kubectl("-n", "team", "get", "service", "svc", "-o", "jsonpath={.spec.ports[0]}")
    assert json.loads(port) == {"name": "80-8080", "port": 80, "protocol": "TCP", "targetPort": 8080}


@since(28)
def test_rights(plane: Plane):
    assert plane.kubectl("auth", "can-i", "create", "agents").strip() == "yes"
    assert "admin" in plane.kubectl("auth", "whoami")
    bob = plane.kubeconfig("bob")
    plane.kubectl("create", "role", "reader", "--verb=get,list", "--resource=modelconfigs.kagent.dev")
    plane.kubectl("create", "rolebinding", "bob-reads", "--role=reader", "--user=bob")
    plane.kubectl("get", "modelconfigs", config=bob)
    said = plane.kubectl("delete", "modelconfig", "first", config=bob, fails=True)
    assert 'User "bob" cannot delete resource "modelconfigs" in API group "kagent.dev"' in said
    assert "impersonation" in plane.kubectl("--as=bob", "get", "agents", fails=True)


def test_replace_and_delete_with_dependents(plane: Plane):
    plane.kubectl("apply", "-f", "-", stdin=model("owner"))
    plane.kubectl("replace", "-f", "-", stdin=model("owner", model="x"))
    uid = plane.kubectl("get", "modelconfig", "owner", "-o", "jsonpath={.metadata.uid}")
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child"}}
    owner = {"apiVersion": "kagent.dev/v1alpha2", "kind": "ModelConfig", "name": "owner", "uid": uid}
    child["metadata"]["ownerReferences"] = [owner | {"blockOwnerDeletion": True}]  # type: ignore[index]
    plane.kubectl("create", "-f", "-", stdin=child)
    plane.kubectl("delete", "modelconfig", "owner", "--cascade=foreground", "--timeout=20s")
    assert "NotFound" in plane.kubectl("get", "configmap", "child", fails=True)


def test_a_namespace_is_waited_for(plane: Plane):
    plane.kubectl("create", "namespace", "going")
    for number in range(5):
        plane.kubectl("-n", "going", "create", "configmap", f"c{number}")
    plane.kubectl("delete", "namespace", "going", "--timeout=20s")
    assert "NotFound" in plane.kubectl("get", "namespace", "going", fails=True)


def test_a_watch_prints_changes(plane: Plane):
    watching = plane.start_kubectl("get", "configmaps", "-w", "-o", "name")
    try:
        time.sleep(1)
        plane.kubectl("create", "configmap", "seen")
        plane.kubectl("delete", "configmap", "seen")
        time.sleep(0.5)
    finally:
        watching.terminate()
    assert watching.communicate(timeout=10)[0].splitlines().count("configmap/seen") == 2


# The process


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path):
    plane = Plane(tmp_path)
    try:
        for number in range(5):
            plane.kubectl("create", "configmap", f"c{number}")
        plane.stop(signal.SIGKILL)
        plane.start()
        found = plane.kubectl("get", "configmaps", "-o", "name").split()
        assert found == [f"configmap/c{number}" for number in range(5)]
    finally:
        plane.stop()


def test_it_ends_when_told_while_somebody_watches(tmp_path: Path):
    plane = Plane(tmp_path)
    watching = plane.start_kubectl("get", "configmaps", "-w")
    try:
        time.sleep(1)
        began = time.monotonic()
        assert plane.stop() == 0
        assert time.monotonic() - began < 8
        assert "Traceback" not in plane.log.read_text()
    finally:
        plane.stop(signal.SIGKILL)
        watching.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            watching.communicate(timeout=10)
