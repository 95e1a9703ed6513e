"""Small objects of all kinds that are compiled, right and wrong ones, in a few names and namespaces that meet often."""

from typing import Any

from hypothesis import strategies as st

from heddle.controlplane.compiling.objects import RESOURCES
from heddle.drivers.documents import Key

SECRET = "c0ffee-is-secret"
ENVIRONMENT = {"KEY": "environment-is-secret"}
NAMESPACES = ("default", "team", "other")
NAMES = ("a", "b", "a.team")
TIMES = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z")
_GATEWAY = "gateway.networking.k8s.io"


def pick(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def some(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping of fields, each of which may be a strategy."""
    return st.fixed_dictionaries(
        {name: one if isinstance(one, st.SearchStrategy) else st.just(one) for name, one in fields.items()}
    )


name = pick("a", "a", *NAMES, "gone")
namespace = pick(*NAMESPACES)
broken = pick({}, {"spec": None}, {"spec": 5}, {"spec": {"nonsense": {"deep": [1, 2]}}}, {"spec": []})


def refs(kinds: tuple[tuple[str, str], ...]) -> st.SearchStrategy[dict[str, Any]]:
    def made(kind: tuple[str, str]) -> st.SearchStrategy[dict[str, Any]]:
        plain = some(group=kind[0], kind=kind[1], name=name)
        return st.one_of(plain, some(group=kind[0], kind=kind[1], name=name, namespace=namespace))

    return pick(*kinds).flatmap(made)


def lists(of: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[list[Any]]:
    return st.lists(of, max_size=most)


_HEADERS = pick({}, {"x-key": "secret:a/api-key"}, {"x-key": "${KEY}"}, {"x": "configmap:a/k"})
_RULE = st.one_of(
    some(action=pick("allow", "deny"), when=pick("", "principal.user == 'u'", "this is no CEL")),
    some(action=pick("allow", "deny"), mode=pick("enforce", "audit"), name=name),
    some(action="nonsense"),
)
SPECS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "namespaces": some(metadata=some(labels=pick({}, {"team": "x"}))),
    "services": some(spec=some(ports=pick([], [{"port": 80}]))),
    "configmaps": some(data=pick({}, {"k": "value"})),
    "secrets": some(stringData=pick({}, {"api-key": SECRET}, {"api-key": f"{SECRET}-2"}, {"other": "x\ny"})),
    "referencegrants.gateway.networking.k8s.io": some(
        spec=some(
            **{
                "from": lists(refs((("kagent.dev", "Agent"), (_GATEWAY, "HTTPRoute"), ("heddle.dev", "Model")))),
                "to": pick(
                    [{"group": "kagent.dev", "kind": "ModelConfig"}],
                    [{"group": "heddle.dev", "kind": "Backend", "name": "a"}, {"group": "kagent.dev", "kind": "Agent"}],
                ),
            }
        )
    ),
    "gatewayparameters.heddle.dev": some(
        spec=some(trustDomain=pick("one.example", "two.example"), admin=pick({"port": 9100}, {"port": 9200}))
    ),
    "backends.heddle.dev": some(
        spec=st.one_of(
            some(provider=some(type=pick("scripted", "scripted", "nonsense"), apiKeySecret=pick("a", "gone"))),
            some(provider=some(type="openai", apiKey="${KEY}", name=name)),
            some(mcp=some(http=some(url=pick("http://127.0.0.1:9/mcp", "nonsense"), headers=_HEADERS))),
            some(mcp=some(http={"url": "http://127.0.0.1:9/"}, authorization=lists(_RULE))),
        )
    ),
    "models.heddle.dev": some(
        spec=st.one_of(
            some(provider=name),
            some(name=pick("gpt", "gpt-*", "*"), targets=lists(some(provider=name, weight=pick(1, 2)))),
            some(aliases=lists(name), provider=pick("a", "a.team", "a.other")),
            st.just({}),
        )
    ),
    "virtualservers.heddle.dev": some(
        spec=st.one_of(
            some(targets=lists(name, 3), prefix=pick("auto", "always", "never")),
            some(targets=lists(some(name=name, fallbacks=lists(name))), listeners=lists(pick("mcp", "http"))),
            some(targets=lists(name), authorization=lists(_RULE), path=pick("/mcp", "/mcp/x")),
        )
    ),
    "policies.heddle.dev": some(
        spec=st.one_of(
            some(authorization=_RULE, targetRefs=lists(some(kind="Gateway", name=name))),
            some(authorization=_RULE),
            some(authentication=pick({"type": "none"}, {"type": "api_key", "keys": [{"key": "${KEY}", "user": "u"}]})),
            some(rateLimit=some(limit=pick(1, 2), window=pick("1m", "7s"))),
            some(retry=some(attempts=pick(1, 2))),
            some(budget=some(limitUsd=1.0, window="24h", match=pick({}, {"tenant": "team"}))),
            some(guard=some(recognisers=pick("card", "nonsense"))),
            some(prices=lists(some(model="gpt", provider=name, input=1.0, output=2.0))),
            some(cache=some(ttl="1m"), retry={}),
        )
    ),
    "remotemcpservers.kagent.dev": some(
        spec=some(
            url="http://127.0.0.1:9/mcp",
            headersFrom=lists(some(name="x", valueFrom=some(type="Secret", name=name, key="api-key"))),
            allowedNamespaces=pick({"from": "All"}, {"from": "Selector", "selector": {"matchLabels": {"team": "x"}}}),
        )
    ),
    "mcpservers.kagent.dev": some(
        spec=some(
            deployment=some(
                cmd=pick("", "true"), secretRefs=lists(some(name=name)), configMapRefs=lists(some(name=name))
            )
        )
    ),
    "modelconfigs.kagent.dev": some(
        spec=some(model="gpt", provider=pick("OpenAI", "openai", "nonsense"), apiKeySecret=pick("", "a", "gone"))
    ),
    "modelproviderconfigs.kagent.dev": some(spec=some(type="OpenAI", secretRef=some(name=name))),
    "agents.kagent.dev": some(
        spec=some(
            type=pick("Declarative", "BYO"),
            declarative=some(
                modelConfig=pick("a", "b", "team/a", "../../x", "gone"),
                tools=lists(
                    st.one_of(
                        some(type="Agent", agent=some(name=pick("a", "b", "team/a"))),
                        some(type="McpServer", mcpServer=some(kind=pick("RemoteMCPServer", "", "Service"), name=name)),
                        some(
                            type="McpServer",
                            mcpServer=some(kind="RemoteMCPServer", name=name, namespace=namespace, toolNames=["t"]),
                        ),
                    )
                ),
            ),
        )
    ),
    "gateways.gateway.networking.k8s.io": some(
        spec=some(
            gatewayClassName=pick("heddle", "heddle", "heddle", "other"),
            addresses=pick([], [{"value": "0.0.0.0"}]),
            infrastructure=pick(
                {}, {"parametersRef": {"group": "heddle.dev", "kind": "GatewayParameters", "name": "a"}}
            ),
            listeners=st.lists(
                some(
                    name=pick("http", "mcp"),
                    port=pick(8080, 8081),
                    protocol=pick("HTTP", "heddle.dev/MCP"),
                    hostname=pick("a.example", "*.example"),
                ),
                min_size=1,
                max_size=2,
            ),
        )
    ),
    "httproutes.gateway.networking.k8s.io": some(
        spec=some(
            parentRefs=lists(st.one_of(some(name=name), some(name=name, sectionName="http", namespace=namespace))),
            hostnames=lists(pick("a.example", "b.test")),
            rules=lists(
                some(
                    matches=lists(some(path=some(type=pick("Exact", "nonsense"), value="/x"))),
                    backendRefs=lists(
                        refs((("heddle.dev", "Backend"), ("heddle.dev", "Model"), ("", "Service"), ("x", "Y")))
                    ),
                )
            ),
        )
    ),
}
"""Resource -> what its objects hold beside their names."""


CALLERS = Key("policies.heddle.dev", "default", "callers")
"""Says who may call: without it no listener is bound."""
_TOGETHER = (
    ("secrets", "backends.heddle.dev", "models.heddle.dev", "gateways.gateway.networking.k8s.io"),
    ("secrets", "remotemcpservers.kagent.dev", "virtualservers.heddle.dev", "gateways.gateway.networking.k8s.io"),
    ("policies.heddle.dev", "gateways.gateway.networking.k8s.io", "gatewayparameters.heddle.dev"),
    ("policies.heddle.dev", "backends.heddle.dev", "models.heddle.dev"),
    ("agents.kagent.dev", "modelconfigs.kagent.dev", "secrets", "referencegrants.gateway.networking.k8s.io"),
    ("agents.kagent.dev", "remotemcpservers.kagent.dev", "namespaces"),
    ("httproutes.gateway.networking.k8s.io", "gateways.gateway.networking.k8s.io", "services", "backends.heddle.dev"),
    ("mcpservers.kagent.dev", "configmaps", "secrets", "virtualservers.heddle.dev"),
    tuple(sorted(SPECS)),
)
"""Kinds that have to do with each other; with all at once few objects meet."""


@st.composite
def histories(draw: st.DrawFn, most: int = 30) -> list[tuple[Key, dict[str, Any] | None]]:
    """Objects of some kinds written and deleted, one after the other."""
    resources = draw(st.sampled_from(_TOGETHER))
    who = complete(CALLERS, {"spec": {"authentication": {"type": "api_key", "keys": [{"key": "${KEY}", "user": "u"}]}}})
    return [(CALLERS, who), *draw(st.lists(changes(resources), min_size=1, max_size=most))]


@st.composite
def changes(draw: st.DrawFn, resources: tuple[str, ...]) -> tuple[Key, dict[str, Any] | None]:
    """One object written or deleted."""
    resource = draw(st.sampled_from(resources))
    key = Key(resource, draw(pick("default", "default", *NAMESPACES)), draw(pick("a", "a", *NAMES)))
    if resource == "namespaces":
        key = Key(resource, "", draw(namespace))
    if draw(st.integers(0, 5)) == 0:
        return key, None
    body = draw(broken) if draw(st.integers(0, 11)) == 0 else draw(SPECS[resource])
    return key, complete(key, body, created=draw(pick(*TIMES)))


def complete(key: Key, body: dict[str, Any], *, created: str = TIMES[0], generation: int = 1) -> dict[str, Any]:
    """An object as the store has it."""
    group, kind = RESOURCES[key.resource]
    meta = {"name": key.name, "creationTimestamp": created, "generation": generation, **body.get("metadata", {})}
    if key.namespace:
        meta["namespace"] = key.namespace
    return {**body, "apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": meta}
