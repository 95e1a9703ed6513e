"""What a call is about, in each form that a pattern may meet."""

import pytest

from heddle.identity.subjects import Names, Subject, folded, readings, subject_of
from heddle.model.mcp import McpCall


def call(kind: str, name: str, own: str = "", method: str = "") -> McpCall:
    return McpCall(method=method, server="s", version="", kind=kind, name=name, target="t", target_name=own)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uri", "forms"),
    [
        ("file:///data/x", {"file:///data/x"}),
        ("file:///data/../etc", {"file:///data/../etc", "file:///etc"}),
        ("file:///%2e%2e/etc", {"file:///%2e%2e/etc", "file:///../etc", "file:///etc"}),
        ("a://b/..\\c", {"a://b/..\\c", "a://b/c"}),
        ("a://b/c//../d", {"a://b/c//../d", "a://b/c/d", "a://b/d"}),
        ("mem:a/../b", {"mem:a/../b", "mem:b"}),
        ("file://host/../../x", {"file://host/../../x", "file://host/x"}),
        ("100%", {"100%"}),
        ("a%20b", {"a%20b", "a b"}),
        ("", set()),
        ("%2525252525", set()),
    ],
)
def test_readings_of_a_uri(uri: str, forms: set[str]) -> None:
    assert set(readings(uri)) == forms
    assert readings(uri)[:1] == ((uri,) if forms else ())


def test_scheme_and_host_are_folded_and_nothing_else_is() -> None:
    assert folded("FILE://Host/Data") == "file://host/Data"
    assert folded("URN:X:Y") == "urn:X:Y"
    assert folded("Plain/Text") == "Plain/Text"


def test_forms_of_a_tool() -> None:
    assert subject_of(call("tool", "fs__read", "read")) == Subject("tool", "s", "t", ("fs__read",), ("t/read",))
    assert subject_of(call("tool", "a@1", "x"), {("s", "a")}).seen == ("a@1", "a")
    assert subject_of(call("tool", "a@1", "x"), {("other", "a")}).seen == ("a@1",)
    assert subject_of(call("tool", "a")).stable == ()


def test_only_lists_have_templates() -> None:
    template = call("resource", "t+f:///{a}/{b}", "f:///{a}/{b}")
    listed = subject_of(template, listing=True)
    assert (listed.seen, listed.stable, listed.template) == (("t+f:///*/*",), ("f:///*/*",), True)
    assert not subject_of(template).template
    assert not subject_of(call("tool", "{a}"), listing=True).template


@pytest.mark.parametrize("kind", ["tool", "resource"])
def test_what_nobody_can_read_is_denied_and_hardly_allowed(kind: str) -> None:
    unclear = Subject(kind, "s", "t", unclear=True)
    assert Names(kind, ("x",), wide=True).match(unclear)
    assert not Names(kind, ("x*",), wide=False).match(unclear)
    assert Names(kind, ("x*", "*"), wide=False).match(unclear)


def test_a_long_template_costs_no_more_than_its_length() -> None:
    many = call("resource", "{a}b" * 50_000, "{a}b" * 50_000)
    assert not Names("resource", ("*c" * 500,), wide=False).match(subject_of(many, listing=True))
