"""Every change of every field of every kind is seen: by its digest, by its grade, and by the screen."""

import copy
import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from heddle.directory.changes import classify, render_diff
from heddle.directory.definitions import KINDS, Definition, canonical, define, set_digest
from heddle.directory.poisoning import check
from heddle.directory.screening import Screen
from heddle.directory.visible import is_unseen
from heddle.drivers.approvals.memory import MemoryApprovals
from heddle.model.snapshot_mcp import SafetySpec
from heddle.wire.errors import ProtocolError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v, max_size=3), max_leaves=8)

SCHEMA = {
    "type": "object",
    "properties": {
        "to": {"type": "string", "description": "Who", "maxLength": 9},
        "n": {"type": "integer", "default": 1},
    },
    "required": ["to"],
    "additionalProperties": False,
}
WHOLE: dict[str, Any] = {
    "tool": {"name": "a", "title": "A", "description": "Does.", "inputSchema": SCHEMA, "outputSchema": SCHEMA,
             "annotations": {"readOnlyHint": True, "title": "A"}, "icons": [{"src": "https://a.example/i"}],
             "execution": {"taskSupport": "optional"}, "_meta": {"ui": {"resourceUri": "ui://a"}}},
    "prompt": {"name": "a", "title": "A", "description": "Does.", "icons": [{"src": "https://a.example/i"}],
               "arguments": [{"name": "x", "description": "X", "required": True}], "_meta": {"k": 1}},
    "resource": {"uri": "a://b", "name": "a", "title": "A", "description": "Is.", "mimeType": "text/plain", "size": 3,
                 "annotations": {"audience": ["user"], "priority": 1, "lastModified": "2026-01-01"}, "_meta": {"k": 1}},
    "template": {"uriTemplate": "a://{b}", "name": "a", "description": "Is.", "mimeType": "text/plain",
                 "annotations": {"audience": ["user"]}, "_meta": {"k": 1}},
    "instructions": "Be kind. Ask first.",
}  # fmt: skip
NAMES = {"name", "uri", "uriTemplate"}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a definition."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def mutated(value: Any, path: tuple[Any, ...], other: Any, how: str) -> Any:
    """The value with one place replaced, removed, or with a neighbour."""
    if not path:
        return other
    new = copy.deepcopy(value)
    at = new
    for key in path[:-1]:
        at = at[key]
    if how == "remove":
        del at[path[-1]]
    elif how == "add":
        at.insert(path[-1], other) if isinstance(at, list) else at.__setitem__(f"{path[-1]}_", other)
    else:
        at[path[-1]] = other
    return new


CASES = st.sampled_from(KINDS).flatmap(
    lambda kind: st.tuples(
        st.just(kind), st.sampled_from(places(WHOLE[kind])), VALUES, st.sampled_from(["set", "remove", "add"])
    )
)


def is_volatile(kind: str, path: tuple[Any, ...]) -> bool:
    return kind in ("resource", "template") and path in [("size",), ("annotations", "lastModified")]


@settings(max_examples=600, deadline=None)
@given(CASES)
def test_every_mutation_of_every_kind_is_detected(case: tuple[Any, ...]):
    kind, path, other, how = case
    assume(not is_volatile(kind, path))
    old = define(kind, WHOLE[kind])
    value = mutated(WHOLE[kind], path, other, how)
    assume(json.dumps(value, sort_keys=True) != json.dumps(WHOLE[kind], sort_keys=True))
    # 1 and 1.0 are one number, in JSON as in JavaScript.
    assume(value != WHOLE[kind] or "true" in json.dumps(other) or "false" in json.dumps(other))
    try:
        new = define(kind, value)
    except ProtocolError:
        return  # Refused, which nobody overlooks either.
    assert new.digest != old.digest
    assert set_digest([new]) != set_digest([old])
    assert classify(old, new).severity != "none"
    assert classify(old, new).reasons
    store = MemoryApprovals()
    try:
        keep = define("tool", {"name": "other", "description": "Something else entirely."})
        quiet = Screen(store, SafetySpec(poisoning="off"))
        quiet.screen("t", [old, keep], {})
        found = quiet.screen("t", [new, keep], {})
        assert found.set_changed
        assert new.key in found.changes
        if new.key == old.key:
            severity = found.changes[new.key].severity
            held = severity in ("schema_widened", "instructions")
            assert (new.key in found.withheld) is held
        else:
            assert old.key in found.removed
    finally:
        store.close()


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_the_canonical_form_is_its_own_canonical_form(value: Any):
    written = canonical(value)
    assert canonical(json.loads(written)) == written


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([kind for kind in KINDS if kind != "instructions"]), st.dictionaries(TEXT, VALUES, max_size=4))
def test_whatever_is_defined_can_be_compared_shown_and_checked(kind: Any, extra: dict[str, Any]):
    old = define(kind, WHOLE[kind])
    try:
        new = define(kind, {**WHOLE[kind], **extra})
    except ProtocolError:
        return
    assert classify(old, new).severity == ("none" if new.digest == old.digest else classify(old, new).severity)
    shown = render_diff(old, new)
    assert not [char for char in shown if char != "\n" and is_unseen(char)]
    for finding in check(new, {"o": [old] if kind == "tool" else []}, "t"):
        assert not [char for char in str(finding) if is_unseen(char)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_every_field_mutated(kind: Any):
    """Not by chance: each place of each kind once, removed and replaced."""
    old: Definition = define(kind, WHOLE[kind])
    for path in places(WHOLE[kind])[1:] or [()]:
        if is_volatile(kind, path) or path in [(name,) for name in NAMES]:
            continue
        for how in ("set", "remove") if path else ("set",):
            new = define(kind, mutated(WHOLE[kind], path, "something else", how))
            assert new.digest != old.digest, path
            assert classify(old, new).severity != "none", path
