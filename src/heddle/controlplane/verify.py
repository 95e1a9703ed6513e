"""Checks that ask something outside of the configuration: the disk, the environment, expression and provider
implementations.

What they need is imported only when a configuration uses it, so that a small one loads fast.
"""

import importlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from heddle import plugins
from heddle.controlplane.compile_authn import inline_text
from heddle.controlplane.compile_guards import verify_guards
from heddle.controlplane.secrets import is_literal
from heddle.controlplane.verify_rules import verify_kinds
from heddle.model.check import check
from heddle.model.config_llm import Provider
from heddle.model.config_security import Jwks, Jwt, Kubernetes
from heddle.model.plan import Placed, Plan
from heddle.model.plan_mcp import scoped_rules
from heddle.model.problem import Place, Report, Source
from heddle.model.reading import Note, Reading
from heddle.model.rules import base_url
from heddle.model.snapshot import ProviderSpec


def provider_types(used: Iterable[str]) -> tuple[str, ...]:
    """Types of providers that can be named. Installed ones are looked for only when one of them may be used."""
    if set(used) <= plugins.PROVIDERS.keys():
        return tuple(sorted(plugins.PROVIDERS))
    return tuple(plugins.names("providers"))


def verify_notes(notes: Iterable[Note], report: Report) -> set[Path]:
    """Warn of literal secrets, refuse files that are not there. The files, to be watched."""
    files: set[Path] = set()
    for mark, place, text in notes:
        if mark == "file":
            files.add(_verify_file(place, text, report))
        elif is_literal(text) and not _in_secret_resource(place):
            hint = "write `${VARIABLE}` or `file:path` instead"
            report.warning(place, "holds a secret that everybody who reads this file can read", hint)
    return files


def verify_plan(plan: Plan, environ: Mapping[str, str], report: Report) -> None:
    """Everything else in this module, and guards."""
    verify_guards(plan, report)
    kinds = {name: _provider_class(name) for name in {placed.value.type for placed in plan.providers}}
    for placed in plan.providers:
        _verify_options(placed, kinds[placed.value.type], report)
    rules = [(placed.value.when, placed.place) for placed in plan.authorization]
    targets = [
        (target.when, placed.place.at("targets", index))
        for placed in plan.models
        for index, target in enumerate(placed.value.targets)
    ]
    scoped = [(one.rule.when, one.place) for one in scoped_rules(plan)]
    _verify_expressions([*rules, *targets, *scoped], report)
    verify_kinds(plan, report)
    for entry, place in plan.authentication:
        if isinstance(entry, Jwt):
            for index, issuer in enumerate(entry.issuers):
                _verify_jwks(issuer.jwks, place.at("issuers", index, "jwks"), report)
        elif isinstance(entry, Kubernetes):
            _verify_kubernetes(entry, place, environ, report)


def _verify_file(place: Place, text: str, report: Report) -> Path:
    path = Path(place.source.folder, text)
    if not path.is_file():
        report.error(place, f"there is no file {path}")
    elif not os.access(path, os.R_OK):
        report.error(place, f"file {path} cannot be read by this user")
    return path


def _in_secret_resource(place: Place) -> bool:
    """Secret resources exist to hold literals."""
    return place.source.camel and place.path.startswith(("data", "stringData"))


def _provider_class(name: str) -> Any:
    """The implementation of a type; None for an unknown one, which `rules` reports, and one that cannot be imported."""
    try:
        return plugins.load("providers", name)
    except (KeyError, ImportError, AttributeError):
        return None


def _verify_options(placed: Placed[Provider], kind: Any, report: Report) -> None:
    """The options of a provider, by the struct and then by the constructor of its type."""
    provider, place = placed
    if kind is None:
        return
    here = place.at("options")
    shape = options_of(kind)
    if shape is not None:
        # Options are spelled as their type spells them, in resources too.
        plain = Source(place.source.file, place.source.lines, folder=place.source.folder)
        known = len(report.problems)
        check(provider.options, shape, Reading(report, plain), here.path)
        if len(report.problems) > known:
            return
    try:
        kind(
            ProviderSpec(name=provider.name, type=provider.type, base_url=base_url(provider), options=provider.options)
        )
    except ValueError as exc:
        report.error(here, str(exc))


def options_of(kind: Any) -> type[msgspec.Struct] | None:
    """The struct of a provider's options: `Options` beside its class; None when it declares none."""
    shape = getattr(importlib.import_module(kind.__module__), "Options", None)
    return shape if isinstance(shape, type) and issubclass(shape, msgspec.Struct) else None


def _verify_expressions(expressions: list[tuple[str, Place]], report: Report) -> None:
    """Each with the place whose field `when` it is."""
    found: dict[str, tuple[str, str]] = {}
    for text, place in expressions:
        if text:
            if text not in found:
                found[text] = _expression_fault(text)
            message, hint = found[text]
            if message:
                report.error(place.at("when"), message, hint)


def _expression_fault(text: str) -> tuple[str, str]:
    """What is wrong with an expression, and its line with the place marked."""
    # Imported here: the evaluator takes some 10 MB, and most configurations have no expressions.
    cel = importlib.import_module("heddle.identity.cel")
    try:
        cel.compile_expression(text)
    except cel.ExpressionError as exc:
        lines = text.splitlines() or [""]
        line = lines[min(exc.line, len(lines)) - 1]
        start = max(exc.column - 21, 0)
        excerpt = f"{line[start : exc.column - 1]} >>> {line[exc.column - 1 : exc.column + 20]}"
        return f"line {exc.line}, column {exc.column} of the expression: {exc.detail}", f"at `{excerpt.strip()}`"
    return "", ""


def _verify_jwks(jwks: Jwks, place: Place, report: Report) -> None:
    """Key sets that are at hand must be usable now; at a URL they are fetched by the gateways."""
    if jwks.inline:
        _verify_key_set(inline_text(jwks).encode(), place.at("inline"), report)
    elif jwks.file and not report.is_broken(place.at("file")):
        try:
            content = Path(place.source.folder, jwks.file).read_bytes()
        except OSError:
            return  # reported with the other files
        _verify_key_set(content, place.at("file"), report)


def _verify_key_set(content: bytes, place: Place, report: Report) -> None:
    keys = importlib.import_module("heddle.identity.jwks")
    try:
        keys.decode_jwks(content)
    except keys.JwksError as exc:
        report.error(place, f"expected a JWK set with public keys: {exc}")


def _verify_kubernetes(entry: Kubernetes, place: Place, environ: Mapping[str, str], report: Report) -> None:
    if entry.jwks is not None:
        _verify_jwks(entry.jwks, place.at("jwks"), report)
    elif not entry.api_server and not environ.get("KUBERNETES_SERVICE_HOST"):
        message = "tokens are reviewed by the API server, and this is not inside of a cluster"
        report.warning(place, message, "set `issuer` and `jwks` to verify them here, or `api_server`")
