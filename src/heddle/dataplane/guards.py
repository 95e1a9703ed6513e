"""The guards of a snapshot, put together from what `plugins` names: policies and guards do not import each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from heddle import plugins
from heddle.model.snapshot_guards import GuardSpec
from heddle.pipeline.assembly import Tools
from heddle.pipeline.guarding import GuardSet, Judge

if TYPE_CHECKING:
    from heddle.guards.treatment import Guards


def build_guards(specs: Sequence[GuardSpec], tools: Tools) -> GuardSet:
    """Raises ValueError when one of them cannot be built."""

    def judge(spec: GuardSpec) -> Judge:
        made: Judge = plugins.load("guards", "schema" if spec.schema else "webhook")(spec, tools)
        return made

    guards: Guards = plugins.load("guards", "texts")(specs, judge)
    return guards
