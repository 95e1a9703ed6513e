"""What a virtual server offers: names, collisions, what is hidden, and the way back from a URI."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.backends.mcp.faking import FakeTarget, fake_tools, raw, upstream

from heddle.backends.mcp.catalogue import Catalogue, Offer
from heddle.backends.mcp.contract import Described
from heddle.dataplane.mcp.surface import Part, Surface
from heddle.model.snapshot_mcp import (
    ArgumentSpec,
    McpServerSpec,
    ServerTargetSpec,
    ToolSpec,
    VersionedToolSpec,
    VersionSpec,
)
from heddle.wire.jsonrpc import RpcError

TOOLS = fake_tools()


def offers(key: str, *names: str, **more: Any) -> dict[str, Offer]:
    made = {name: {key: name, **more} for name in names}
    return {name: Offer(name, json.dumps(value).encode(), value) for name, value in made.items()}


def part(
    target: str, *tools: str, resources: tuple[str, ...] = (), templates: tuple[str, ...] = (), **spec: Any
) -> Part:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "required": ["a", "b"],
    }
    found = {
        "tool": offers("name", *tools, inputSchema=schema),
        "prompt": offers("name", *spec.pop("offered_prompts", ())),
        "resource": offers("uri", *resources, name="x"),
        "template": offers("uriTemplate", *templates, name="x"),
    }
    described = Described(
        version="2026-07-28", capabilities={"tools": {}, "resources": {}}, instructions=f"Of {target}."
    )
    return Part(
        ServerTargetSpec(target=target, **spec), upstream(FakeTarget(target), TOOLS), Catalogue(described, found, 0.0)
    )


def surface(*parts: Part, **spec: Any) -> Surface:
    return Surface(McpServerSpec(name="s", path="/mcp", targets=tuple(one.spec for one in parts), **spec), parts)


def test_one_target_has_no_prefix_and_several_have_theirs() -> None:
    assert list(surface(part("a", "x")).entries["tool"]) == ["x"]
    assert list(surface(part("a", "x"), prefix="always").entries["tool"]) == ["a__x"]
    assert list(surface(part("a", "x"), part("b", "x")).entries["tool"]) == ["a__x", "b__x"]
    assert list(surface(part("a", "x", prefix="p"), part("b", "x", prefix="")).entries["tool"]) == ["p__x", "x"]


def test_of_two_under_one_name_the_first_target_has_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        both = surface(part("a", "x"), part("b", "x", "y"), prefix="never")
    assert {name: entry.upstream.name for name, entry in both.entries["tool"].items()} == {"x": "a", "y": "b"}
    assert "is not offered: a has that name" in caplog.text
    tricky = surface(part("a", "b__c", prefix="p"), part("b", "c", prefix="p__b"))
    assert tricky.tool("p__b__c", "").upstream.name == "a"  # type: ignore[union-attr]


@given(
    st.lists(st.text(max_size=80), unique=True, max_size=30), st.lists(st.text(max_size=80), unique=True, max_size=30)
)
def test_every_tool_is_found_by_the_name_it_is_shown_under(one: list[str], other: list[str]) -> None:
    both = surface(part("a", *one), part("b", *other))
    names = list(both.entries["tool"])
    assert len(names) == len(one) + len(other)
    for name in names:
        entry = both.tool(name, "")
        assert entry is not None
        assert json.loads(entry.raw)["name"] == name
        assert entry.key in (one if entry.upstream.name == "a" else other)


def test_what_is_chosen_hidden_and_renamed() -> None:
    tools = (ToolSpec(name="read", alias="look"), ToolSpec(name="list_*"))
    shown = surface(part("a", "read", "list_x", "list_secret", "other", tools=tools, hide=("*secret",)))
    assert list(shown.entries["tool"]) == ["look", "list_x"]
    for name in ("read", "other", "list_secret", "look@1", "a__look"):
        assert shown.tool(name, "") is None
    assert shown.tool("look", "").key == "read"  # type: ignore[union-attr]


def test_arguments_are_shaped_in_the_definition_and_in_the_call() -> None:
    arguments = {"a": ArgumentSpec(fixed='"mine"'), "b": ArgumentSpec(default="5", description="A number.")}
    entry = surface(part("t", "x", tools=(ToolSpec(name="x", arguments=arguments),))).tool("x", "")
    assert entry is not None
    assert entry.shaping is not None
    schema = json.loads(entry.raw)["inputSchema"]
    assert schema["properties"] == {"b": {"type": "string", "description": "A number.", "default": 5}}
    assert "required" not in schema
    shaped, params = entry.shaping.apply({}, {})
    assert shaped == {"a": "mine", "b": 5} == json.loads(bytes(params["arguments"]))
    given_ = {"arguments": raw({"b": 1})}
    assert entry.shaping.apply({"b": 1}, given_)[0] == {"a": "mine", "b": 1}
    huge = entry.shaping.apply({"b": float("inf")}, {"arguments": raw({})})
    assert huge[0]["a"] == "mine"
    with pytest.raises(RpcError):
        entry.shaping.apply({"a": "hers"}, {"arguments": raw({"a": "hers"})})


def test_a_version_is_named_or_drawn_and_keeps_what_is_asked_of_its_tool() -> None:
    versions = VersionedToolSpec(
        name="x",
        versions=(
            VersionSpec(version="1", target="a", tool="x1"),
            VersionSpec(version="2", target="b", tool="x2", weight=0),
        ),
    )
    scoped = part("a", "x1", tools=(ToolSpec(name="x1", scopes=("pay",), cost_usd=0.5),))
    both = surface(scoped, part("b", "x2"), versions=(versions,))
    assert both.tool("x@2", "").upstream.name == "b"  # type: ignore[union-attr]
    assert both.tool("x@3", "") is None
    drawn = [both.tool("x", who) for who in ("alice", "bob", "carol")]
    assert {entry.upstream.name for entry in drawn if entry} == {"a"}
    first = both.tool("x", "alice")
    assert first is not None
    assert first.spec is not None
    assert (first.spec.scopes, first.spec.cost_usd) == (("pay",), 0.5)


def test_shares_are_by_weight_and_each_caller_stays() -> None:
    versions = VersionedToolSpec(
        name="x",
        versions=(
            VersionSpec(version="1", target="a", tool="x", weight=9),
            VersionSpec(version="2", target="b", tool="x", weight=1),
        ),
    )
    both = surface(part("a", "x"), part("b", "x"), versions=(versions,))
    found = [both.tool("x", f"caller {n}").upstream.name for n in range(1_000)]  # type: ignore[union-attr]
    assert 50 < found.count("b") < 160
    assert found == [both.tool("x", f"caller {n}").upstream.name for n in range(1_000)]  # type: ignore[union-attr]


LIMITED = ("file:///public/*",)


@pytest.mark.parametrize(
    "uri",
    [
        "a+file:///secret",
        "a+file:///public/../secret",
        "a+file:///public/%2e%2e/secret",
        "a+file:///public/%252e%252e/secret",
        "a+file:///public/..\\secret",
        "a+file:///public//../../secret",
        "a+",
        "a++",
        "file:///public/x",
        "c+file:///public/x",
        "A+file:///public/x",
    ],
)
def test_no_uri_leads_out_of_what_a_target_is_limited_to(uri: str) -> None:
    both = surface(_limited(), part("b"))
    assert both.resource(uri) is None
    assert both.resource("a+file:///public/x") is not None
    assert both.resource("a+file:///public/unlisted") is not None


def _limited() -> Part:
    made = part("a", resources=("file:///public/x", "file:///secret"))
    return made._replace(spec=ServerTargetSpec(target="a", resources=LIMITED))


def test_a_template_takes_what_fits_and_only_a_single_server_is_asked_for_the_rest() -> None:
    one = surface(part("a", templates=("note://{name}/body",)), part("b", prefix=""), prefix="never")
    assert one.resource("note://x/body").upstream.name == "a"  # type: ignore[union-attr]
    assert one.resource("other://x") is None, "of several servers none can be told to be meant"
    alone = surface(part("a"))
    assert alone.resource("other://x").key == "other://x"  # type: ignore[union-attr]


def test_capabilities_and_instructions_are_joined() -> None:
    both = surface(part("a"), part("b"))
    assert both.capabilities() == {"tools": {}, "resources": {}}
    assert both.instructions() == "# a\n\nOf a.\n\n# b\n\nOf b."
    assert surface(part("a")).instructions() == "Of a."
    assert surface(part("a"), part("b"), instructions="Ours.").instructions() == "Ours."
    missing = surface(part("a")._replace(catalogue=None), part("b"))
    assert not missing.complete
    assert list(missing.entries["tool"]) == []
