"""What a virtual server has to show, kept up to date with its targets.

Owns when a surface is made anew: when a list of a target changed, or is due to be read again. While neither is so, it
is found in one look, however many targets there are.
"""

import asyncio
import math
from collections.abc import Mapping
from typing import NamedTuple

from heddle.backends.mcp.catalogue import Catalogue
from heddle.backends.mcp.contract import Caller
from heddle.backends.mcp.shelves import Pulse
from heddle.backends.mcp.upstream import Upstream
from heddle.dataplane.mcp.surface import Part, Surface, prefix_of
from heddle.identity.caller import caller_id
from heddle.model.snapshot_mcp import McpServerSpec
from heddle.pipeline.assembly import Tools
from heddle.pipeline.errors import CallError, Reason

MAX_SURFACES = 4_096
"""Kinds of callers whose view is remembered."""


class _Held(NamedTuple):
    """What there is, for as long as nothing says otherwise."""

    surface: Surface
    beats: int
    until_s: float
    quiet: bool
    """No target asks callers anything, nor tells them what they did not want to hear."""


class Showing:
    """Of one virtual server."""

    def __init__(self, spec: McpServerSpec, upstreams: Mapping[str, Upstream], tools: Tools) -> None:
        self.spec = spec
        self._targets = [
            (target, upstreams[target.target], tuple(upstreams[name] for name in target.fallbacks))
            for target in spec.targets
        ]
        self.targets = [(prefix_of(spec, target), upstream) for target, upstream, _ in self._targets]
        """In order, each with the prefix of its names."""
        self._per_caller = any(upstream.per_caller for _, upstream in self.targets)
        self._surfaces: dict[str, Surface] = {}
        self._held: dict[str, _Held] = {}
        self._pulse = Pulse.of(tools)

    async def surface(self, caller: Caller) -> Surface:
        """What there is, for this kind of caller. Raises CallError when a target is missing that must not be."""
        surface = self.known(caller)
        if surface is not None:
            return surface
        scope = caller_id(caller.principal) if self._per_caller else ""
        catalogues = await asyncio.gather(
            *(upstream.catalogue(caller, scope if upstream.per_caller else "") for _, upstream, _ in self._targets)
        )
        catalogues = [
            catalogue or await self._from_others(fallbacks, caller)
            for (_, _, fallbacks), catalogue in zip(self._targets, catalogues, strict=True)
        ]
        parts = [
            Part(target, upstream, catalogue, fallbacks)
            for (target, upstream, fallbacks), catalogue in zip(self._targets, catalogues, strict=True)
        ]
        missing = [part.spec.target for part in parts if part.catalogue is None]
        if missing and (self.spec.on_target_failure == "fail" or len(missing) == len(parts)):
            names = ", ".join(f"`{name}`" for name in missing)
            raise CallError(Reason.UPSTREAM_UNREACHABLE, f"The tool server {names} could not be reached.")
        surface = self._surfaces.get(scope)
        generation = tuple(part.upstream.generation for part in parts)
        if surface is None or surface.generation != generation or not surface.shows(catalogues):
            if len(self._surfaces) > MAX_SURFACES:
                self._surfaces.clear()
            surface = self._surfaces[scope] = Surface(self.spec, parts)
        return surface

    async def _from_others(self, fallbacks: tuple[Upstream, ...], caller: Caller) -> Catalogue | None:
        """What those offer that serve the same, while a target was never reached."""
        for upstream in fallbacks:
            catalogue = await upstream.catalogue(caller)
            if catalogue is not None:
                return catalogue
        return None

    def known(self, caller: Caller) -> Surface | None:
        """What there is, if nothing has to be asked for. It costs the same with any number of targets."""
        scope = caller_id(caller.principal) if self._per_caller else ""
        held = self._held.get(scope)
        if held is not None and held.beats == self._pulse.beats and _began_s(caller) < held.until_s:
            return held.surface
        surface = self._look(scope)
        if surface is not None:
            untils = [part.upstream.known_until_s(scope if part.upstream.per_caller else "") for part in surface.parts]
            if len(self._held) > MAX_SURFACES:
                self._held.clear()
            quiet = not any(upstream.target.stateful for part in surface.parts for upstream in part.every)
            self._held[scope] = _Held(surface, self._pulse.beats, min(untils, default=math.inf), quiet)
        return surface

    def quiet(self, caller: Caller) -> bool:
        """Whether it is known that no target asks this caller anything."""
        held = self._held.get(caller_id(caller.principal) if self._per_caller else "")
        return held is not None and held.quiet and held.beats == self._pulse.beats

    def _look(self, scope: str) -> Surface | None:
        """The same, after a look at each target."""
        surface = self._surfaces.get(scope)
        if surface is None or not surface.complete:
            return None
        for part, generation in zip(surface.parts, surface.generation, strict=True):
            upstream = part.upstream
            if upstream.generation != generation or upstream.known(scope if upstream.per_caller else "") is None:
                return None
        return surface


def _began_s(caller: Caller) -> float:
    """Monotonic second at which the call began; without one, nothing that was held counts."""
    return caller.exchange.started_s if caller.exchange is not None else math.inf
