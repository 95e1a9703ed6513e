"""Configuration, from files to a snapshot: the one way in, for `heddle up`, `heddle validate` and every reload.

Files become documents, documents resources (the short form by `expand`), resources a plan, and the plan a snapshot.
Each step
reports all it finds; a snapshot comes out only when nothing is an error. Never raises on bad input.
"""

import gc
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from heddle.controlplane.compile import PriceSource, compile_snapshot
from heddle.controlplane.mcp_json import Around, read_mcp_json
from heddle.controlplane.prices import price_table
from heddle.controlplane.read import Document, find_files, read_file
from heddle.controlplane.secrets import Secrets
from heddle.controlplane.verify import provider_types, verify_notes, verify_plan
from heddle.model.check import check
from heddle.model.config import Config
from heddle.model.expand import expand
from heddle.model.meta import resource_name
from heddle.model.plan import Plan, gather
from heddle.model.prices import PriceTable
from heddle.model.problem import Place, Problem, Report, Source, did_you_mean
from heddle.model.reading import Note, Reading
from heddle.model.resources import KINDS, LATER_GROUPS, AnyResource, Declared
from heddle.model.rules import check_rules, is_served
from heddle.model.rules_access import check_access
from heddle.model.rules_budgets import check_budgets
from heddle.model.rules_caching import check_caching
from heddle.model.rules_guards import check_guards
from heddle.model.rules_mcp import check_mcp
from heddle.model.rules_models import check_models
from heddle.model.snapshot import Snapshot

__all__ = ["Loaded", "Problem", "load"]


class Loaded(msgspec.Struct, frozen=True):
    """What came of loading."""

    snapshot: Snapshot | None
    """None when any problem is an error."""
    problems: tuple[Problem, ...]
    """Everything found, in the order of files and lines."""
    resources: tuple[AnyResource, ...]
    """What was declared, the short form expanded; as far as it could be read."""
    files: tuple[Path, ...] = ()
    """Every file that was read or looked for, to be watched; folders are watched by whoever named them."""
    inactive: tuple[str, ...] = ()
    """What was declared and checked, but does nothing yet."""


class _Load:
    """One load under way."""

    def __init__(self) -> None:
        self.report = Report()
        self.notes: list[Note] = []
        self.declared: list[Declared] = []
        self.inactive: list[str] = []
        self.root = Place(Source(), "")
        """The first document."""
        self._stems: set[str] = set()

    def document(self, document: Document) -> None:
        reading = Reading(self.report, document.source)
        self.root = self.root if self.root.source.file else Place(document.source, "")
        if document.source.camel:
            self._resource(document, reading)
        else:
            self._short(document, reading)
        self.notes += reading.notes

    def _short(self, document: Document, reading: Reading) -> None:
        config = check(document.value, Config, reading)
        if config is None:
            return
        if config.a2a is not None:
            self.inactive.append("a2a")
            self.report.warning(Place(document.source, "a2a"), "is checked, but not active yet")
        self.declared += expand(config, document.source, self._name(document.stem))

    def _name(self, stem: str) -> str:
        """A prefix that no other document of this load has."""
        base = name = resource_name(stem)
        number = 2
        while name in self._stems:
            name = f"{base}-{number}"
            number += 1
        self._stems.add(name)
        return name

    def _resource(self, document: Document, reading: Reading) -> None:
        value, place = document.value, Place(document.source, "")
        version, kind = str(value.get("apiVersion")), str(value.get("kind"))
        struct = KINDS.get((version, kind))
        if struct is not None:
            resource: Any = check(value, struct, reading)
            if resource is not None:
                self.declared.append(Declared(resource, document.source, {}))
        elif version.partition("/")[0] in LATER_GROUPS:
            self.inactive.append(f"{kind} of {version}")
            hint = "with `heddle up -f FOLDER` it is kept there, checked and given conditions"
            self.report.warning(place, f"{kind} of {version} is for the control plane, not for what is served", hint)
        else:
            known = [f"{kind} of {version}" for version, kind in KINDS]
            hint = did_you_mean(f"{kind} of {version}", known) or f"known: {', '.join(known)}"
            self.report.error(place.at("kind"), f"unknown resource {kind} of {version}", hint)


