"""What of a target's lists is shown: everything that its pins and the checks of its definitions let through.

Owns the meeting of lists and approvals in one worker, and what is written down of it: each definition that is held
back, each that changed. Decisions that are made elsewhere (another worker, a person) are noticed within a second. A
store that cannot be used admits nothing: lists are then empty, and say why in the log.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial

from msgspec.structs import replace

from heddle import plugins
from heddle.backends.mcp.catalogue import Catalogue, Offer
from heddle.backends.mcp.contract import Described
from heddle.backends.mcp.upstream import Admit, Upstream
from heddle.directory.definitions import Definition, Kind, define
from heddle.directory.screening import Screen, Screening, Withheld
from heddle.drivers.approvals import Approvals, ApprovalsError
from heddle.pipeline.assembly import Tools
from heddle.telemetry import names
from heddle.telemetry.records import AuditRecord
from heddle.wire.errors import ProtocolError

_log = logging.getLogger("heddle.mcp")

FILE = "approvals.db"
"""Name of the store in the state directory."""
LOOK_S = 1.0
KINDS: tuple[Kind, ...] = ("tool", "prompt", "resource", "template")
_UNREADABLE = Withheld("poisoned", "it cannot be written in canonical form")


class Screens:
    """The screening of all targets of a snapshot."""

    def __init__(self, upstreams: Mapping[str, Upstream], tools: Tools) -> None:
        self._upstreams = upstreams
        self._tools = tools
        self._approvals: Approvals = plugins.load("approvals", "sqlite")(tools.state_dir / FILE, tools.clock.now)
        self._definitions: dict[str, list[Definition]] = {}
        self._versions: dict[str, str] = {}
        self._again: dict[str, Admit] = {}
        """Screens anew what was read before."""
        self._told: dict[str, set[tuple[str, str, str]]] = {}
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
        try:
            # Some milliseconds for each new definition: nobody else waits for that.
            definitions, unreadable, screening = await asyncio.to_thread(
                _screened, partial(screen.screen, target, others=others, fresh=fresh), catalogue
            )
        except ApprovalsError as exc:
            _log.error("tool server %s: nothing of it is shown: %s", target, exc)
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
            found[key] = "warned", "; ".join(str(finding) for finding in findings[:3])
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
            _log.warning("tool server %s: %s %.80r is %s: %.300s", target, kind, name, outcome, detail)

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
                for what in ("tools", "prompts", "resources"):
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
        self._approvals.close()


def _screened(
    screen: Callable[[list[Definition]], Screening], catalogue: Catalogue
) -> tuple[list[Definition], list[tuple[str, str]], Screening]:
    definitions, unreadable = _defined(catalogue)
    return definitions, unreadable, screen(definitions)


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
