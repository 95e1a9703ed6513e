"""gateway.networking.k8s.io/v1: HTTPRoute: which requests go where, and what is done with them on the way.

Owns the fields of routes and their rules, and upstream's rules about them; filters are in `route_filters`.
*Source:* Gateway API v1.4, HTTPRoute (experimental channel, as far as retries and session persistence go); GEP-1731
(retries), GEP-1619 (sessions).
"""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part
from heddle.model.gateway_types import (
    BackendObjectRef,
    GatewayDuration,
    HeaderName,
    HostPattern,
    ParentRef,
    SectionName,
)
from heddle.model.kube import AGE, ATOMIC, Rule, Served, by, column, default, form, rule, rules, said, shaped
from heddle.model.meta import Resource
from heddle.model.resources_status import Conditions
from heddle.model.route_filters import FILTER_RULES, RouteFilter

_ANY_PATH = {"type": "PathPrefix", "value": "/"}
_PATH = "^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$"
_PLAIN = "(self.type in ['Exact','PathPrefix'])"


def _path_without(text: str) -> Rule:
    return rule(
        f"{_PLAIN} ? !self.value.contains('{text}') : true",
        f"must not contain '{text}' when type one of ['Exact', 'PathPrefix']",
    )


def _path_not_ending(text: str) -> Rule:
    return rule(
        f"{_PLAIN} ? !self.value.endsWith('{text}') : true",
        f"must not end with '{text}' when type one of ['Exact', 'PathPrefix']",
    )


class PathMatch(Part, frozen=True, kw_only=True):
    """Which paths."""

    RULES: ClassVar = (
        rule(
            f"{_PLAIN} ? self.value.startsWith('/') : true",
            "value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']",
        ),
        *(_path_without(text) for text in ("//", "/./", "/../", "%2f", "%2F", "#")),
        *(_path_not_ending(text) for text in ("/..", "/.")),
        rule(
            "self.type in ['Exact','PathPrefix'] || self.type == 'RegularExpression'",
            "type must be one of ['Exact', 'PathPrefix', 'RegularExpression']",
        ),
        rule(
            f'{_PLAIN} ? self.value.matches(r"""{_PATH}""") : true',
            f"must only contain valid characters (matching {_PATH}) for types ['Exact', 'PathPrefix']",
        ),
    )
    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    """How the value is compared; a prefix ends at a `/`."""
    value: Annotated[str, msgspec.Meta(max_length=1024)] = "/"
    """With what."""


