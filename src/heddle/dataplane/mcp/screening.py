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
from heddle.backends.mcp.upstream import Admit, Upstream
from heddle.directory.definitions import Definition, Kind, define
from heddle.directory.judging import JUDGED, Judged
from heddle.directory.screening import Screen, Screening, Withheld
from heddle.drivers.approvals import Approvals, ApprovalsError
from heddle.model.snapshot_mcp import JudgeSpec
from heddle.pipeline.assembly import Tools
from heddle.telemetry import names
from heddle.telemetry.records import AuditRecord
from heddle.wire.errors import ProtocolError

if TYPE_CHECKING:
    from heddle.dataplane.mcp.hearing import Hearings

_log = logging.getLogger("heddle.mcp")

FILE = "approvals.db"
"""Name of the store in the state directory."""
LOOK_S = 1.0
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
        self._told: dict[str, set[tuple[str, str, str]]] = {}
        self._hearings: Hearings | None = None
        if judge is not None:
            # Imported here: without a judge a worker does not pay for it.
            self._hearings = importlib.import_module("heddle.dataplane.mcp.hearing").Hearings(
                judge, self._approvals, tools
            )
        self._generation = self._approvals.generation()
        self._task: asyncio.Task[None] | None = None
        self._looking: set[asyncio.Task[None]] = set()
        tools.closers.append(self.close)

    def watch(self, upstream: Upstream) -> None:
        """Let through of a target's lists what may be shown."""
        screen = Screen(self._approvals, upstream.spec.safety)

        async def admit(catalogue: Catalogue) -> Catalogue:
            return await self._admit(upstream.name, catalogue, screen, fresh=True)

        async def again(catalogue: Catalogue) -> Catalogue:
            return await self._admit(upstream.name, catalogue, screen, fresh=False)

        upstream.admit, self._again[upstream.name] = admit, again
        if upstream.was_read:
            # It lasts from the snapshot before: what was let through then is looked at once more.
            task = asyncio.ensure_future(upstream.admit_anew(again))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _admit(self, target: str, catalogue: Catalogue, screen: Screen, *, fresh: bool) -> Catalogue:
        if self._task is None:
            self._task = asyncio.ensure_future(self._look())
        others = {name: found for name, found in self._definitions.items() if name != target}
        known = target in self._definitions
        try:
            # Some milliseconds for each new definition: nobody else waits for that.
            definitions, unreadable = await asyncio.to_thread(_defined, catalogue)
            judged = await self._judged(target, screen, (definitions, others), wait=not known)
            screening = await asyncio.to_thread(
                partial(screen.screen, target, definitions, others, fresh=fresh, judged=judged)
            )
        except ApprovalsError as exc:
            _log.error("tool server %s: nothing of it is shown: %s", target, exc)
            return catalogue._replace(offers={}, described=_silent(catalogue))
        self._definitions[target] = definitions
        if judged is None or judged.settled:
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
        self, target: str, screen: Screen, offered: tuple[list[Definition], dict[str, list[Definition]]], *, wait: bool
    ) -> Judged | None:
        """What the judge says of what is new; None where there is no judge."""
        if self._hearings is None or not screen.judges:
            return None
        questions = await asyncio.to_thread(screen.questions, target, *offered)
        return await self._hearings.hear(target, questions, partial(self._heard, target), wait=wait)

    async def _heard(self, target: str, fresh: bool) -> None:
        """The judge has answered: what it let pass is shown."""
        upstream = self._upstreams[target]
        await upstream.admit_anew(None if fresh else self._again[target])
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
                generation = self._approvals.generation()
            except ApprovalsError as exc:
                _log.error("decisions about tools cannot be read: %s", exc)
                continue
            if generation == self._generation:
                continue
            # Taken before: whoever decides while this is done is not overlooked.
            self._generation = generation
            for upstream in self._upstreams.values():
                await upstream.admit_anew(self._again.get(upstream.name))
                for what in _LISTS:
                    upstream.changed(upstream, what)
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

    def close(self) -> None:
        """Notice no more, and let go of the store."""
        if self._task is not None:
            self._task.cancel()
        if self._hearings is not None:
            self._hearings.close()
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
