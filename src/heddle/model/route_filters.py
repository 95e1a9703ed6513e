"""What a route does with requests on the way: the filters of HTTPRoute.

Owns their fields and upstream's rules about them.
*Source:* Gateway API v1.4, HTTPRouteFilter; CORS from the experimental channel.
"""

from typing import Annotated, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part
from heddle.model.gateway_types import BackendObjectRef, HeaderName, LocalRef, PortNumber, PreciseHost
from heddle.model.kube import SET, Rule, by, form, rule, rules

Method = Literal["*", "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]


class Header(Part, frozen=True, kw_only=True):
    """A header field."""

    name: HeaderName
    """Its name."""
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    """Its value."""


class HeaderFilter(Part, frozen=True, kw_only=True):
    """Changes header fields."""

    set: Annotated[tuple[Header, ...], msgspec.Meta(max_length=16), by("name")] = ()
    """Fields that get a value instead of what they had."""
    add: Annotated[tuple[Header, ...], msgspec.Meta(max_length=16), by("name")] = ()
    """Fields that get a value besides what they had."""
    remove: Annotated[tuple[str, ...], msgspec.Meta(max_length=16), SET] = ()
    """Names of fields that are taken away."""


def _modifier(kind: str, field: str) -> tuple[Rule, Rule]:
    return (
        rule(f"self.type == '{kind}' ? has(self.{field}) : true",
             f"{field} must be specified when type is set to '{kind}'"),
        rule(f"has(self.{field}) ? self.type == '{kind}' : true", f"type must be '{kind}' when {field} is set"),
    )  # fmt: skip


class PathModifier(Part, frozen=True, kw_only=True):
    """Changes a path."""

    RULES: ClassVar = (
        *_modifier("ReplaceFullPath", "replaceFullPath"),
        *_modifier("ReplacePrefixMatch", "replacePrefixMatch"),
    )
    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    """Which of them it is."""
    replace_full_path: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    """Stands in for the whole path."""
    replace_prefix_match: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    """Stands in for the prefix that was matched."""


class RequestRedirect(Part, frozen=True, kw_only=True):
    """Sends the client elsewhere."""

    scheme: Literal["http", "https"] | None = None
    """Scheme there; unset is the request's."""
    hostname: PreciseHost | None = None
    """Host there; unset is the request's."""
    path: PathModifier | None = None
    """Path there; unset is the request's."""
    port: PortNumber | None = None
    """Port there; unset is the one that belongs to the scheme, or the listener's."""
    status_code: Literal[301, 302, 303, 307, 308] = 302
    """Status of the answer."""


class UrlRewrite(Part, frozen=True, kw_only=True):
    """Changes where the request goes, unseen by the client."""

    hostname: PreciseHost | None = None
    """Host that is asked for."""
    path: PathModifier | None = None
    """Path that is asked for."""


class Fraction(Part, frozen=True, kw_only=True):
    """A share."""

    RULES: ClassVar = (
        rule("self.numerator <= self.denominator", "numerator must be less than or equal to denominator"),
    )
    numerator: Annotated[int, msgspec.Meta(ge=0), form("int32")]
    """This many"""
    denominator: Annotated[int, msgspec.Meta(ge=1), form("int32")] = 100
    """of so many."""


class RequestMirror(Part, frozen=True, kw_only=True):
    """Sends a copy to another backend, whose answers are thrown away."""

    RULES: ClassVar = (
        rule(
            "!(has(self.percent) && has(self.fraction))",
            "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter",
        ),
    )
    backend_ref: BackendObjectRef
    """The other backend."""
    percent: Annotated[int, msgspec.Meta(ge=0, le=100), form("int32")] | None = None
    """Share of requests that are copied, in percent; unset, with `fraction`, is all."""
    fraction: Fraction | None = None
    """Share of requests that are copied."""


def _not_alone(field: str, what: str) -> msgspec.Meta:
    return rules(rule("!('*' in self && self.size() > 1)", f"{field} cannot contain '*' alongside other {what}"))


_ORIGIN = r"(^\*$)|(^([a-zA-Z][a-zA-Z0-9+\-.]+):\/\/([^:/?#]+)(:([0-9]{1,5}))?$)"


class Cors(Part, frozen=True, kw_only=True):
    """Answers browsers that ask whether other sites may call."""

    allow_origins: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=_ORIGIN)], ...],
        msgspec.Meta(max_length=64),
        SET,
        _not_alone("AllowOrigins", "origins"),
    ] = ()
    """Sites that may; `*` in a host is any."""
    allow_credentials: bool | None = None
    """Whether they may send credentials."""
    allow_methods: Annotated[
        tuple[Method, ...], msgspec.Meta(max_length=9), SET, _not_alone("AllowMethods", "methods")
    ] = ()
    """Methods they may use."""
    allow_headers: Annotated[tuple[HeaderName, ...], msgspec.Meta(max_length=64), SET] = ()
    """Header fields they may send."""
    expose_headers: Annotated[tuple[HeaderName, ...], msgspec.Meta(max_length=64), SET] = ()
    """Header fields of answers they may see."""
    max_age: Annotated[int, msgspec.Meta(ge=1), form("int32")] = 5
    """Seconds for which they may remember it."""


_FIELDS = {
    "requestHeaderModifier": "RequestHeaderModifier",
    "responseHeaderModifier": "ResponseHeaderModifier",
    "requestMirror": "RequestMirror",
    "requestRedirect": "RequestRedirect",
    "urlRewrite": "URLRewrite",
    "cors": "CORS",
    "extensionRef": "ExtensionRef",
}


def _goes_with(field: str, kind: str) -> tuple[Rule, Rule]:
    return (
        rule(f"!(has(self.{field}) && self.type != '{kind}')",
             f"filter.{field} must be nil if the filter.type is not {kind}"),
        rule(f"!(!has(self.{field}) && self.type == '{kind}')",
             f"filter.{field} must be specified for {kind} filter.type"),
    )  # fmt: skip


class RouteFilter(Part, frozen=True, kw_only=True):
    """Something that is done with requests."""

    RULES: ClassVar = tuple(one for field, kind in _FIELDS.items() for one in _goes_with(field, kind))
    type: Literal[
        "CORS",
        "ExtensionRef",
        "RequestHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "ResponseHeaderModifier",
        "URLRewrite",
    ]
    """Which of them it is."""
    request_header_modifier: HeaderFilter | None = None
    """Changes header fields of requests."""
    response_header_modifier: HeaderFilter | None = None
    """Changes header fields of answers."""
    request_mirror: RequestMirror | None = None
    """Sends a copy elsewhere."""
    request_redirect: RequestRedirect | None = None
    """Sends the client elsewhere."""
    url_rewrite: UrlRewrite | None = None
    """Changes where requests go."""
    cors: Cors | None = None
    """Answers browsers."""
    extension_ref: LocalRef | None = None
    """A filter of one's own: a Policy of `heddle.dev`."""


def _once(kind: str) -> Rule:
    return rule(f"self.filter(f, f.type == '{kind}').size() <= 1", f"{kind} filter cannot be repeated")


FILTER_RULES = rules(
    rule(
        "!(self.exists(f, f.type == 'RequestRedirect') && self.exists(f, f.type == 'URLRewrite'))",
        "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both",
    ),
    _once("RequestHeaderModifier"),
    _once("ResponseHeaderModifier"),
    _once("RequestRedirect"),
    _once("URLRewrite"),
    _once("CORS"),
)