class HeaderMatch(Part, frozen=True, kw_only=True):
    """A header field that a request must have."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    """How the value is compared."""
    name: HeaderName
    """Name of the field, in any case of letters."""
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    """With what."""


class QueryMatch(Part, frozen=True, kw_only=True):
    """A query parameter that a request must have."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    """How the value is compared."""
    name: HeaderName
    """Name of the parameter."""
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    """With what."""


class RouteMatch(Part, frozen=True, kw_only=True):
    """Requests for which all of this is true."""

    path: Annotated[PathMatch, default(_ANY_PATH)] = PathMatch()
    """Their path."""
    headers: Annotated[tuple[HeaderMatch, ...], msgspec.Meta(max_length=16), by("name")] = ()
    """Their header fields."""
    query_params: Annotated[tuple[QueryMatch, ...], msgspec.Meta(max_length=16), by("name")] = ()
    """Their query parameters."""
    method: Literal["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"] | None = None
    """Their method; unset is any."""


class BackendRef(BackendObjectRef, frozen=True, kw_only=True):
    """Where requests are sent."""

    RULES: ClassVar = (
        rule(
            "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true",
            "Must have port for Service reference",
        ),
    )
    weight: Annotated[int, msgspec.Meta(ge=0, le=1_000_000), form("int32")] = 1
    """Share of the requests among the backends of the rule; 0 gets none."""
    filters: Annotated[tuple[RouteFilter, ...], msgspec.Meta(max_length=16), ATOMIC, FILTER_RULES] = ()
    """What is done with requests that are sent there."""


class RouteTimeouts(Part, frozen=True, kw_only=True):
    """How long requests may take."""

    RULES: ClassVar = (
        rule(
            "!(has(self.request) && has(self.backendRequest) && duration(self.request) != duration('0s') &&"
            " duration(self.backendRequest) > duration(self.request))",
            "backendRequest timeout cannot be longer than request timeout",
        ),
    )
    request: GatewayDuration | None = None
    """The whole request, retries included; `0s` is no bound."""
    backend_request: GatewayDuration | None = None
    """One request to a backend; `0s` is no bound."""


class RouteRetry(Part, frozen=True, kw_only=True):
    """When a request is sent again."""

    codes: Annotated[tuple[Annotated[int, msgspec.Meta(ge=400, le=599)], ...], ATOMIC] = ()
    """Status codes after which it is; connections that fail always count."""
    attempts: int | None = None
    """How often, at most."""
    backoff: GatewayDuration | None = None
    """Shortest pause before it is."""


class CookieConfig(Part, frozen=True, kw_only=True):
    """Settings of the cookie."""

    lifetime_type: Literal["Permanent", "Session"] = "Session"
    """Whether clients keep it beyond their session."""


class SessionPersistence(Part, frozen=True, kw_only=True):
    """Requests of one session go to one backend."""

    RULES: ClassVar = (
        rule(
            "!has(self.cookieConfig) || !has(self.cookieConfig.lifetimeType) ||"
            " self.cookieConfig.lifetimeType != 'Permanent' || has(self.absoluteTimeout)",
            "AbsoluteTimeout must be specified when cookie lifetimeType is Permanent",
        ),
    )
    session_name: Annotated[str, msgspec.Meta(max_length=128)] = ""
    """Name of the cookie or header field."""
    absolute_timeout: GatewayDuration | None = None
    """How long a session lasts."""
    idle_timeout: GatewayDuration | None = None
    """How long a session lasts without requests."""
    type: Literal["Cookie", "Header"] = "Cookie"
    """What tells sessions apart."""
    cookie_config: CookieConfig | None = None
    """Settings of the cookie."""


def _prefix_replaced(where: str, kind: str, prefix: str = "") -> Rule:
    """Replacing a prefix needs a single match by prefix. `where` finds the filter."""
    one = "(size(self.matches) != 1 || !has(self.matches[0].path) || self.matches[0].path.type != 'PathPrefix')"
    message = f"{kind} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified"
    return rule(f"({where}) ? ({one} ? false : true) : true", f"{prefix}{message}")


def _replaces(field: str) -> str:
    return (
        f"has(f.{field}) && has(f.{field}.path) && f.{field}.path.type == 'ReplacePrefixMatch' &&"
        f" has(f.{field}.path.replacePrefixMatch)"
    )


def _of_rule(field: str) -> str:
    return f"has(self.filters) && self.filters.exists_one(f, {_replaces(field)})"


def _of_backends(field: str) -> str:
    return (
        "has(self.backendRefs) && self.backendRefs.exists_one(b,"
        f" (has(b.filters) && b.filters.exists_one(f, {_replaces(field)})))"
    )


class RouteRule(Part, frozen=True, kw_only=True):
    """Requests that match go to backends."""

    RULES: ClassVar = (
        rule(
            "(has(self.backendRefs) && size(self.backendRefs) > 0) ?"
            " (!has(self.filters) || self.filters.all(f, !has(f.requestRedirect))): true",
            "RequestRedirect filter must not be used together with backendRefs",
        ),
        _prefix_replaced(_of_rule("requestRedirect"), "RequestRedirect", "When using "),
        _prefix_replaced(_of_rule("urlRewrite"), "URLRewrite", "When using "),
        _prefix_replaced(_of_backends("requestRedirect"), "RequestRedirect", "Within backendRefs, when using "),
        _prefix_replaced(_of_backends("urlRewrite"), "URLRewrite", "Within backendRefs, When using "),
    )
    name: SectionName | None = None
    """Unique in the route; policies can name it."""
    matches: Annotated[tuple[RouteMatch, ...], msgspec.Meta(max_length=64), ATOMIC, default([{"path": _ANY_PATH}])] = (
        RouteMatch(),
    )
    """Requests that any of these fits; unset is all."""
    filters: Annotated[tuple[RouteFilter, ...], msgspec.Meta(max_length=16), ATOMIC, FILTER_RULES] = ()
    """What is done with them."""
    backend_refs: Annotated[tuple[BackendRef, ...], msgspec.Meta(max_length=16), ATOMIC] = ()
    """Where they are sent, by weight."""
    timeouts: RouteTimeouts | None = None
    """How long they may take."""
    retry: RouteRetry | None = None
    """When they are sent again."""
    session_persistence: SessionPersistence | None = None
    """Those of one session go to one backend."""


def _same(field: str) -> str:
    """Two references agree in an optional field; `namespace` is a reserved word of CEL."""
    one, two = f"p1.{field}", f"p2.{field}"
    empty = f"((!has({one}) || {one} == '') && (!has({two}) || {two} == ''))"
    return f"({empty} || (has({one}) && has({two}) && {one} == {two}))"


_ONE_PARENT = f"p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name && {_same('__namespace__')}"
_NO_PORT = "(!has(p1.port) || p1.port == 0) == (!has(p2.port) || p2.port == 0)"
_NO_SECTION = "(!has(p1.sectionName) || p1.sectionName == '') == (!has(p2.sectionName) || p2.sectionName == '')"
_SAME_PORT = _same("port").replace("''", "0")
PARENT_RULES = rules(
    rule(
        f"self.all(p1, self.all(p2, {_ONE_PARENT} ? ({_NO_SECTION} && {_NO_PORT}): true))",
        "sectionName or port must be specified when parentRefs includes 2 or more references to the same parent",
    ),
    rule(
        f"self.all(p1, self.exists_one(p2, {_ONE_PARENT} && {_same('sectionName')} && {_SAME_PORT}))",
        "sectionName or port must be unique when parentRefs includes 2 or more references to the same parent",
    ),
)
_TOTAL = " + ".join(f"(self.size() > {index} ? self[{index}].matches.size() : 0)" for index in range(16))
RULE_RULES = rules(
    rule(
        f"{_TOTAL} <= 128",
        "While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route"
        " must be less than 128",
    ),
    rule(
        "self.all(l1, !has(l1.name) || self.exists_one(l2, has(l2.name) && l1.name == l2.name))",
        "Rule name must be unique within the route",
    ),
)


class HTTPRouteSpec(Part, frozen=True, kw_only=True):
    """Which requests go where."""

    parent_refs: Annotated[tuple[ParentRef, ...], msgspec.Meta(max_length=32), ATOMIC, PARENT_RULES] = ()
    """Gateways, or listeners of them, that it wants to be attached to."""
    hostnames: Annotated[tuple[HostPattern, ...], msgspec.Meta(max_length=16), ATOMIC] = ()
    """Host names of requests; none is those of the listener."""
    rules: Annotated[
        tuple[RouteRule, ...],
        msgspec.Meta(max_length=16),
        said(minItems=1),
        ATOMIC,
        default([{"matches": [{"path": _ANY_PATH}]}]),
        RULE_RULES,
    ] = (RouteRule(),)
    """Which requests go where. Of several that fit, the more exact path decides, then method, header fields and query
    parameters, then the older route."""


class RouteParentStatus(Part, frozen=True, kw_only=True):
    """What one parent made of a route."""

    parent_ref: ParentRef
    """The parent."""
    controller_name: str
    """Who says it."""
    conditions: Conditions = ()
    """What is said of the route there."""


class RouteStatus(Part, frozen=True, kw_only=True):
    """What its parents made of a route."""

    parents: Annotated[tuple[RouteParentStatus, ...], msgspec.Meta(max_length=32), ATOMIC] = ()
    """One entry for each parent and who speaks for it."""


class HTTPRoute(Resource, frozen=True, kw_only=True):
    """Which requests go where, and what is done with them on the way."""

    SERVED: ClassVar = Served(
        "httproutes",
        categories=("gateway-api",),
        columns=(column("Hostnames", ".spec.hostnames"), AGE),
        has_status=True,
    )
    api_version: Literal["gateway.networking.k8s.io/v1"]
    """API group and version."""
    kind: Literal["HTTPRoute"]
    """Kind."""
    spec: HTTPRouteSpec
    """What it is."""
    status: Annotated[dict[str, Any], shaped(RouteStatus)] = msgspec.field(default_factory=dict)
    """Observed; written by the control plane."""
