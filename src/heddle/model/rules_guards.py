"""Can guards do what is written? Something to look for, somewhere to look, an action that fits.

Owns the checks of meaning around guards that need no recogniser; names and patterns are checked where those are known.
"""

from heddle.model.config_base import many
from heddle.model.config_guards import Guard
from heddle.model.formats import is_loopback, split_url
from heddle.model.match import about_tools
from heddle.model.plan import Plan
from heddle.model.problem import Place, Report
from heddle.model.rules import unique


def check_guards(plan: Plan, report: Report) -> None:
    """Everything in this module."""
    unique(((guard.name, place) for guard, place in plan.guards), "guard", report)
    for guard, place in plan.guards:
        if guard.match.kubernetes is not None and guard.match.tenant:
            message = "is the same thing as `kubernetes.namespace`; give one of them"
            report.error(place.at("match", "tenant"), message)
        unique(((one.name, place.at("patterns", index)) for index, one in enumerate(guard.patterns)), "pattern", report)
        for field in ("direction", "scopes", "recognisers"):
            given = many(getattr(guard, field))
            if len(set(given)) != len(given):
                report.error(place.at(field), "names the same thing twice")
        _check_subjects(guard, place, report)
        if guard.schema:
            _check_schema(guard, place, report)
        else:
            _check_search(guard, place, report)


def _about_tools(guard: Guard) -> bool:
    return about_tools(guard.match.spec())


def _looks(guard: Guard) -> bool:
    return bool(guard.recognisers or guard.patterns or guard.phrases)


def _check_subjects(guard: Guard, place: Place, report: Report) -> None:
    """A call of a tool has no other texts than these, and states no schema."""
    scopes = many(guard.scopes)
    if not _about_tools(guard):
        return
    if guard.schema == "request":
        report.error(place.at("schema"), "finds nothing: calls of tools state no schema", "write the schema itself")
    if scopes and not {"tool_arguments", "tool_result"} & {*scopes}:
        message = "finds nothing: calls of tools have only `tool_arguments` and `tool_result`"
        report.warning(place.at("scopes"), message, "leave `scopes` out")


def _check_search(guard: Guard, place: Place, report: Report) -> None:
    if (guard.action == "webhook") != (guard.webhook is not None):
        report.error(place, "`action: webhook` and `webhook` go together")
    elif not _looks(guard) and guard.webhook is None:
        hint = "give `recognisers`, `patterns` or `phrases`, e.g. recognisers: [card]"
        report.missing(place, "has nothing to look for", hint)
    if guard.action == "mask_reversible" and many(guard.direction) == ("response",):
        message = "is for requests: what an answer says is masked for good"
        report.warning(place.at("action"), message, "write `mask`, or add `request` to `direction`")
    if guard.webhook is None:
        return
    url = split_url(guard.webhook.url)
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        report.warning(place.at("webhook", "url"), "texts of callers cross the network without TLS", "use https")
    if guard.webhook.model and guard.webhook.format != "openai_moderation":
        report.error(place.at("webhook", "model"), "is for `format: openai_moderation`")
    only_requests = many(guard.direction) == ("request",)
    if not (only_requests or _about_tools(guard)):
        report.warning(place.at("webhook"), "holds streamed answers back until they are complete")


def _check_schema(guard: Guard, place: Place, report: Report) -> None:
    if _looks(guard) or guard.webhook is not None:
        message = "a guard with a schema looks for nothing else"
        report.error(place.at("schema"), message, "make two guards of it")
    if guard.action not in ("refuse", "log"):
        report.error(place.at("action"), "a schema can only refuse or log")
    if "request" in many(guard.direction):
        report.error(place.at("direction"), "a schema is for answers", "write `direction: response`")
    if not _about_tools(guard):
        report.warning(place.at("schema"), "holds streamed answers back until they are complete")
