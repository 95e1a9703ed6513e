"""Kubeconfig files mean what kubectl takes them to mean, or are refused by the place that does not."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from heddle.controlplane.sources.kubeconfig import KubeconfigError, find_kubeconfig, in_cluster, read_kubeconfig

SECRET = "hunter2"


def config(user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a",
        "clusters": [{"name": "c", "cluster": {"server": "https://h:6443/k8s/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [
            {"name": "a", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
            {"name": "b", "context": {"cluster": "c"}},
        ],
        **more,
    }


def written(folder: Path, value: Any, name: str = "config") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else yaml.safe_dump(value))
    return path


def test_a_context(tmp_path: Path):
    (tmp_path / "ca.crt").write_text("CA")
    data = base64.b64encode(b"PEM").decode()
    user = {"client-certificate-data": data, "client-key-data": data}
    path = written(tmp_path, config(user, {"certificate-authority": "ca.crt"}))
    reach = read_kubeconfig([path])
    assert (reach.server, reach.ca, reach.certificate, reach.key) == ("https://h:6443/k8s", "CA", "PEM", "PEM")
    assert reach.namespace == "shop"
    assert read_kubeconfig([path], "b").namespace == "default"
    assert read_kubeconfig([path], "b").certificate == ""


def test_tokens_and_programs(tmp_path: Path):
    reach = read_kubeconfig([written(tmp_path, config({"token": "t", "tokenFile": "token"}))])
    assert (reach.token, reach.token_file) == ("", str(tmp_path / "token"))
    section = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./login",
        "args": ["get"],
        "env": [{"name": "A", "value": "b"}],
    }
    program = read_kubeconfig([written(tmp_path, config({"exec": section}))]).program
    assert program is not None
    assert (program.command, program.environment, program.folder) == (("./login", "get"), (("A", "b"),), str(tmp_path))


def test_several_files_the_first_that_names_it_wins(tmp_path: Path):
    first = written(tmp_path, {"current-context": "b", "kind": "Config"}, "first")
    second = written(tmp_path, config(), "second")
    assert read_kubeconfig([first, tmp_path / "missing", second]).namespace == "default"
    assert find_kubeconfig({"KUBECONFIG": f"{first}:{second}:"}) == [first, second]
    assert find_kubeconfig({"HOME": "/home/ada"}) == [Path("/home/ada/.kube/config")]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "is not a kubeconfig"),
        ("a: [", "not YAML"),
        ("- 1", "is not a kubeconfig"),
        ("a: &x 1\nb: *x\n", "anchors"),
        (config(**{"current-context": ""}), "there is no current-context"),
        (config(**{"current-context": "aa"}), "did you mean `a`?"),
        (config(clusters=5), "there is no cluster `c`"),
        (config(clusters=[{"name": "c", "cluster": 5}]), "`server` must be a URL"),
        (config(cluster={"server": "h:6443"}), "`server` must be a URL"),
        (config(cluster={"server": 5}), "`server` must be text"),
        (config(cluster={"insecure-skip-tls-verify": True}), "`insecure-skip-tls-verify` is not supported"),
        (config(cluster={"proxy-url": "http://p"}), "`proxy-url` is not supported"),
        (config(cluster={"certificate-authority": "nowhere"}), "cannot be read"),
        (config({"client-key-data": "%%%"}), "is not PEM"),
        (config({"username": "a", "password": SECRET}), "`username` is not supported"),
        (config({"as": "root"}), "`as` is not supported"),
        (config({"auth-provider": {"name": "gcp"}}), "`auth-provider` is not supported"),
        (config({"exec": {"command": "x", "apiVersion": "v0"}}), "`apiVersion` must be one of"),
        (config({"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}), "expected `command`"),
        (config({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "x", "env": [5]}}), "`env`"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, value: Any, says: str):
    path = written(tmp_path, value)
    with pytest.raises(KubeconfigError) as refused:
        read_kubeconfig([path])
    assert says in str(refused.value)
    assert str(path) in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(KubeconfigError, match="nowhere"):
        read_kubeconfig([tmp_path / "nowhere"])


def test_in_a_cluster(tmp_path: Path):
    (tmp_path / "ca.crt").write_text("CA")
    (tmp_path / "namespace").write_text("mesh\n")
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    reach = in_cluster(environ, tmp_path)
    assert (reach.server, reach.namespace, reach.token_file) == ("https://[fd00::1]:6443", "mesh", f"{tmp_path}/token")
    with pytest.raises(KubeconfigError, match="this is no pod"):
        in_cluster({}, tmp_path)
    with pytest.raises(KubeconfigError, match="cannot be read"):
        in_cluster(environ, tmp_path / "nowhere")
