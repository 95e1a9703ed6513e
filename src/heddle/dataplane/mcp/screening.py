"""What of a target's lists is shown: everything that its pins and the checks of its definitions let through.

Owns the meeting of lists and approvals in one worker, and what is written down of it: each definition that is held
back, each that changed, each that a judge saw otherwise than the rules. Decisions that are made elsewhere (another
worker, a person) are noticed within a second. A store that cannot be used admits nothing: lists are then empty, and say
why in the log. What a judge has not answered yet is held back, and shown when it has; only a target's first lists wait
for that.
"""

import asyncio
import importlib
import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from heddle import plugins
from heddle.backends.mcp.catalogue import Catalogue, Offer
from heddle.backends.mcp.contract import Described
from heddle.backends.mcp.shelves import Admit
from heddle.backends.mcp.upstream import Upstream, as_it_is
from heddle.directory.definitions import Definition, Kind, define
from heddle.directory.judging import JUDGED, Judged, Verdict
from heddle.directory.screening import BEING_JUDGED, Screen, Screening, Withheld
from heddle.drivers.approvals import FILE, Approvals, ApprovalsError
from heddle.model.snapshot_mcp import JudgeSpec
from heddle.pipeline.assembly import Tools
from heddle.telemetry import names
from heddle.telemetry.records import AuditRecord
from heddle.wire.errors import ProtocolError

if TYPE_CHECKING:
    from heddle.dataplane.mcp.judging import Heard, Judge

_log = logging.getLogger("heddle.mcp")

LOOK_S = 1.0
FIRST_S = 8.0
"""How long first lists wait for their verdicts at most, and never longer than most of what callers wait for lists."""
RETRY_S = 5.0
KINDS: tuple[Kind, ...] = ("tool", "prompt", "resource", "template")
_LISTS = ("tools", "prompts", "resources")
_UNREADABLE = Withheld("poisoned", "it cannot be written in canonical form")


