"""How a service wants callers to prove who they are: its schemes, and which of them an operation demands.

Owns reading, not obeying: credentials are the gateway's to give, and the URLs named here are strings until the part
that guards discovery has looked at them.

*Source:* OpenAPI Specification 3.1.1 sections 4.8.27 to 4.8.30 (Security Scheme, OAuth Flows, Security Requirement).
"""

from typing import Any

from heddle.wire.openapi.operation import Demand, Scheme
from heddle.wire.openapi.reading import Document, field_list, field_object, field_text, object_at, place, text_at, wrong

KINDS = ("apiKey", "http", "oauth2", "openIdConnect", "mutualTLS")
MAX_SCHEMES = 64
MAX_ALTERNATIVES = 32


def read_schemes(document: Document, components: dict[str, Any]) -> dict[str, Scheme]:
    """The schemes that a document declares, by name. Raises ProtocolError."""
    given = field_object(components, "securitySchemes", "components")
    if len(given) > MAX_SCHEMES:
        raise wrong("components.securitySchemes", f"at most {MAX_SCHEMES} schemes")
    return {
        text_at(name, "components.securitySchemes"): _scheme(document, name, value) for name, value in given.items()
    }


def _scheme(document: Document, name: str, value: Any) -> Scheme:
    given, at = document.resolve(value, f"components.securitySchemes.{name}")
    kind: Any = field_text(given, "type", at)
    if kind not in KINDS:
        raise wrong(f"{at}.type", f"one of {', '.join(KINDS)}")
    if kind == "apiKey":
        location: Any = field_text(given, "in", at)
        parameter = field_text(given, "name", at)
        if location not in ("header", "query", "cookie"):
            raise wrong(f"{at}.in", "header, query or cookie")
        if not parameter:
            raise wrong(f"{at}.name", "the name of what carries the key")
        return Scheme(name=name, kind=kind, location=location, parameter=parameter)
    if kind == "http":
        http_scheme = field_text(given, "scheme", at).lower()
        if not http_scheme:
            raise wrong(f"{at}.scheme", "a scheme of HTTP")
        return Scheme(name=name, kind=kind, http_scheme=http_scheme)
    flows = {
        text_at(flow, at): document.data(object_at(inner, f"{at}.flows.{flow}"), f"{at}.flows.{flow}")
        for flow, inner in field_object(given, "flows", at).items()
    }
    return Scheme(name=name, kind=kind, flows=flows, discovery_url=field_text(given, "openIdConnectUrl", at))


def credential_places(schemes: dict[str, Scheme]) -> frozenset[tuple[str, str]]:
    """Location and lower-case name of what carries API keys; other credentials stand in reserved fields anyway."""
    return frozenset((one.location, one.parameter.lower()) for one in schemes.values() if one.kind == "apiKey")


def read_demands(given: dict[str, Any], at: str, schemes: dict[str, Scheme]) -> tuple[tuple[Demand, ...], ...] | None:
    """The alternatives under `security`, or None where nothing is said. Raises ProtocolError."""
    if given.get("security") is None:
        return None
    alternatives = field_list(given, "security", at)
    if len(alternatives) > MAX_ALTERNATIVES:
        raise wrong(place(at, "security"), f"at most {MAX_ALTERNATIVES} alternatives")
    return tuple(
        _alternative(one, f"{place(at, 'security')}[{index}]", schemes) for index, one in enumerate(alternatives)
    )


def _alternative(value: Any, at: str, schemes: dict[str, Scheme]) -> tuple[Demand, ...]:
    demands = []
    given = object_at(value, at)
    for name in given:
        if name not in schemes:
            raise wrong(at, "names of `components.securitySchemes`")
        scopes = tuple(text_at(scope, f"{at}.{name}") for scope in field_list(given, name, at))
        demands.append(Demand(scheme=name, scopes=scopes))
    return tuple(demands)
