"""Targets across reloads: one that is declared as before goes on as it is.

Its lists stay known, its health too, and the streams on which it keeps its callers' sessions stay open. A target whose
declaration changed, or that has files or credentials of its own, is made anew; the former one ends with its snapshot.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from heddle.backends.mcp.build import build_target
from heddle.backends.mcp.upstream import Upstream
from heddle.model.snapshot_mcp import McpTargetSpec, StdioSpec
from heddle.model.snapshot_mcp_auth import NoTargetAuth
from heddle.pipeline.assembly import Tools

_NAME = "mcp.targets"


@dataclass(eq=False)
class _Kept:
    """One target, and how many snapshots use it."""

    upstream: Upstream
    session_ttl_s: float
    closers: list[Callable[[], None]]
    users: int = 0


@dataclass(eq=False)
class Lasting:
    """The targets of one worker that last."""

    kept: dict[str, _Kept] = field(default_factory=dict)

    @classmethod
    def of(cls, tools: Tools) -> "Lasting":
        """Those of a worker."""
        lasting: Lasting = tools.lasting.setdefault(_NAME, cls())
        return lasting

    def upstream(self, spec: McpTargetSpec, tools: Tools, session_ttl_s: float) -> Upstream:
        """The target that `spec` declares, until the snapshot of `tools` is dropped. Raises ValueError."""
        kept = self.kept.get(spec.name)
        if kept is None or kept.upstream.spec != spec or kept.session_ttl_s != session_ttl_s:
            own = replace(tools, closers=[])
            try:
                made = Upstream(spec, build_target(spec, own, session_ttl_s), own)
            except BaseException:
                _close(own.closers)
                raise
            kept = self.kept[spec.name] = _Kept(made, session_ttl_s, own.closers)
        kept.users += 1
        tools.closers.append(lambda: self._leave(kept))
        return kept.upstream

    def _leave(self, kept: _Kept) -> None:
        kept.users -= 1
        if kept.users:
            return
        name = kept.upstream.name
        if self.kept.get(name) is kept:
            del self.kept[name]
        _close(kept.closers)


def lasts(spec: McpTargetSpec) -> bool:
    """Whether a target may outlive its snapshot: nothing that it is made of changes without its declaration."""
    files = not isinstance(spec.connect, StdioSpec) and bool(spec.connect.ca_file)
    return isinstance(spec.auth, NoTargetAuth) and not files


def _close(closers: list[Callable[[], None]]) -> None:
    while closers:
        closers.pop()()