class Screens:
    """The screening of all targets of a snapshot."""

    def __init__(self, upstreams: Mapping[str, Upstream], tools: Tools, judge: JudgeSpec | None = None) -> None:
        self._upstreams = upstreams
        self._tools = tools
        self._approvals: Approvals = plugins.load("approvals", "sqlite")(tools.state_dir / FILE, tools.clock.now)
        self._definitions: dict[str, list[Definition]] = {}
        self._versions: dict[str, str] = {}
        self._again: dict[str, Admit] = {}
        """Screens anew what was read before."""
        self._news: dict[str, Admit] = {}
        """The same when the judge has answered."""
        self._told: dict[str, set[tuple[str, str, str]]] = {}
        self._judge: Judge | None = None
        if judge is not None:
            # Imported here: without a judge a worker does not pay for it.
            judges = importlib.import_module("heddle.dataplane.mcp.judging").Judges
            self._judge = judges.of(tools).judge(judge, tools)
        self._heard: dict[str, Heard] = {}
        """By target, what hearings left open since it was shown anew."""
        self._retry_s: dict[str, float] = {}
        """Targets of which nothing is shown because the store failed, and when that is tried again."""
        self._former: dict[str, tuple[Admit, object]] = {}
        """Who decided before, for a configuration that comes to nothing."""
        self._generation = self._approvals.generation()
        self._task: asyncio.Task[None] | None = None
        self._looking: set[asyncio.Task[None]] = set()
        tools.closers.append(self.close)

    def watch(self, upstream: Upstream) -> None:
        """Let through of a target's lists what may be shown."""
        screen, name = Screen(self._approvals, upstream.spec.safety), upstream.name
        first_s = min(FIRST_S, 0.6 * (upstream.spec.timeouts.list_s or FIRST_S))

        async def admit(catalogue: Catalogue) -> Catalogue:
            wait_s = 0.0 if name in self._definitions else first_s
            return await self._admit(name, catalogue, screen, wait_s)

        async def again(catalogue: Catalogue) -> Catalogue:
            return await self._admit(name, catalogue, screen, None)

        async def heard(catalogue: Catalogue) -> Catalogue:
            return await self._admit(name, catalogue, screen, None, news=True)

        self._former[name] = upstream.admit, upstream.decider
        upstream.admit, upstream.decider, self._again[name] = admit, self, again
        self._news[name] = heard
        if upstream.was_read:
            # It lasts from the snapshot before: what was let through then is looked at once more.
            task = asyncio.ensure_future(upstream.admit_anew(again))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _admit(
        self, target: str, catalogue: Catalogue, screen: Screen, wait_s: float | None, *, news: bool = False
    ) -> Catalogue:
        """What may be shown; verdicts are waited for `wait_s`, which is None for lists that were read a while ago."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._look())
        others = {name: found for name, found in self._definitions.items() if name != target}
        try:
            # Some milliseconds for each new definition: nobody else waits for that.
            definitions, unreadable = await asyncio.to_thread(_defined, catalogue)
            judged = await self._judged(target, screen, (definitions, others), wait_s or 0.0)
            if judged is not None and news:
                judged = replace(judged, news=True)
            if self._upstreams[target].decider is not self:
                return catalogue  # somebody else decides by now, and what is returned here is forgotten
            screening = await asyncio.to_thread(
                partial(screen.screen, target, definitions, others, fresh=wait_s is not None, judged=judged)
            )
        except ApprovalsError as exc:
            _log.error("tool server %s: nothing of it is shown: %s", target, exc)
            self._retry_s[target] = self._tools.clock.monotonic() + RETRY_S
            return catalogue._replace(offers={}, described=_silent(catalogue))
        self._definitions[target] = definitions
        self._tell(target, screening)
        for key in unreadable:
            screening.withheld[key] = _UNREADABLE
        self._upstreams[target].withheld = {key: one.reason for key, one in screening.withheld.items()}
        withheld = self._tools.metrics.gauge(names.DEFINITIONS_WITHHELD, target=target)
        withheld.set(len(screening.withheld))
        shown = _without(catalogue, screening)
        self._count(target, shown)
        return shown

    async def _judged(
        self, target: str, screen: Screen, offered: tuple[list[Definition], dict[str, list[Definition]]], wait_s: float
    ) -> Judged | None:
        """What the judge says of what is new; None where there is no judge."""
        if self._judge is None or not screen.judges:
            return None
        questions = await asyncio.to_thread(screen.questions, target, *offered)
        heard = await self._judge.hear(target, questions, wait_s)
        answers = heard.judged.answers
        if len(answers) < len(questions) or not all(isinstance(one, Verdict) for one in answers.values()):
            former = self._heard.get(target)
            if former is not None:
                # Of several lists of one target, too: what came since the first is new to whoever heard then.
                heard = replace(former, due_s=min(former.due_s, heard.due_s), judged=heard.judged)
            self._heard[target] = heard
        return heard.judged

    async def _look_again(self) -> None:
        """Show what the judge let pass since it was last asked, and what the store kept from being shown."""
        now_s = self._tools.clock.monotonic()
        due = [target for target, at_s in self._retry_s.items() if now_s >= at_s]
        if self._judge is not None:
            due += [target for target, heard in self._heard.items() if self._judge.is_due(target, heard)]
        for target in dict.fromkeys(due):
            self._retry_s.pop(target, None)
            self._heard.pop(target, None)
            try:
                await self._show_anew(self._upstreams[target], self._news)
            except Exception:
                _log.exception("tool server %s: what may be shown cannot be decided", target)
                self._retry_s[target] = now_s + RETRY_S

    async def _show_anew(self, upstream: Upstream, how: Mapping[str, Admit]) -> None:
        if upstream.decider is not self:
            return
        before = upstream.generation
        await upstream.admit_anew(how.get(upstream.name))
        if upstream.generation != before:
            for what in _LISTS:
                upstream.changed(upstream, what)

    def _count(self, target: str, shown: Catalogue) -> None:
        """How many tools are shown, under the version that is spoken; that of an older version is zero again."""
        version = shown.described.version
        former = self._versions.get(target, version)
        if former != version:
            self._tools.metrics.gauge(names.MCP_TOOLS, target=target, version=former).set(0)
        self._versions[target] = version
        self._tools.metrics.gauge(names.MCP_TOOLS, target=target, version=version).set(len(shown.of("tool")))

    def _tell(self, target: str, screening: Screening) -> None:
        """Write down what is held back, or changed, or suspicious: once for each version."""
        known = self._told.setdefault(target, set())
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for key, findings in screening.findings.items():
            outcome = "warned" if any(one.rule != JUDGED for one in findings) else "judged"
            found[key] = outcome, "; ".join(str(finding) for finding in findings[:3])
        for key, change in screening.changes.items():
            found[key] = "warned", f"{change.severity}: {'; '.join(change.reasons[:3])}"
        for key, withheld in screening.withheld.items():
            if withheld is not BEING_JUDGED:
                found[key] = "withheld", f"{withheld.reason}: {withheld.detail}"
        for (kind, name), (outcome, detail) in found.items():
            if (kind, name, detail) in known:
                continue
            known.add((kind, name, detail))
            self._tools.audit(
                AuditRecord(
                    kind="definition",
                    outcome=outcome,
                    resource=f"{kind}:{name}"[:256],
                    entry=target,
                    policy=target,
                    detail=detail[:1024],
                )
            )
            level = logging.INFO if outcome == "judged" else logging.WARNING
            _log.log(level, "tool server %s: %s %.80r is %s: %.300s", target, kind, name, outcome, detail)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look_at_decisions()
                await self._look_again()
            except ApprovalsError as exc:
                _log.error("decisions about tools cannot be read: %s", exc)
            except Exception:
                _log.exception("decisions about tools cannot be looked at")

    async def _look_at_decisions(self) -> None:
        generation = self._approvals.generation()
        if generation == self._generation:
            return
        # Taken before: whoever decides while this is done is not overlooked.
        self._generation = generation
        for upstream in self._upstreams.values():
            await self._show_anew(upstream, self._again)
            if not upstream.per_caller and await asyncio.to_thread(self._is_behind, upstream.name):
                upstream.invalidate("tools")

    def _is_behind(self, target: str) -> bool:
        """Whether another worker has seen a definition that this one has not: then the lists here are old."""
        seen = {(one.kind, one.name, one.digest) for one in self._definitions.get(target, ())}
        try:
            waiting = [one.proposal for one in self._approvals.pending(target)]
        except ApprovalsError:
            return False
        return any((one.kind, one.name, one.digest) not in seen for one in waiting)

    def inherit(self, target: str, gone: "Screens") -> None:
        """Somebody who decided before is gone for good."""
        former = self.former(target)[1]
        if former is gone:
            self._former[target] = gone.former(target)
        elif isinstance(former, Screens):
            former.inherit(target, gone)

    def former(self, target: str) -> tuple[Admit, object]:
        """Who decided before."""
        return self._former.get(target, (as_it_is, None))

    def close(self) -> None:
        """Notice no more, and let go of the store."""
        if self._task is not None:
            self._task.cancel()
        for task in self._looking:
            task.cancel()
        for name, upstream in self._upstreams.items():
            if upstream.decider is self:
                upstream.admit, upstream.decider = self.former(name)
            elif isinstance(upstream.decider, Screens):
                upstream.decider.inherit(name, self)
        self._former.clear()
        self._approvals.close()


def _defined(catalogue: Catalogue) -> tuple[list[Definition], list[tuple[str, str]]]:
    """The definitions of a catalogue, and the keys of those that are none."""
    definitions: list[Definition] = []
    unreadable: list[tuple[str, str]] = []
    for kind in KINDS:
        for offer in catalogue.of(kind).values():
            try:
                definitions.append(define(kind, offer.raw))
            except ProtocolError:
                unreadable.append((kind, offer.key))
    if catalogue.described.instructions:
        definitions.append(define("instructions", catalogue.described.instructions))
    return definitions, unreadable


def _without(catalogue: Catalogue, screening: Screening) -> Catalogue:
    """What is left of a catalogue."""
    if not screening.withheld:
        return catalogue
    offers: dict[str, dict[str, Offer]] = {
        kind: {key: offer for key, offer in catalogue.of(kind).items() if (kind, key) not in screening.withheld}
        for kind in catalogue.offers
    }
    described = _silent(catalogue) if ("instructions", "") in screening.withheld else catalogue.described
    return catalogue._replace(offers=offers, described=described)


def _silent(catalogue: Catalogue) -> Described:
    return replace(catalogue.described, instructions="")
