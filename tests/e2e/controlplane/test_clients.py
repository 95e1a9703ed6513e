"""Clients of Kubernetes that know nothing of Heddle: the official Python client, lightkube, kopf, Helm."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kubernetes import client, config, dynamic, watch
from lightkube import Client, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap
from tests.e2e.controlplane.plane import Plane

# These clients leave their sockets to the garbage collector, which is their affair.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning", "ignore::DeprecationWarning"
)

AGENT = {
    "apiVersion": "kagent.dev/v1alpha2",
    "kind": "ModelConfig",
    "metadata": {"name": "m"},
    "spec": {"provider": "OpenAI", "model": "gpt-4o"},
}
WHERE = ("kagent.dev", "v1alpha2", "default", "modelconfigs")


def test_the_official_python_client(plane: Plane):
    api = config.new_client_from_config(str(plane.config))
    custom, core = client.CustomObjectsApi(api), client.CoreV1Api(api)
    made = custom.create_namespaced_custom_object(*WHERE, AGENT)
    assert made["metadata"]["generation"] == 1
    custom.patch_namespaced_custom_object(*WHERE, "m", {"spec": {"model": "gpt-5"}})
    core.create_namespaced_config_map("default", {"metadata": {"name": "py"}, "data": {"a": "b"}})
    core.patch_namespaced_config_map("py", "default", {"data": {"c": "d"}})
    assert core.read_namespaced_config_map("py", "default").data == {"a": "b", "c": "d"}
    events = watch.Watch().stream(core.list_namespaced_config_map, "default", timeout_seconds=1)
    assert ("ADDED", "py") in [(event["type"], event["object"].metadata.name) for event in events]
    found = dynamic.DynamicClient(api).resources.get(api_version="kagent.dev/v1alpha2", kind="ModelConfig")
    assert found.get(name="m", namespace="default").spec.model == "gpt-5"
    with pytest.raises(client.ApiException) as refused:
        core.read_namespaced_secret("nobody", "default")
    assert json.loads(refused.value.body)["reason"] == "NotFound"
    custom.delete_namespaced_custom_object(*WHERE, "m")
    core.delete_namespaced_config_map("py", "default")
    api.close()


def test_lightkube(plane: Plane):
    kind = create_namespaced_resource("kagent.dev", "v1alpha2", "ModelConfig", "modelconfigs")
    light = Client(config=KubeConfig.from_file(str(plane.config)), field_manager="lightkube")
    one = kind.from_dict({**AGENT, "metadata": {"name": "light", "namespace": "default"}})
    assert light.apply(one).spec["model"] == "gpt-4o"
    light.create(ConfigMap(metadata=ObjectMeta(name="light", namespace="default"), data={"a": "b"}))
    assert [found.metadata.name for found in light.list(kind, namespace="default")] == ["light"]
    light.delete(kind, "light", namespace="default")
    light.delete(ConfigMap, "light", namespace="default")


CHART = {
    "Chart.yaml": "apiVersion: v2\nname: small\nversion: 1.0.0\n",
    "values.yaml": "model: gpt-4o\n",
    "templates/secret.yaml": (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}-key\nstringData:\n  key: hunter2\n"
    ),
    "templates/model.yaml": (
        "apiVersion: kagent.dev/v1alpha2\nkind: ModelConfig\nmetadata:\n  name: {{ .Release.Name }}\n"
        "spec:\n  provider: OpenAI\n  model: {{ .Values.model }}\n"
    ),
}

HELM = """
import sys
from helm_python import Config
config = Config(kubeconfig_path=sys.argv[1], namespace="default")
chart = sys.argv[2]
config.install(chart, "rel", wait="watcher", timeout=30)
print("installed")
config.upgrade(chart, "rel", {"model": "gpt-5"}, wait="watcher", timeout=30)
print("upgraded")
config.rollback("rel", version=1)
print("rolled back", len(config.history("rel")))
config.uninstall("rel")
print("uninstalled")
"""


def test_helm(plane: Plane, tmp_path: Path):
    for name, text in CHART.items():
        (tmp_path / "small" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "small" / name).write_text(text)
    # In a process of its own: its Go runtime and this one would share signals.
    command = [sys.executable, "-c", HELM, str(plane.config), str(tmp_path / "small")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=90, env=plane.environment(), check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.split("\n")[:4] == ["installed", "upgraded", "rolled back 3", "uninstalled"]
    assert "NotFound" in plane.kubectl("get", "modelconfig", "rel", fails=True)


OPERATOR = """
import kopf

@kopf.on.create("kagent.dev", "v1alpha2", "modelconfigs")
def made(spec, patch, name, **_):
    patch.metadata.annotations["seen-by"] = "kopf-" + name
    return None

@kopf.on.delete("kagent.dev", "v1alpha2", "modelconfigs")
def gone(name, **_):
    print("deleted", name, flush=True)
"""


def test_kopf(plane: Plane, tmp_path: Path):
    (tmp_path / "operator.py").write_text(OPERATOR)
    command = [sys.executable, "-m", "kopf", "run", "-n", "default", "--standalone", str(tmp_path / "operator.py")]
    log = (tmp_path / "log").open("wb")
    operator = subprocess.Popen(command, env=plane.environment(), stdout=log, stderr=log)
    try:
        time.sleep(2)
        plane.kubectl("apply", "-f", "-", stdin={**AGENT, "metadata": {"name": "watched"}})
        path = "jsonpath={.metadata.annotations.seen-by}"
        until = time.monotonic() + 20
        while plane.kubectl("get", "modelconfig", "watched", "-o", path) != "kopf-watched":
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.3)
        # Its finalizer holds the object until the handler ran.
        plane.kubectl("delete", "modelconfig", "watched", "--timeout=20s")
        assert "deleted watched" in (tmp_path / "log").read_text()
    finally:
        operator.terminate()
        operator.wait(20)
        log.close()
