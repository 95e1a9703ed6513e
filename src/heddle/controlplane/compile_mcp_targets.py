"""Tool servers of the plan, compiled: how each is reached, with its secrets resolved and its documents read.

A target whose header or variable cannot be had is no error: calls to it are refused, and say so, while all others are
served. OpenAPI documents are read and checked here.
"""

import msgspec

from heddle.controlplane.api_documents import DocumentError, api_facts, read_api_document
from heddle.controlplane.compile_mcp_auth import compile_target_auth
from heddle.controlplane.paths import absolute, said_at
from heddle.controlplane.secrets import SecretError, Secrets, checked
from heddle.model.config_base import many
from heddle.model.config_mcp_targets import Http, McpTarget, OpenApi, Safety, Sse, Stdio, kind_of
from heddle.model.formats import duration_s, size_bytes
from heddle.model.kagent import written
from heddle.model.plan import Placed, Plan
from heddle.model.problem import Place, Report, child
from heddle.model.snapshot_mcp import (
    HttpSpec,
    McpHealthSpec,
    McpTargetSpec,
    McpTimeoutSpec,
    OpenApiSpec,
    SafetySpec,
    SseSpec,
    StdioSpec,
)
from heddle.model.snapshot_mcp_auth import TargetAuthSpec

Connect = StdioSpec | HttpSpec | SseSpec | OpenApiSpec


class Values:
    """Headers and variables of one target, as far as they can be had."""

    def __init__(self, plan: Plan, secrets: Secrets, report: Report) -> None:
        self._plan = plan
        self._secrets = secrets
        self._report = report
        self.error = ""
        """Why the first that could not be had could not, in words for callers."""

    def resolve(self, values: dict[str, str], place: Place, target: str) -> dict[str, str]:
        """The values; of those that cannot be had it is said."""
        made: dict[str, str] = {}
        for name, text in values.items():
            try:
                made[name] = self._one(text, place.source.folder)
            except SecretError as exc:
                # Names are the operator's own and keep their spelling in either form of configuration.
                here = Place(place.source, child(written(place).path, name))
                self._report.warning(here, f"{exc}; calls to `{target}` will be refused")
                self.error = self.error or exc.public
        return made

    def auth(self, target: McpTarget, place: Place) -> TargetAuthSpec:
        """The target's credential."""
        return compile_target_auth(target.auth, place.at("auth"), target.name, self._secrets, self._report)

    def _one(self, text: str, folder: str) -> str:
        kind, colon, rest = text.partition(":")
        name, slash, key = rest.partition("/")
        if colon and slash and kind == "secret":
            return self._secrets.named(name, folder, key)
        if colon and slash and kind == "configmap":
            found = self._plan.config_maps.get(name)
            if found is None or key not in found.data:
                message = (
                    f"ConfigMap `{name}` has no `{key}`" if found is not None else f"there is no ConfigMap `{name}`"
                )
                raise SecretError(message, message)
            return checked(found.data[key], f"`{key}` of ConfigMap `{name}`")
        if kind == "text":
            return checked(rest, "the text")
        return self._secrets.resolve(text, folder) if text else ""


def compile_target(placed: Placed[McpTarget], values: Values, report: Report) -> McpTargetSpec:
    """A target as gateways are told it. Of one that says not how it is reached, which is an error, nothing is right."""
    target, place = placed
    timeouts, health = target.timeouts, target.health
    connect = _connect(target, place, values, report)
    return McpTargetSpec(
        name=target.name,
        connect=connect,
        auth=values.auth(target, place),
        version=target.version or "",
        timeouts=McpTimeoutSpec(
            connect_s=duration_s(timeouts.connect),
            call_s=duration_s(timeouts.call),
            total_s=duration_s(timeouts.total),
            list_s=duration_s(timeouts.list),
        ),
        health=McpHealthSpec(
            interval_s=duration_s(health.interval),
            timeout_s=duration_s(health.timeout),
            unhealthy_after=health.unhealthy_after,
            healthy_after=health.healthy_after,
        ),
        safety=_safety(target.safety),
        max_concurrent=target.max_concurrent,
        refresh_s=duration_s(target.refresh),
        per_caller=target.per_caller,
        credential_error=values.error,
        source=said_at(place),
    )


def _safety(safety: Safety) -> SafetySpec:
    return SafetySpec(
        pin=safety.pin,
        poisoning=safety.poisoning,
        on_change=msgspec.structs.asdict(safety.on_change),  # type: ignore[arg-type] # its fields are the severities
        ignore=safety.ignore,
    )


def _connect(target: McpTarget, place: Place, values: Values, report: Report) -> Connect:
    here = place.at(kind_of(target))
    if target.stdio is not None:
        return _stdio(target.stdio, here, values.resolve(target.stdio.env, here.at("env"), target.name))
    reached: Http | Sse | OpenApi | None = target.http or target.sse or target.openapi
    if reached is None:
        return HttpSpec(url="")
    headers = values.resolve(reached.headers, here.at("headers"), target.name)
    ca_file = absolute(here.source.folder, reached.ca_file)
    if isinstance(reached, OpenApi):
        return _openapi(reached, here, (headers, ca_file), report)
    kind = HttpSpec if isinstance(reached, Http) else SseSpec
    return kind(
        url=reached.url,
        headers=headers,
        ca_file=ca_file,
        proxy=reached.proxy,
        max_connections=reached.max_connections,
    )


def _stdio(stdio: Stdio, place: Place, env: dict[str, str]) -> StdioSpec:
    return StdioSpec(
        command=(*many(stdio.command), *stdio.args),
        env=env,
        pass_env=stdio.pass_env,
        cwd=absolute(place.source.folder, stdio.cwd),
        isolation=stdio.isolation,
        max_children=stdio.max_children,
        idle_s=duration_s(stdio.idle),
        start_timeout_s=duration_s(stdio.start_timeout),
        stop_grace_s=duration_s(stdio.stop_grace),
        memory_bytes=size_bytes(stdio.memory),
        cpu_s=int(duration_s(stdio.cpu)),
        open_files=stdio.open_files,
    )


def _openapi(api: OpenApi, place: Place, reach: tuple[dict[str, str], str], report: Report) -> OpenApiSpec:
    headers, ca_file = reach
    document: dict[str, object] = {}
    base_url = api.base_url
    where = place.at("schema", next((name for name in ("file", "url", "inline") if getattr(api.schema, name)), "file"))
    if not report.is_broken(where):
        try:
            document = read_api_document(api.schema, place.source.folder, ca_file)
            operations, base_url = api_facts(document, api)
            if not operations:
                report.warning(place, "none of the document's operations is offered")
        except DocumentError as exc:
            report.error(where, str(exc))
    return OpenApiSpec(
        document=msgspec.json.encode(document).decode(),
        base_url=base_url.rstrip("/"),
        headers=headers,
        ca_file=ca_file,
        proxy=api.proxy,
        max_connections=api.max_connections,
        operations=api.operations,
        exclude=api.exclude,
        deprecated=api.deprecated,
    )
