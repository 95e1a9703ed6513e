import pytest

from heddle.wire.kube.fieldsets import difference, holds, intersection, key_step, parse, paths, union, value_step

LEAF = {}


def test_union_keeps_a_field_that_has_fields_below_it():
    assert union({"f:a": LEAF}, {"f:a": {"f:b": LEAF}}) == {"f:a": {".": LEAF, "f:b": LEAF}}
    assert union({"f:a": {"f:b": LEAF}}, {"f:a": {"f:c": LEAF}}) == {"f:a": {"f:b": LEAF, "f:c": LEAF}}


def test_difference_takes_fields_not_what_is_below_them():
    fields = {"f:a": {".": LEAF, "f:b": LEAF}}
    assert difference(fields, {"f:a": LEAF}) == {"f:a": {"f:b": LEAF}}
    assert difference(fields, {"f:a": {"f:b": LEAF}}) == {"f:a": LEAF}
    assert difference(fields, fields) == {}


def test_intersection():
    one = {"f:a": {".": LEAF, "f:b": LEAF}, "f:c": LEAF}
    assert intersection(one, {"f:a": LEAF, "f:d": LEAF}) == {"f:a": LEAF}
    assert intersection(one, {"f:a": {"f:x": LEAF}}) == {}


def test_whether_a_field_is_in_a_set():
    fields = {"f:a": {"f:b": LEAF}, "f:c": {".": LEAF, "f:d": LEAF}}
    assert [holds(fields, step) for step in ("f:a", "f:c", "f:x")] == [False, True, False]
    assert holds(fields["f:a"], "f:b")


def test_nothing_is_changed_in_place():
    one, other = {"f:a": {"f:b": LEAF}}, {"f:a": LEAF, "f:c": LEAF}
    for combine in (union, difference, intersection):
        combine(one, other)
    assert (one, other) == ({"f:a": {"f:b": {}}}, {"f:a": {}, "f:c": {}})


def test_paths_are_shown_as_a_real_api_server_shows_them():
    fields = {
        "f:spec": {"f:b": {"f:c": LEAF}, "f:a": {".": LEAF, key_step({"name": "x", "n": 1}): {"f:z": LEAF}}},
        "f:q/w": {value_step("v"): LEAF, value_step(1): LEAF, "i:3": LEAF},
    }
    assert list(paths(fields)) == [
        '.q/w[="v"]',
        ".q/w[=1]",
        ".q/w[3]",
        ".spec.a",
        '.spec.a[n=1,name="x"].z',
        ".spec.b.c",
    ]


def test_steps():
    assert key_step({"b": 1, "a": "x"}) == 'k:{"a":"x","b":1}'
    assert [value_step(value) for value in ("x", 'a"b', 1, True, None, "ä")] == [
        'v:"x"',
        'v:"a\\"b"',
        "v:1",
        "v:true",
        "v:null",
        'v:"ä"',
    ]


def test_what_clients_write_is_spelt_as_we_spell_it():
    written = {"f:a": {'k:{"y": 1, "x": 2}': {".": {}}, 'v:"b"': {}, "i:0": {}}, ".": {}}
    assert parse(written) == {"f:a": {'k:{"x":2,"y":1}': {}, 'v:"b"': {}, "i:0": {}}}


@pytest.mark.parametrize(
    "written",
    [
        None,
        [],
        "x",
        {"a": {}},
        {"f:a": 1},
        {"f:a": []},
        {"k:1": {}},
        {"k:{}": {}},
        {"k:{": {}},
        {"v:": {}},
        {"i:x": {}},
        {"i:1.5": {}},
    ],
)
def test_what_is_no_set(written):
    with pytest.raises(ValueError, match="fieldsV1"):
        parse(written)


def test_a_set_nested_without_end():
    written = {}
    for _ in range(5000):
        written = {"f:a": written}
    with pytest.raises(ValueError, match="nested"):
        parse(written)
