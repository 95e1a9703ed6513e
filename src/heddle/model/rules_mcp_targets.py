"""Can every tool server be reached as it is written? One way to reach it, headers, variables, credentials.

Owns the checks of `mcp.targets` that need nothing but the configuration itself. Private addresses are fine: the
operator wrote them.
*Source:* RFC 9110 sections 5.1 and 7.6.1 for fields that are not a configuration's to set.
"""

import re

from heddle.model.config_mcp_judge import Judge
from heddle.model.config_mcp_targets import KINDS, McpTarget, OpenApi, Stdio, kind_of, upstream_of
from heddle.model.formats import duration_s, is_loopback, split_url
from heddle.model.kagent import written
from heddle.model.plan import Placed, Plan
from heddle.model.problem import Place, Report, child
from heddle.model.rules import unique
from heddle.model.rules_mcp_auth import check_credentials, check_target_auth

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}\Z")
_OURS = frozenset(
    {
        "accept", "connection", "content-length", "content-type", "expect", "host", "keep-alive", "last-event-id",
        "mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id", "te", "trailer", "transfer-encoding",
        "upgrade",
    }
)  # fmt: skip
"""Fields that say what the gateway does itself."""
_SECRET_NAME = re.compile(r"key|token|secret|passw|credential|authorization|cookie|private", re.IGNORECASE)
_REFERENCES = ("file:", "secret:", "configmap:")


def check_targets(plan: Plan, report: Report) -> None:
    """Everything in this module."""
    unique(((one.value.name, one.place) for one in plan.targets), "target", report)
    credentials = plan.credentials[0].value if plan.credentials else None
    for placed in plan.targets:
        _check_kind(placed, report)
        if placed.value.stdio is None:
            check_target_auth(placed.value.auth, placed.place.at("auth"), credentials, report)
    for said, place in plan.credentials:
        check_credentials(said, place, report)
    for judge, place in plan.judges:
        _check_judge(judge, place, report)


def _check_judge(judge: Judge, place: Place, report: Report) -> None:
    url = split_url(judge.url)
    if not judge.url.isascii():
        report.error(place.at("url"), "holds characters that are not ASCII", "write them as %XX, a host as xn--")
    elif url.scheme == "http" and not is_loopback(url.hostname or ""):
        what = "the judge's credential crosses" if judge.api_key else "verdicts cross"
        report.warning(place.at("url"), f"{what} the network without TLS", "use https")
    for name in ("model", "messages", "stream"):
        if name in judge.parameters:
            report.error(place.at("parameters", name), "is what the question itself says", "leave it out")


def _check_kind(placed: Placed[McpTarget], report: Report) -> None:
    target, place = placed
    given = [kind for kind in KINDS if getattr(target, kind) is not None or report.is_broken(place.at(kind))]
    if len(given) != 1:
        message = f"give exactly one of {', '.join(f'`{kind}`' for kind in KINDS)}; found {', '.join(given) or 'none'}"
        report.error(place, message)
        return
    here = place.at(kind_of(target))
    if target.stdio is not None:
        _check_stdio(target.stdio, here, report)
        if target.auth is not None:
            message = "is for targets that are reached over HTTP"
            report.error(place.at("auth"), message, "give the program its credential in `stdio.env`")
    else:
        _check_upstream(target, here, report)
    if target.openapi is not None:
        _check_document(target.openapi, here.at("schema"), report)


def _check_stdio(stdio: Stdio, place: Place, report: Report) -> None:
    command = written(place.at("command"))
    if isinstance(stdio.command, str) and " " in stdio.command and not stdio.command.startswith(("/", ".")):
        words = ", ".join(stdio.command.split())
        report.error(command, "a text is the program alone", f"write the list [{words}]")
    elif not (stdio.command if isinstance(stdio.command, str) else any(stdio.command[:1])):
        report.error(command, "names no program", "e.g. command: [uvx, mcp-server-time]")
    if any("\0" in word for word in (stdio.command, *stdio.args, stdio.cwd)):
        report.error(command, "contains a NUL character")
    if duration_s(stdio.cpu) % 1:
        report.error(place.at("cpu"), "must be whole seconds")
    for name in stdio.env:
        if not _VARIABLE.match(name):
            report.error(_named(place.at("env"), name), "is no name of a variable")
    _check_literals(stdio.env, place.at("env"), report)


def _check_upstream(target: McpTarget, place: Place, report: Report) -> None:
    upstream = upstream_of(target)
    if upstream is None:
        return
    headers = place.at("headers")
    seen: dict[str, str] = {}
    for name in upstream.headers:
        first = seen.setdefault(name.lower(), name)
        if not _TOKEN.match(name):
            report.error(_named(headers, name), "is no name of a header field")
        elif name.lower() in _OURS:
            report.error(_named(headers, name), "is set by the gateway itself", "remove the line")
        elif first != name:
            report.error(_named(headers, name), f"is the same field as `{first}`")
    if "authorization" in seen and target.auth is not None:
        report.error(_named(headers, seen["authorization"]), "is set by `auth` too", "give one of them")
    _check_literals(upstream.headers, headers, report)
    field = "base_url" if target.openapi is not None else "url"
    url = split_url(getattr(upstream, field))
    secret = target.auth is not None or any(_SECRET_NAME.search(name) for name in upstream.headers)
    if secret and url.scheme == "http" and not is_loopback(url.hostname or ""):
        report.warning(written(place.at(field)), "the target's credential crosses the network without TLS", "use https")


def _check_literals(values: dict[str, str], place: Place, report: Report) -> None:
    for name, text in values.items():
        if text and _SECRET_NAME.search(name) and "${" not in text and not text.startswith(_REFERENCES):
            hint = "write `${VARIABLE}` or `file:path` instead"
            report.warning(_named(place, name), "holds a secret that everybody who reads this file can read", hint)


def _check_document(api: OpenApi, place: Place, report: Report) -> None:
    source = api.schema
    given = [name for name in ("file", "url", "inline") if getattr(source, name)]
    broken = any(report.is_broken(place.at(name)) for name in ("file", "url", "inline"))
    if len(given) != 1 and not broken:
        report.error(place, f"give exactly one of `file`, `url` and `inline`; found {', '.join(given) or 'none'}")
        report.mark_broken(place)
    url = split_url(source.url)
    if source.url and url.scheme != "https" and not is_loopback(url.hostname or ""):
        report.error(place.at("url"), "must be https: whoever changes the document on the way chooses the tools")
        report.mark_broken(place.at("url"))


def _named(place: Place, name: str) -> Place:
    """The place of a name of the operator's own, which keeps its spelling in either form of configuration."""
    return Place(place.source, child(written(place).path, name))
