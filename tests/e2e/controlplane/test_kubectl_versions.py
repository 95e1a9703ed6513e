"""Each version of kubectl that is here, through what people do with it in a day; `heddle rollback` beside it."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.controlplane.plane import Plane, Whole
from tests.e2e.controlplane.programs import chosen, kubectls

SEEN_S = 15.0


def model(name: str, **spec: Any) -> dict[str, Any]:
    given = {"provider": "OpenAI", "model": "gpt-4o"} | spec
    return {"apiVersion": "kagent.dev/v1alpha2", "kind": "ModelConfig", "metadata": {"name": name}, "spec": given}


class Version:
    """One kubectl on a control plane, in a namespace of its own."""

    def __init__(self, plane: Plane, minor: int) -> None:
        self.plane = plane
        self.program = kubectls()[minor]
        self.space = f"v{minor}"
        self.run("create", "namespace", self.space)

    def run(self, *arguments: str, stdin: Any = None, fails: bool = False, **options: Any) -> str:
        return self.plane.kubectl(*arguments, stdin=stdin, fails=fails, program=self.program, **options)

    def inside(self, *arguments: str, **options: Any) -> str:
        return self.run("-n", self.space, *arguments, **options)

    def apply(self, value: dict[str, Any], *options: str, **more: Any) -> str:
        return self.inside("apply", *options, "-f", "-", stdin=value, **more)


@pytest.fixture(scope="module", params=chosen(), ids=lambda minor: f"1.{minor}")
def kubectl(whole: Whole, request: pytest.FixtureRequest) -> Version:
    return Version(whole, request.param)


def test_kinds_are_listed_and_explained(kubectl: Version):
    assert "modelconfigs" in kubectl.run("api-resources", "--api-group=kagent.dev")
    assert "Name of the model" in kubectl.run("explain", "modelconfigs.spec.model")


def test_apply_again_and_see_the_difference(kubectl: Version):
    assert "created" in kubectl.apply(model("first"))
    assert "unchanged" in kubectl.apply(model("first"))
    shown = kubectl.inside("diff", "-f", "-", stdin=model("first", model="gpt-5"), fails=True)
    assert "+  model: gpt-5" in shown
    assert "configured" in kubectl.apply(model("first", model="gpt-5"))
    assert kubectl.inside("get", "modelconfig", "first", "-o", "jsonpath={.spec.model}") == "gpt-5"


def test_another_s_fields_are_taken_by_force_only(kubectl: Version):
    kubectl.apply(model("shared"), "--server-side", "--field-manager=alice")
    said = kubectl.apply(model("shared", model="gpt-5"), "--server-side", "--field-manager=bob", fails=True)
    assert 'conflict with "alice": .spec.model' in said
    kubectl.apply(model("shared", model="gpt-5"), "--server-side", "--field-manager=bob", "--force-conflicts")


def test_patch_edit_and_ways_to_look(kubectl: Version):
    kubectl.apply(model("seen"))
    kubectl.inside("patch", "modelconfig", "seen", "--type=merge", "-p", '{"spec":{"model":"a"}}')
    kubectl.inside("label", "modelconfig", "seen", "team=x")
    kubectl.inside("edit", "modelconfig", "seen", env={"KUBE_EDITOR": "sed -i 's/model: a$/model: edited/'"})
    assert "edited" in kubectl.inside("get", "modelconfigs", "-l", "team=x")
    assert "edited" in kubectl.inside("get", "mc", "-o", "wide")
    assert "model: edited" in kubectl.inside("get", "mc", "seen", "-o", "yaml")
    assert "edited" in kubectl.inside("describe", "mc", "seen")


def test_core_kinds(kubectl: Version):
    kubectl.inside("create", "configmap", "settings", "--from-literal=k=v")
    kubectl.inside("create", "secret", "generic", "key", "--from-literal=p=hunter2")
    kubectl.inside("patch", "configmap", "settings", "-p", '{"data":{"k":"w"}}')
    assert json.loads(kubectl.inside("get", "cm", "settings", "-o", "json"))["data"] == {"k": "w"}
    assert "hunter2" not in kubectl.inside("describe", "secret", "key")


def test_a_condition_is_waited_for(kubectl: Version):
    backend = {"apiVersion": "heddle.dev/v1alpha1", "kind": "Backend", "metadata": {"name": "vendor"}}
    kubectl.apply({**backend, "spec": {"provider": {"type": "scripted"}}})
    assert "condition met" in kubectl.inside("wait", "--for=condition=Accepted", "backend/vendor", "--timeout=15s")


@contextlib.contextmanager
def watching(kubectl: Version, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = kubectl.plane.start_kubectl("-n", kubectl.space, "get", *arguments, "-w", program=kubectl.program)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_watch_prints_changes(kubectl: Version):
    kubectl.apply(model("watched"))
    with watching(kubectl, "modelconfig", "watched", "-o", "jsonpath={.spec.model}{'\\n'}") as seen:
        assert seen.stdout is not None
        assert seen.stdout.readline() == "gpt-4o\n"
        kubectl.apply(model("watched", model="gpt-5"))
        until = time.monotonic() + SEEN_S
        while seen.stdout.readline() != "gpt-5\n":
            assert time.monotonic() < until


def test_dependents_go_with_their_owner(kubectl: Version):
    kubectl.apply(model("owner"))
    owner = json.loads(kubectl.inside("get", "mc", "owner", "-o", "json"))
    child = model("child")
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": "owner"}
    child["metadata"]["ownerReferences"] = [{**reference, "uid": owner["metadata"]["uid"]}]
    kubectl.apply(child)
    kubectl.inside("delete", "mc", "owner", "--cascade=foreground", "--timeout=20s")
    assert "NotFound" in kubectl.inside("get", "mc", "child", fails=True)


def test_a_change_is_taken_back(kubectl: Version):
    kubectl.apply(model("regretted"))
    kubectl.apply(model("regretted", model="gpt-5"))
    for arguments in (["history", "modelconfig", "regretted"], ["rollback", "modelconfig", "regretted"]):
        command = [sys.executable, "-m", "heddle", *arguments, "-n", kubectl.space]
        command += ["--kubeconfig", str(kubectl.plane.config)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        assert "regretted" in said or "admin" in said
    assert kubectl.inside("get", "mc", "regretted", "-o", "jsonpath={.spec.model}") == "gpt-4o"


def test_everything_goes_with_its_namespace(kubectl: Version):
    kubectl.run("delete", "namespace", kubectl.space, "--timeout=60s")
    assert "NotFound" in kubectl.run("get", "namespace", kubectl.space, fails=True)
