"""Guards of the plan, compiled into the snapshot.

Owns checking what only the recognisers know: their names, and whether patterns and phrases are accepted. Recognisers
are imported only when a guard is configured.
"""

import json
from typing import TypeVar

from heddle.controlplane.secrets import SecretError, Secrets
from heddle.model.config_base import many
from heddle.model.config_guards import Guard, GuardWebhook
from heddle.model.formats import duration_s
from heddle.model.plan import Plan
from heddle.model.problem import Place, Report, did_you_mean
from heddle.model.snapshot_guards import SCOPES, Direction, GuardSpec, PatternSpec, WebhookSpec

T = TypeVar("T")
_BOTH: tuple[Direction, ...] = ("request", "response")


def verify_guards(plan: Plan, report: Report) -> None:
    """Report names, patterns, phrases and schemas that are not accepted."""
    for guard, place in plan.guards:
        if many(guard.recognisers):
            _verify_names(guard, place, report)
        if guard.patterns or guard.phrases:
            _verify_patterns(guard, place, report)
        if isinstance(guard.schema, dict):
            _verify_schema(guard.schema, place.at("schema"), report)


def _verify_names(guard: Guard, place: Place, report: Report) -> None:
    from heddle.guards import catalog  # noqa: PLC0415 - many configurations have no guards

    known = catalog.names()
    for index, name in enumerate(many(guard.recognisers)):
        if name not in known:
            here = place.at("recognisers", index) if isinstance(guard.recognisers, tuple) else place.at("recognisers")
            hint = did_you_mean(name, known) or f"families are {', '.join((*catalog.GROUPS, *catalog.FAMILIES))}"
            report.error(here, f"there is no recogniser `{name}`", hint)


def _verify_patterns(guard: Guard, place: Place, report: Report) -> None:
    from heddle.guards.automaton import Automaton  # noqa: PLC0415 - as above
    from heddle.guards.expression import PatternError  # noqa: PLC0415
    from heddle.guards.phrases import phrase  # noqa: PLC0415
    from heddle.guards.recogniser import recogniser  # noqa: PLC0415

    for index, own in enumerate(guard.patterns):
        try:
            Automaton([recogniser(own.name, own.pattern, longest=own.longest)])
        except PatternError as exc:
            report.error(place.at("patterns", index, "pattern"), str(exc))
    for index, text in enumerate(guard.phrases):
        try:
            phrase("phrase", text)
        except PatternError as exc:
            report.error(place.at("phrases", index), str(exc))


def _verify_schema(schema: dict[str, object], place: Place, report: Report) -> None:
    from heddle.guards.schema import SchemaError, check_schema  # noqa: PLC0415 - as above

    try:
        check_schema(schema)
    except SchemaError as exc:
        report.error(place, str(exc))


def compile_guards(plan: Plan, secrets: Secrets, report: Report) -> tuple[GuardSpec, ...]:
    """The guards of a snapshot, in the order they were declared."""
    return tuple(_guard(guard, place, secrets, report) for guard, place in plan.guards)


def _guard(guard: Guard, place: Place, secrets: Secrets, report: Report) -> GuardSpec:
    return GuardSpec(
        name=guard.name,
        match=guard.match.spec(),
        directions=("response",) if guard.schema else _all(guard.direction, _BOTH),
        scopes=_all(guard.scopes, SCOPES),
        recognisers=many(guard.recognisers),
        patterns=tuple(PatternSpec(name=o.name, pattern=o.pattern, longest=o.longest) for o in guard.patterns),
        phrases=guard.phrases,
        action=guard.action,
        webhook=_webhook(guard.webhook, place, secrets, report) if guard.webhook is not None else None,
        schema=json.dumps(guard.schema, sort_keys=True) if isinstance(guard.schema, dict) else guard.schema,
        on_error=guard.on_error,
    )


def _all(given: T | tuple[T, ...], everything: tuple[T, ...]) -> tuple[T, ...]:
    chosen = given if isinstance(given, tuple) else (given,)
    return chosen or everything


def _webhook(webhook: GuardWebhook, place: Place, secrets: Secrets, report: Report) -> WebhookSpec:
    credential = error = ""
    if webhook.api_key:
        try:
            credential = secrets.resolve(webhook.api_key, place.source.folder)
        except SecretError as exc:
            report.warning(place.at("webhook", "api_key"), f"{exc}; the webhook will not be asked")
            error = exc.public
    return WebhookSpec(
        url=webhook.url,
        format=webhook.format,
        credential=credential,
        credential_error=error,
        model=webhook.model,
        timeout_s=duration_s(webhook.timeout),
    )
