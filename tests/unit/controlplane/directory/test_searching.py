"""What is found by whom, and what a question may be."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from heddle.controlplane.access.caller import Attributes, Caller, Decision
from heddle.controlplane.directory.searching import RESOURCES, Question, Searching, asked
from heddle.drivers.documents import Key
from heddle.wire.kube.status import ApiError

TOOLS, AGENTS = "tools.directory.heddle.dev", "agents.kagent.dev"
ANN = Caller("ann", ("system:authenticated",))


class Stored(NamedTuple):
    key: Key
    object: dict[str, Any]


class Event(NamedTuple):
    kind: str
    stored: Stored


class FakeStore:
    """Objects by key, and who follows which resource."""

    def __init__(self) -> None:
        self.objects: dict[Key, Stored] = {}
        self.followers: dict[str, Callable[[Any], None]] = {}

    def follow(self, resource: str, follower: Callable[[Any], None]) -> None:
        self.followers[resource] = follower

    def get(self, key: Key) -> Stored | None:
        return self.objects.get(key)

    def list(self, resource: str, namespace: str | None = None) -> list[Stored]:
        assert namespace is None
        return [one for key, one in self.objects.items() if key.resource == resource]

    async def write(self, writes: Any) -> None:
        raise AssertionError("nobody writes who looks")

    def put(self, resource: str, namespace: str, called: str, /, **spec: Any) -> None:
        key = Key(resource, namespace, called)
        kind = {TOOLS: "Tool", AGENTS: "Agent"}.get(resource, "Model")
        value = {"kind": kind, "metadata": {"labels": spec.pop("labels", {})}, "spec": spec}
        self.objects[key] = Stored(key, value)
        self.tell("MODIFIED", key)

    def remove(self, resource: str, namespace: str, name: str) -> None:
        self.tell("DELETED", Key(resource, namespace, name))
        del self.objects[Key(resource, namespace, name)]

    def tell(self, kind: str, key: Key) -> None:
        if key.resource in self.followers:
            self.followers[key.resource](Event(kind, self.objects[key]))


def allowing(*places: tuple[str, str]) -> Callable[[Caller, Attributes], Decision]:
    def authorize(caller: Caller, attributes: Attributes) -> Decision:
        assert caller is ANN
        assert attributes.verb == "list"
        return Decision((f"{attributes.resource}.{attributes.group}", attributes.namespace) in places)

    return authorize


def everything(caller: Caller, attributes: Attributes) -> Decision:
    return Decision(True)


@pytest.fixture
def store() -> FakeStore:
    store = FakeStore()
    schema = {"type": "object", "properties": {"invoice": {}, "amount": {}}}
    store.put(TOOLS, "shop", "shop.refund", name="refund_order", description="Gives money back", inputSchema=schema)
    store.put(TOOLS, "bank", "bank.transfer", name="transfer", description="Sends money to an account")
    store.put(AGENTS, "shop", "support", description="Helps whoever wants a refund", labels={"team": "billing"})
    return store


def found(searching: Searching, text: str, authorize: Any = everything, **more: Any) -> list[str]:
    answer = searching.answer(Question(text, **more), ANN, authorize)
    return [one["name"] for one in answer["items"]]


def test_names_descriptions_parameters_and_labels_are_looked_through(store: FakeStore):
    searching = Searching(store)
    assert found(searching, "refund an order") == ["shop.refund", "support"]
    assert found(searching, "invoice") == ["shop.refund"]
    assert found(searching, "billing") == ["support"]
    assert found(searching, "money", limit=1) == found(searching, "money")[:1]
    assert found(searching, "money", namespace="bank") == ["bank.transfer"]
    assert found(searching, "refund", resources=(AGENTS,)) == ["support"]


def test_the_index_follows_every_change(store: FakeStore):
    searching = Searching(store)
    store.put(TOOLS, "bank", "bank.transfer", name="transfer", description="Now about weather")
    assert found(searching, "weather") == ["bank.transfer"]
    assert found(searching, "account") == []
    store.remove(TOOLS, "bank", "bank.transfer")
    assert found(searching, "weather") == []
    store.objects.clear()
    store.followers[TOOLS](None)
    assert found(searching, "refund") == [], "changes were passed over: all is read again"


def test_who_asks_is_shown_what_they_may_list_and_scores_tell_nothing_else(store: FakeStore):
    searching = Searching(store)
    assert found(searching, "money refund", allowing()) == []
    assert found(searching, "money refund", allowing((TOOLS, "shop"))) == ["shop.refund"]
    assert found(searching, "money", allowing((TOOLS, ""))) == ["bank.transfer", "shop.refund"]
    here = allowing((TOOLS, "shop"))
    before = searching.answer(Question("money"), ANN, here)
    for number in range(20):
        store.put(TOOLS, "secret", f"s{number}", name="money", description="money money")
    assert searching.answer(Question("money"), ANN, here) == before


def test_what_is_shown_has_no_control_characters_and_is_short(store: FakeStore):
    store.put(TOOLS, "shop", "shop.long", name="long", description="x\x1b[2J\u202e" + "word " * 5_000)
    item = Searching(store).answer(Question("word"), ANN, everything)["items"][0]
    assert item["description"].isprintable()
    assert len(item["description"]) <= 1_000


def test_objects_of_any_form_do_no_harm(store: FakeStore):
    for number, spec in enumerate(
        ({"description": 3}, {"name": ["a"]}, {"inputSchema": [1]}, {"inputSchema": {"properties": 1}}, {"skills": "x"},
         {"skills": [1, "y"]}, {"source": 5})
    ):  # fmt: skip
        store.put(TOOLS, "odd", f"odd{number}", **spec)
    store.objects[Key(AGENTS, "odd", "none")] = Stored(Key(AGENTS, "odd", "none"), {"spec": None, "metadata": []})
    store.tell("ADDED", Key(AGENTS, "odd", "none"))
    assert "odd0" in found(Searching(store), "odd0")


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ({}, "q: say what"),
        ({"q": ["  "]}, "q: say what"),
        ({"q": ["x" * 501]}, "500 characters"),
        ({"q": ["a", "b"]}, "more than once"),
        ({"q": ["a"], "limit": ["0"]}, "limit"),
        ({"q": ["a"], "limit": ["101"]}, "limit"),
        ({"q": ["a"], "limit": ["9" * 5_000]}, "limit"),
        ({"q": ["a"], "limit": ["٣"]}, "limit"),
        ({"q": ["a"], "kind": ["secrets"]}, "is not searched"),
        ({"q": ["a"], "watch": ["1"]}, "unknown option"),
    ],
)
def test_a_question_that_is_none_is_told_why(query: dict[str, list[str]], part: str):
    with pytest.raises(ApiError) as refused:
        asked(query)
    assert refused.value.code == 400
    assert part in refused.value.message


def test_kinds_are_named_as_people_do():
    assert asked({"q": ["a"]}).resources == RESOURCES
    assert asked({"q": ["a"], "kind": ["Agents,tools"]}).resources == (
        AGENTS, "discoveredagents.directory.heddle.dev", TOOLS
    )  # fmt: skip
    assert asked({"q": ["a"], "kind": [TOOLS], "limit": ["7"], "namespace": ["n"]}) == Question("a", "n", (TOOLS,), 7)
