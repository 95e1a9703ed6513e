"""Policies: what holds for calls, and where.

Owns attachment by GEP-713. Of policies that cannot stand beside each other (two authentications, two with one name) the
oldest holds, then the first by name; the others are `Conflicted`. Authorization attaches to Gateways and to their
listeners of its own namespace; both levels must allow a call, so none overrides the other. What is attached to nothing
holds for the whole mesh when it stands in the root namespace; elsewhere limits, budgets, guards and caching hold for
callers of their own namespace, and anything else is refused. An authorization that is invalid, or loses a conflict,
denies everything where it stands.
*Source:* Gateway API GEP-713 (Policy attachment), "Conflict resolution", "Status".
"""

from collections.abc import Callable
from typing import Any

import msgspec

from heddle.controlplane.compile import compile_limit, compile_media, compile_rule
from heddle.controlplane.compile_authn import compile_authentication
from heddle.controlplane.compile_budgets import compile_budgets, with_prices
from heddle.controlplane.compile_caching import compile_caching
from heddle.controlplane.compile_guards import compile_guards
from heddle.controlplane.compile_observability import compile_observability
from heddle.controlplane.compiling.backends import MODELS
from heddle.controlplane.compiling.conditions import CONTROLLER, Fault, judged
from heddle.controlplane.compiling.fragment import Fragment, Work
from heddle.controlplane.compiling.listeners import Attached, listeners_named, listeners_of
from heddle.controlplane.compiling.objects import BY_KIND, Fact, Seen, global_name, items, mapping, text
from heddle.controlplane.compiling.references import by_claim
from heddle.controlplane.compiling.rules import denial, rule_parts
from heddle.controlplane.verify import verify_plan
from heddle.drivers.documents import Key
from heddle.model.config_llm import Provider
from heddle.model.config_policies import AuthorizationPolicy, Match
from heddle.model.config_security import Authentication
from heddle.model.parts import PricesPart
from heddle.model.plan import Placed, Plan
from heddle.model.prices import PriceTable
from heddle.model.problem import camel
from heddle.model.resources_heddle import Policy, PolicySpec
from heddle.model.rules import check_rules
from heddle.model.rules_access import check_access
from heddle.model.rules_budgets import check_budgets
from heddle.model.rules_caching import check_caching
from heddle.model.rules_guards import check_guards
from heddle.model.rules_mcp import check_policies

CONCERNS = tuple(name for name in PolicySpec.__struct_fields__ if name != "target_refs")
SINGLE = ("authentication", "retry", "media", "observability")
"""Concerns of which the mesh has one Policy."""
_OWN_CALLERS = ("rate_limit", "budget", "guard", "cache")
"""What a namespace may say of its own callers."""
_NAMED = {"authorization": "policy", "rate_limit": "limit", "budget": "budget", "guard": "guard", "cache": "cache"}
_PREFIXED = {"rate_limit": "limits", "budget": "budgets", "guard": "guards", "cache": "caching"}
"""Concern -> where a plan has it."""


def policy_facts(seen: Seen, root: str) -> tuple[Fact, ...]:
    """Its concern, where the mesh has one Policy of it, or its name among those of its concern. Also an invalid one
    keeps its place: what is younger must not slip in while somebody mistypes."""
    concern = _concern(seen)
    if concern in SINGLE:
        return (Fact(("concern", concern)),) if seen.key.namespace == root else ()
    if concern not in _NAMED:
        return ()
    own = text(mapping(seen.spec.get(camel(concern))).get("name")) or seen.key.name
    return (Fact((_NAMED[concern], global_name(seen.key.namespace, own, root))),)


def _concern(seen: Seen) -> str:
    """The one concern of a Policy; empty when it has none or several."""
    given = [concern for concern in CONCERNS if camel(concern) in seen.spec]
    return given[0] if len(given) == 1 else ""


