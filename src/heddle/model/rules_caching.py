"""Can answers be kept as it is written? Rules that can be reached, times that make sense.

Owns the checks of meaning around caching.
"""

from heddle.model.config_base import many
from heddle.model.config_policies import Match
from heddle.model.formats import complaint, duration_s
from heddle.model.plan import Plan
from heddle.model.problem import Report
from heddle.model.rules import unique

LONGEST_S = 30 * 86_400


def check_caching(plan: Plan, report: Report) -> None:
    """Everything in this module."""
    unique(((rule.name, place) for rule, place in plan.caching), "caching rule", report)
    takes_all = ""
    for rule, place in plan.caching:
        if rule.match.kubernetes is not None and rule.match.tenant:
            message = "is the same thing as `kubernetes.namespace`; give one of them"
            report.error(place.at("match", "tenant"), message)
        keys = many(rule.key)
        if len(set(keys)) != len(keys):
            report.error(place.at("key"), "names the same part twice")
        if not report.is_broken(place.at("ttl")) and not complaint("period", rule.ttl):
            if duration_s(rule.ttl) > LONGEST_S:
                report.error(place.at("ttl"), "must be at most 30d")
            elif duration_s(rule.ttl) < 1:
                report.error(place.at("ttl"), "must be at least 1s")
        if takes_all:
            report.warning(place, f"is never reached: `{takes_all}` before it matches every call")
        elif rule.match == Match():
            takes_all = rule.name
