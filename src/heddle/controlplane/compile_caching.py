"""Caching of the plan, compiled into the snapshot. Owns nothing but the translation."""

from heddle.model.config_base import many
from heddle.model.formats import duration_s
from heddle.model.plan import Plan
from heddle.model.snapshot_caching import CacheSpec


def compile_caching(plan: Plan) -> tuple[CacheSpec, ...]:
    """The rules of a snapshot, in the order they were declared."""
    return tuple(
        CacheSpec(
            name=rule.name,
            match=rule.match.spec(),
            ttl_s=duration_s(rule.ttl),
            max_bytes=rule.max_bytes,
            key=many(rule.key),
            tools=rule.tools,
            temperature_above_zero=rule.temperature_above_zero,
        )
        for rule, _ in plan.caching
    )