def compile_policy(work: Work) -> Fragment:
    """A Policy that was read."""
    concern = _concern(work.seen)
    if not concern:
        found = ", ".join(camel(one) for one in CONCERNS if camel(one) in work.seen.spec) or "none"
        wanted = ", ".join(map(camel, CONCERNS))
        work.report.error(work.seen.place, f"expected exactly one of {wanted}; found {found}")
        return unread_policy(work) if "authorization" in work.seen.spec else work.done()
    _placed(work, concern)
    if concern == "authorization":
        return _authorization(work)
    spec = work.seen.resource.spec
    if spec.target_refs:
        hint = "remove it"
        work.report.error(work.seen.place.at("target_refs"), "only authorization can be attached to a listener", hint)
    facts = _COMPILERS[concern](work) if not work.faults else None
    return work.done(facts)


def unread_policy(work: Work) -> Fragment:
    """A Policy that cannot be read: when it is about authorization, it denies where it would have stood."""
    for one in work.seen.problems:
        work.refused.append(Fault("Invalid", f"{one.path}: {one.message}"))
    if "authorization" not in work.seen.spec:
        return work.done()
    return _authorization(work)


def closed_policy(work: Work) -> Fragment:
    """What stands for a Policy whose compiler failed: as little as it takes to deny where it would have stood."""
    said = mapping(work.seen.spec.get("authorization"))
    targets = [_target(work, one) for one in items(work.seen.spec.get("targetRefs"))]
    if not said or said.get("mode") == "audit" or not (targets or work.namespace == work.around.root):
        return Fragment()
    levels, gateways = _levels(work, text(said.get("listener")), targets)
    name = work.named(work.seen.key.name)
    facts = rule_parts(work, [denial(name, level, work.seen.source.file) for level in levels], gateways)
    return Fragment(work.parts, None, facts)


def _placed(work: Work, concern: str) -> None:
    """Report a Policy that may not stand where it does, or that an older one keeps from holding."""
    root, key = work.around.root, work.seen.key
    attached = bool(items(work.seen.spec.get("targetRefs")))
    if key.namespace != root and concern not in _OWN_CALLERS and not attached:
        said = f"`{camel(concern)}` for the whole mesh stands in namespace `{root}`"
        hint = "; attach it to a Gateway of its own namespace by targetRefs" if concern == "authorization" else ""
        work.refused.append(Fault("NotPermitted", f"{said}{hint}"))
        return
    for fact in policy_facts(work.seen, root):
        first = work.lookup.first(fact.topic)
        if first is not None and first.key != key:
            owner = f"{first.key.namespace}/{first.key.name}"
            what = f"name `{fact.topic[1]}`" if concern in _NAMED else f"`{camel(concern)}` of the mesh"
            work.refused.append(Fault("Conflicted", f"{what} is that of Policy {owner}, which is older"))


def _authorization(work: Work) -> Fragment:
    """Rules at the level of each listener it is attached to. What is said of each target stands in its ancestors."""
    key, root = work.seen.key, work.around.root
    policy = work.seen.resource
    rule = policy.spec.authorization if isinstance(policy, Policy) else None
    place = work.seen.place.at("authorization")
    said = mapping(work.seen.spec.get("authorization"))
    rule = rule or AuthorizationPolicy(action="deny", listener=text(said.get("listener")))
    if said.get("mode") == "audit":
        rule = msgspec.structs.replace(rule, mode="audit")
    rule = msgspec.structs.replace(rule, name=work.named(rule.name or key.name))
    targets = [_target(work, one) for one in items(work.seen.spec.get("targetRefs"))]
    levels, gateways = _levels(work, rule.listener, targets)
    plan = Plan()
    plan.authorization.append(Placed(msgspec.structs.replace(rule, listener=""), place))
    check_access(plan, work.around.now_s(), work.report)
    check_policies(plan, work.report)
    verify_plan(plan, work.around.environ, work.report)
    missing = [fault for _, fault, _ in targets if fault is not None]
    made = compile_rule(plan.authorization[0])
    parts: tuple[Fact, ...] = ()
    if key.namespace == root or targets:
        rules = [msgspec.structs.replace(made, level=level) for level in levels]
        parts = rule_parts(work, rules, gateways)
    faults = work.faults or (missing if len(missing) == len(targets) and targets else [])
    status = _status(work, faults, targets)
    return Fragment(work.parts, None, parts, status)


