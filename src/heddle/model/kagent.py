"""kagent's tool servers, as targets of this mesh.

Owns what each field becomes, and saying which do nothing outside of a cluster. What can only run in a pod is refused.
"""

from heddle.model.config_mcp_targets import Http, McpTarget, McpTimeouts, Sse, Stdio
from heddle.model.problem import Place, Report
from heddle.model.resources_core import ConfigMap, SecretResource
from heddle.model.resources_mcp import Deployment, HeaderSource, MCPServer, RemoteMCPServer, RemoteTls

Named = dict[str, SecretResource] | dict[str, ConfigMap]
_PODS_ONLY = (
    "replicas", "volumes", "volume_mounts", "init_container", "service_account", "sidecars", "resources",
    "image_pull_policy", "image_pull_secrets", "labels", "annotations", "node_selector", "tolerations", "affinity",
    "security_context", "pod_security_context",
)  # fmt: skip


_WRITTEN = {
    "spec.http.url": "spec.url",
    "spec.sse.url": "spec.url",
    "spec.http.headers": "spec.headersFrom",
    "spec.sse.headers": "spec.headersFrom",
    "spec.stdio.command": "spec.deployment.cmd",
    "spec.stdio.env": "spec.deployment.env",
}


def written(place: Place) -> Place:
    """Where a kind of kagent says what a target would say at `place`; other places stay as they are."""
    return Place(place.source, _WRITTEN.get(place.path, place.path))


def remote_target(resource: RemoteMCPServer, place: Place, report: Report) -> McpTarget:
    """The target of a server that runs somewhere. `place` is that of its spec."""
    spec = resource.spec
    if spec.tls is not None:
        _check_tls(spec.tls, place.at("tls"), report)
    if spec.allowed_namespaces is not None:
        report.warning(place.at("allowed_namespaces"), "is not used", "say in policies who may call")
    if not spec.terminate_on_close:
        report.warning(place.at("terminate_on_close"), "is not used: sessions are ended when they are over")
    headers = {
        header.name: _value(header, place.at("headers_from", index), report)
        for index, header in enumerate(spec.headers_from)
    }
    timeouts = McpTimeouts(call=spec.sse_read_timeout or spec.timeout, list=spec.timeout)
    name = resource.metadata.name
    if spec.protocol == "SSE":
        return McpTarget(name=name, sse=Sse(url=spec.url, headers=headers), timeouts=timeouts)
    return McpTarget(name=name, http=Http(url=spec.url, headers=headers), timeouts=timeouts)


def _check_tls(tls: RemoteTls, place: Place, report: Report) -> None:
    if tls.disable_verify:
        report.error(place.at("disable_verify"), "certificates are always verified", "remove the line")
    for field in ("ca_cert_secret_ref", "ca_cert_secret_key", "disable_system_cas"):
        if getattr(tls, field):
            hint = "declare a Backend with `mcp.http.caFile`"
            # Kubernetes spells it so, which no rule would make of our name.
            spelled = "disableSystemCAs" if field.endswith("cas") else field
            report.warning(place.at(spelled), "is not used here", hint)


def _value(header: HeaderSource, place: Place, report: Report) -> str:
    if bool(header.value) == (header.value_from is not None):
        report.error(place, "give `value` or `valueFrom`, exactly one")
    if header.value_from is None:
        return header.value
    source = header.value_from
    return f"{source.type.lower()}:{source.name}/{source.key}"


def started_target(
    resource: MCPServer, place: Place, named: tuple[dict[str, SecretResource], dict[str, ConfigMap]], report: Report
) -> McpTarget | None:
    """The target of a server that is started; None, after reporting why, when it can only run in a pod. `named` are
    the Secrets and ConfigMaps there are."""
    spec = resource.spec
    deployment, here = spec.deployment, place.at("deployment")
    if spec.transport_type == "http":
        hint = "start it yourself, and declare a RemoteMCPServer with its URL"
        report.error(place.at("transport_type"), "a server that listens by itself can only run in a pod", hint)
        return None
    if not deployment.cmd:
        message = "can only run in a pod: there is no `cmd`" if deployment.image else "is required: the program to run"
        field = "image" if deployment.image else "cmd"
        report.error(here.at(field), message, "give `cmd` and `args`, or run it and declare a RemoteMCPServer")
        return None
    if deployment.image:
        report.warning(here.at("image"), f"is not used: `{deployment.cmd}` is run on this machine")
    for field in _PODS_ONLY:
        if getattr(deployment, field) is not None:
            report.warning(here.at(field), "is not used: the server is a program on this machine, not a pod")
    return McpTarget(
        name=resource.metadata.name,
        stdio=Stdio(command=deployment.cmd, args=deployment.args, env=_environment(deployment, here, named, report)),
        timeouts=McpTimeouts(call=spec.timeout),
    )


def _environment(
    deployment: Deployment,
    place: Place,
    named: tuple[dict[str, SecretResource], dict[str, ConfigMap]],
    report: Report,
) -> dict[str, str]:
    """Its variables; its own win over those of Secrets and ConfigMaps."""
    secrets, maps = named
    env: dict[str, str] = {}
    for index, one in enumerate(deployment.config_map_refs):
        found = maps.get(one.name)
        if found is None:
            report.error(place.at("config_map_refs", index, "name"), f"there is no ConfigMap `{one.name}`")
        else:
            env |= {key: f"configmap:{one.name}/{key}" for key in found.data}
    for index, one in enumerate(deployment.secret_refs):
        secret = secrets.get(one.name)
        if secret is None:
            report.error(place.at("secret_refs", index, "name"), f"there is no Secret `{one.name}`")
        else:
            env |= {key: f"secret:{one.name}/{key}" for key in (*secret.data, *secret.string_data)}
    return env | deployment.env