def load(
    paths: list[Path],
    *,
    environ: Mapping[str, str],
    now_s: float | None = None,
    prices: PriceSource = price_table,
    mcp_json: Path | None = None,
) -> Loaded:
    """Load files and folders, together. Never raises on bad input: look at `problems`.

    `environ` is where `${NAME}` is looked up, `now_s` the Unix time that expiry is compared with, `mcp_json` a file of
    tool servers as editors keep them, taken together with the rest.
    """
    # A load makes a million small objects that all live on; the collector would walk them again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _load((paths, mcp_json), environ, time.time() if now_s is None else now_s, prices)
    finally:
        if collecting:
            gc.enable()


def _load(
    paths: tuple[list[Path], Path | None], environ: Mapping[str, str], now_s: float, prices: PriceSource
) -> Loaded:
    under_way = _Load()
    report = under_way.report
    files = find_files(paths[0], report)
    for path in files:
        for document in read_file(path, report):
            under_way.document(document)
    if paths[1] is not None:
        files.append(paths[1])
        imported = read_mcp_json(paths[1], environ, _around(under_way.declared), report)
        if imported is not None:
            under_way.document(imported)
    report.complete = not report.failed
    _check_unique(under_way.declared, report)
    plan = gather(under_way.declared, report)
    plan.root = under_way.root
    named = verify_notes(under_way.notes, report)
    check_rules(plan, provider_types(placed.value.type for placed in plan.providers), report)
    check_models(plan, report)
    check_access(plan, now_s, report)
    check_mcp(plan, report)
    check_guards(plan, report)
    check_caching(plan, report)
    check_budgets(plan, report)
    verify_plan(plan, environ, report)
    snapshot, secret_files = _compiled(plan, environ, report, prices)
    return Loaded(
        snapshot=snapshot,
        problems=_ordered(report.problems, files),
        resources=tuple(one.resource for one in under_way.declared),
        files=tuple(dict.fromkeys([*files, *sorted(named | secret_files)])),
        inactive=(*_unbound(plan), *dict.fromkeys(under_way.inactive)),
    )


def _around(declared: list[Declared]) -> Around:
    """What an import must know of the rest."""
    plan = gather(declared, Report())
    listeners = [one.value for one in plan.listeners]
    return Around(
        frozenset(one.name for one in listeners),
        any(one.protocol == "MCP" for one in listeners),
        frozenset(one.value.name for one in plan.targets),
        frozenset(one.value.name for one in plan.servers),
    )


def _compiled(
    plan: Plan, environ: Mapping[str, str], report: Report, prices: PriceSource
) -> tuple[Snapshot | None, set[Path]]:
    """The snapshot, unless anything was or becomes an error, and the files that secrets were looked for in."""
    secrets = Secrets(environ, plan.secrets)
    # Also of a plan with errors: its secrets may not be there either, and that should be said at once.
    snapshot = compile_snapshot(plan, secrets, report, (lambda *_: PriceTable()) if report.failed else prices)
    return (None if report.failed else snapshot), secrets.files


def _unbound(plan: Plan) -> list[str]:
    return [f"listener {one.name} ({one.protocol})" for one, _ in plan.listeners if not is_served(one)]


def _check_unique(declared: list[Declared], report: Report) -> None:
    """Resources written as such; what expands from the short form is unique by its own names."""
    seen: dict[tuple[str, str, str], Place] = {}
    for one in declared:
        meta, kind = one.resource.metadata, one.resource.kind
        place = one.place("metadata.name") if not one.moved else Place(one.source, next(iter(one.moved.values())))
        first = seen.setdefault((kind, meta.namespace, meta.name), place)
        if first is not place and not one.moved:
            where = f"{first.source.file}:{first.source.line(first.path)}"
            report.error(place, f"there is already a {kind} `{meta.name}`, at {where}")


def _ordered(problems: list[Problem], files: list[Path]) -> tuple[Problem, ...]:
    order = {str(path): index for index, path in enumerate(files)}
    return tuple(sorted(problems, key=lambda one: (order.get(one.file, -1), one.line)))
