"""Small objects of all kinds that are compiled, right and wrong ones, in a few names and namespaces that meet often."""

from collections.abc import Callable
from random import Random
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


Make = Callable[[Random], Any]
"""Makes a value. Not a strategy: one drawn number makes a whole object, so that histories can be long."""


def pick(*values: Any) -> Make:
    return lambda random: random.choice(values)


def some(**fields: Any) -> Make:
    """A mapping of fields, each of which may be made."""
    return lambda random: {name: one(random) if callable(one) else one for name, one in fields.items()}


def either(*makes: Make) -> Make:
    return lambda random: random.choice(makes)(random)


name = pick("a", "a", *NAMES, "gone")
namespace = pick(*NAMESPACES)
broken = pick({}, {"spec": None}, {"spec": 5}, {"spec": {"nonsense": {"deep": [1, 2]}}}, {"spec": []})


def refs(*kinds: tuple[str, str]) -> Make:
    def made(random: Random) -> dict[str, Any]:
        group, kind = random.choice(kinds)
        ref = {"group": group, "kind": kind, "name": name(random)}
        return ref | ({"namespace": namespace(random)} if random.random() < 0.3 else {})

    return made


def lists(of: Make, most: int = 2, least: int = 0) -> Make:
    return lambda random: [of(random) for _ in range(random.randint(least, most))]


_HEADERS = pick({}, {"x-key": "secret:a/api-key"}, {"x-key": "${KEY}"}, {"x": "configmap:a/k"})
_RULE = either(
    some(action=pick("allow", "deny"), when=pick("", "principal.user == 'u'", "this is no CEL")),
    some(action=pick("allow", "deny"), mode=pick("enforce", "audit"), name=name),
    some(action="nonsense"),
)
SPECS: dict[str, Make] = {
    "namespaces": some(metadata=some(labels=pick({}, {"team": "x"}))),
    "services": some(spec=some(ports=pick([], [{"port": 80}]))),
    "configmaps": some(data=pick({}, {"k": "value"})),
    "secrets": some(stringData=pick({}, {"api-key": SECRET}, {"api-key": f"{SECRET}-2"}, {"other": "x\ny"})),
    "referencegrants.gateway.networking.k8s.io": some(
        spec=some(
            **{
                "from": lists(refs(("kagent.dev", "Agent"), (_GATEWAY, "HTTPRoute"), ("heddle.dev", "Model"))),
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
        spec=either(
            some(provider=some(type=pick("scripted", "scripted", "nonsense"), apiKeySecret=pick("a", "gone"))),
            some(provider=some(type="openai", apiKey="${KEY}", name=name)),
            some(mcp=some(http=some(url=pick("http://127.0.0.1:9/mcp", "nonsense"), headers=_HEADERS))),
            some(mcp=some(http={"url": "http://127.0.0.1:9/"}, authorization=lists(_RULE))),
        )
    ),
    "models.heddle.dev": some(
        spec=either(
            some(provider=name),
            some(name=pick("gpt", "gpt-*", "*"), targets=lists(some(provider=name, weight=pick(1, 2)))),
            some(aliases=lists(name), provider=pick("a", "a.team", "a.other")),
            pick({}),
        )
    ),
    "virtualservers.heddle.dev": some(
        spec=either(
            some(targets=lists(name, 3), prefix=pick("auto", "always", "never")),
            some(targets=lists(some(name=name, fallbacks=lists(name))), listeners=lists(pick("mcp", "http"))),
            some(targets=lists(name), authorization=lists(_RULE), path=pick("/mcp", "/mcp/x")),
        )
    ),
    "policies.heddle.dev": some(
        spec=either(
            some(authorization=_RULE, targetRefs=lists(some(kind="Gateway", name=name))),
            some(authorization=_RULE),
            some(authentication=pick({"type": "none"}, {"type": "api_key", "keys": [{"key": "${KEY}", "user": "u"}]})),
            some(rateLimit=some(limit=pick(1, 2), window=pick("1m", "1h", "7s"))),
            some(retry=some(attempts=pick(1, 2))),
            some(budget=some(limitUsd=1.0, window="24h", match=pick({}, {"tenant": "team"}))),
            some(guard=some(recognisers=pick("card", "card", "nonsense"))),
            some(prices=lists(some(model="gpt", provider=name, input=1.0, output=2.0))),
            some(cache=some(ttl="1m")),
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
                    either(
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
            addresses=pick([], [], [{"value": "0.0.0.0"}]),
            infrastructure=pick(
                {}, {}, {}, {"parametersRef": {"group": "heddle.dev", "kind": "GatewayParameters", "name": "a"}}
            ),
            listeners=lists(
                some(
                    name=pick("http", "mcp"),
                    port=pick(8080, 8081),
                    protocol=pick("HTTP", "heddle.dev/MCP"),
                    hostname=pick("a.example", "a.example", "b.test", "*.example"),
                ),
                least=1,
            ),
        )
    ),
    "httproutes.gateway.networking.k8s.io": some(
        spec=some(
            parentRefs=lists(either(some(name=name), some(name=name, sectionName="http", namespace=namespace))),
            hostnames=lists(pick("a.example", "b.test")),
            rules=lists(
                some(
                    matches=lists(some(path=some(type=pick("Exact", "nonsense"), value="/x"))),
                    backendRefs=lists(
                        refs(("heddle.dev", "Backend"), ("heddle.dev", "Model"), ("", "Service"), ("x", "Y"))
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
def histories(draw: st.DrawFn, most: int = 80) -> list[tuple[Key, dict[str, Any] | None]]:
    """Objects of some kinds written and deleted, one after the other."""
    resources = draw(st.sampled_from(_TOGETHER))
    who = complete(CALLERS, {"spec": {"authentication": {"type": "api_key", "keys": [{"key": "${KEY}", "user": "u"}]}}})
    random = Random(draw(st.integers(0, 2**64)))
    return [(CALLERS, who), *(change(random, resources) for _ in range(draw(st.integers(1, most))))]


def crowds(seed: int, size: int = 300) -> dict[Key, dict[str, Any]]:
    """Many objects of all kinds at once; the few that are named by others are among them."""
    random = Random(seed)
    who = {"spec": {"authentication": {"type": "api_key", "keys": [{"key": "${KEY}", "user": "u"}]}}}
    made = {CALLERS: complete(CALLERS, who, created="2025-01-01T00:00:00Z")}
    for number in range(size):
        key, raw = change(random, tuple(SPECS))
        if random.random() < 0.6 and key.resource != "namespaces":
            key = key._replace(name=f"{key.name}-{number}")
        if raw is not None:
            made[key] = complete(key, {name: one for name, one in raw.items() if name != "metadata"})
    return made


def change(random: Random, resources: tuple[str, ...]) -> tuple[Key, dict[str, Any] | None]:
    """One object written or deleted."""
    resource = random.choice(resources)
    key = Key(resource, random.choice(("default", "default", *NAMESPACES)), random.choice(("a", "a", *NAMES)))
    if resource == "namespaces":
        key = Key(resource, "", namespace(random))
    if random.random() < 0.2:
        return key, None
    body = (broken if random.random() < 0.1 else SPECS[resource])(random)
    return key, complete(key, body, created=random.choice(TIMES))


def complete(key: Key, body: dict[str, Any], *, created: str = TIMES[0], generation: int = 1) -> dict[str, Any]:
    """An object as the store has it."""
    group, kind = RESOURCES[key.resource]
    meta = {"name": key.name, "creationTimestamp": created, "generation": generation, **body.get("metadata", {})}
    if key.namespace:
        meta["namespace"] = key.namespace
    return {**body, "apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": meta}