_Found = tuple[dict[str, Any], Fault | None, list[Attached]]
"""A target as it was written, why it is none, its listeners."""


def _target(work: Work, written: Any) -> _Found:
    ref = mapping(written)
    kind = (text(ref.get("group")) or "gateway.networking.k8s.io", text(ref.get("kind")) or "Gateway")
    name, section = text(ref.get("name")), text(ref.get("sectionName"))
    shown = {"group": kind[0], "kind": kind[1], "name": name, **({"sectionName": section} if section else {})}
    if BY_KIND.get(kind) != "gateways.gateway.networking.k8s.io":
        return shown, Fault("Invalid", f"{kind[1]} cannot be a target: only Gateways can"), []
    gateway = Key("gateways.gateway.networking.k8s.io", work.namespace, name)
    found = listeners_of(work.lookup, gateway, section, work.around.root)
    if not found:
        here = f"in namespace `{work.namespace}`"
        said = f"there is no Gateway `{name}` {here}"
        if found is not None:
            said = f"Gateway `{name}` {here} has no listener `{section}`"
        return shown, Fault("TargetNotFound", said), []
    return shown, None, found


def _levels(work: Work, listener: str, targets: list[_Found]) -> tuple[list[str], tuple[str, ...]]:
    """Where rules stand, and the gateways that are told them; without targets the level is that of everything, or of
    the listeners of its namespace that it names."""
    if not targets and not listener:
        return ["global"], ()
    attached = [one for _, _, found in targets for one in found]
    if not targets:
        attached = listeners_named(work.lookup, work.namespace, listener, work.around.root)
        if not attached:
            said = f"there is no listener `{listener}` in namespace `{work.namespace}`"
            work.unresolved.append(Fault("TargetNotFound", said))
    levels = [f"listener:{one.name}" for one in attached]
    return list(dict.fromkeys(levels)), tuple(dict.fromkeys(one.gateway for one in attached))


def _status(work: Work, faults: list[Fault], targets: list[_Found]) -> dict[str, Any]:
    """Conditions of the Policy as a whole, and of each target."""
    accepted = judged("Accepted", faults or work.unresolved)
    status: dict[str, Any] = {"conditions": [accepted, accepted._replace(type="Ready")]}
    if targets:
        status["ancestors"] = [
            {
                "ancestorRef": {**shown, "namespace": work.namespace},
                "controllerName": CONTROLLER,
                "conditions": [judged("Accepted", work.faults or ([fault] if fault is not None else []))],
            }
            for shown, fault, _ in targets
        ]
    return status


def _plan(work: Work, concern: str) -> Plan:
    """A plan of this one Policy, its value named as the snapshot names it; of another namespace, about its callers."""
    value = getattr(work.seen.resource.spec, concern)
    place = work.seen.place.at(concern)
    plan = Plan()
    if concern in _NAMED:
        value = msgspec.structs.replace(value, name=work.named(value.name or work.seen.key.name))
    if work.namespace != work.around.root:
        value = msgspec.structs.replace(value, match=_own_callers(work, value.match))
    getattr(plan, _PREFIXED[concern]).append(Placed(value, place))
    return plan


def _own_callers(work: Work, match: Match) -> Match:
    """A match of callers of the Policy's namespace alone."""
    if match.tenants() not in ((), (work.namespace,)):
        work.refused.append(Fault("NotPermitted", f"in namespace `{work.namespace}` it can be about its callers only"))
    return msgspec.structs.replace(match, kubernetes=None, tenant=work.namespace)


def _limit(work: Work) -> Any:
    plan = _plan(work, "rate_limit")
    check_access(plan, work.around.now_s(), work.report)
    check_policies(plan, work.report)
    limit = compile_limit(plan.limits[0].value) if not work.faults else None
    if limit is not None:
        work.part(f"limit/{limit.name}", limit)
    return True


def _budget(work: Work) -> Any:
    plan = _plan(work, "budget")
    check_budgets(plan, work.report)
    check_policies(plan, work.report)
    if not work.faults:
        for budget in compile_budgets(plan, work.values, work.report):
            work.part(f"budget/{budget.name}", budget)
    return True


def _guard(work: Work) -> Any:
    plan = _plan(work, "guard")
    check_guards(plan, work.report)
    check_policies(plan, work.report)
    verify_plan(plan, work.around.environ, work.report)
    if not work.faults:
        for guard in compile_guards(plan, work.values, work.report):
            work.part(f"guard/{guard.name}", guard)
    return True


def _cache(work: Work) -> Any:
    plan = _plan(work, "cache")
    check_caching(plan, work.report)
    check_policies(plan, work.report)
    if not work.faults:
        for rule in compile_caching(plan):
            work.part(f"cache/{rule.name}", rule, protocols=MODELS)
    return True


def _authentication(work: Work) -> Any:
    """What others may know of it: the types of its entries."""
    said: Authentication | tuple[Authentication, ...] = work.seen.resource.spec.authentication
    place = work.seen.place.at("authentication")
    entries = said if isinstance(said, tuple) else (said,)
    plan = Plan()
    plan.authentication_policies.append(place)
    for index, entry in enumerate(entries):
        plan.authentication.append(Placed(entry, place.at(index) if isinstance(said, tuple) else place))
    check_access(plan, work.around.now_s(), work.report)
    verify_plan(plan, work.around.environ, work.report)
    made = compile_authentication(plan.authentication, work.values, work.report)
    work.part("authentication/mesh", made)
    return tuple(str(msgspec.to_builtins(one)["type"]) for one in made)


def _prices(work: Work) -> Any:
    place = work.seen.place.at("prices")
    stated = []
    plan = Plan()
    for index, price in enumerate(work.seen.resource.spec.prices):
        provider = price.provider
        if provider:
            reference = by_claim(work.lookup, work.seen.key, "provider", provider, work.around.root)
            found = work.lookup.outcome(reference.key) if reference.key is not None else None
            if not isinstance(found, Provider):
                unusable = Fault("BackendNotUsable", f"Backend `{provider}` is not accepted")
                work.unresolved.append(reference.fault or unusable)
                continue
            provider = found.name
        plan.prices.append(Placed(msgspec.structs.replace(price, provider=""), place.at(index)))
        stated.append(provider)
    check_budgets(plan, work.report)
    if not work.faults:
        made = with_prices(PriceTable(), "", plan.prices).models
        name = f"{work.namespace}/{work.seen.key.name}"
        work.part(f"price/{name}", PricesPart(prices=tuple(zip(stated, made, strict=True))), protocols=MODELS)
    return True


def _retry(work: Work) -> Any:
    return work.seen.resource.spec.retry


def _media(work: Work) -> Any:
    work.part("media/mesh", compile_media(work.seen.resource.spec.media), protocols=MODELS)
    return True


def _observability(work: Work) -> Any:
    plan = Plan()
    plan.observability.append(Placed(work.seen.resource.spec.observability, work.seen.place.at("observability")))
    check_rules(plan, (), work.report)
    made = compile_observability(plan.observability, work.values, work.report)
    work.part("observability/mesh", made)
    return True


_COMPILERS: dict[str, Callable[[Work], Any]] = {
    "rate_limit": _limit,
    "budget": _budget,
    "guard": _guard,
    "cache": _cache,
    "authentication": _authentication,
    "prices": _prices,
    "retry": _retry,
    "media": _media,
    "observability": _observability,
}
