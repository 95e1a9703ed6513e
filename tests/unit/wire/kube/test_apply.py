import time

import pytest
from tests.unit.wire.kube.objects import SCHEMA, STRUCTURE, VERSION, Thing, configuration, edit

from heddle.wire.kube.apply import apply, track
from heddle.wire.kube.schema import Structure, validate
from heddle.wire.kube.status import ApiError


def refused(write):
    with pytest.raises(ApiError) as caught:
        write()
    return caught.value


# Owning


def test_an_applier_owns_what_it_applies_and_no_defaults():
    thing = Thing().apply("al", {"a": "1", "keyed": [{"name": "x"}], "set": ["p"], "list": ["q"], "atom": {"k": "v"}})
    assert thing.spec["count"] == 1
    assert thing.spec["keyed"] == [{"name": "x", "kind": "K"}]
    names = {"a", 'keyed[name="x"]', 'keyed[name="x"].name', 'set[="p"]', "list", "atom"}
    assert thing.owners == {"al": names}


def test_an_updater_owns_what_it_changed_defaults_too():
    thing = Thing().update("up", {"a": "1"})
    assert thing.owners == {"up": {".spec", "a", "count"}}
    thing.update("other", {"a": "1", "b": "2"})
    assert thing.owners == {"up": {".spec", "a", "count"}, "other": {"b"}}
    thing.update("other", {"b": "2", "count": 5})
    assert thing.owners == {"up": {".spec"}, "other": {"b", "count"}}


def test_two_may_own_the_same_value():
    thing = Thing().apply("al", {"a": "1"}).apply("bo", {"a": "1", "b": "2"})
    assert thing.owners == {"al": {"a"}, "bo": {"a", "b"}}


def test_nobody_owns_what_names_an_object():
    thing = Thing().apply("al", {"a": "1"}, metadata={"labels": {"x": "y"}, "namespace": "n"})
    (entry,) = thing.live["metadata"]["managedFields"]
    assert entry["fieldsV1"] == {"f:metadata": {"f:labels": {"f:x": {}}}, "f:spec": {"f:a": {}}}


def test_an_owner_of_nothing_is_not_listed():
    made = apply(
        None, {"apiVersion": VERSION, "kind": "Thing", "metadata": {"name": "t"}}, edit("al"), STRUCTURE, force=False
    )
    assert "managedFields" not in made["metadata"]


# Conflicts


def test_a_conflict_names_who_and_where():
    thing = Thing().apply("al", {"a": "1", "map": {"k": "v"}})
    error = refused(lambda: thing.apply("bo", {"a": "2", "map": {"k": "w"}}))
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == 'Apply failed with 2 conflicts: conflicts with "al":\n- .spec.a\n- .spec.map.k'
    assert error.details == {
        "causes": [
            {"reason": "FieldManagerConflict", "message": 'conflict with "al"', "field": ".spec.a"},
            {"reason": "FieldManagerConflict", "message": 'conflict with "al"', "field": ".spec.map.k"},
        ]
    }


def test_conflicts_with_updaters_and_subresources_say_so():
    thing = Thing().update("up", {"a": "1"})
    error = refused(lambda: thing.apply("al", {"a": "2"}))
    assert error.message == f'Apply failed with 1 conflict: conflict with "up" using {VERSION}: .spec.a'
    thing.update("up", subresource="status", status={"phase": "x"})
    error = refused(lambda: thing.apply_status("al", {"phase": "y"}))
    assert 'conflict with "up" with subresource "status" using heddle.dev/v1: .status.phase' in error.message


def test_what_is_forced_changes_hands():
    thing = Thing().apply("al", {"a": "1", "b": "1"}).apply("bo", {"a": "2"}, force=True)
    assert thing.spec["a"] == "2"
    assert thing.owners == {"al": {"b"}, "bo": {"a"}}


def test_an_owner_that_lost_everything_is_gone():
    thing = Thing().apply("al", {"a": "1"}).apply("bo", {"a": "2"}, force=True)
    assert set(thing.owners) == {"bo"}


def test_of_a_flood_of_conflicts_not_all_are_told():
    thing = Thing().apply("al", {"map": {f"k{n}": "1" for n in range(1000)}})
    error = refused(lambda: thing.apply("bo", {"map": {f"k{n}": "2" for n in range(1000)}}))
    assert error.message.startswith("Apply failed with 1000 conflicts: ")
    assert error.message.endswith("\n- and 744 more")
    assert len(error.details["causes"]) == 256


def test_an_atomic_list_is_one_field():
    thing = Thing().apply("al", {"list": ["x"]})
    error = refused(lambda: thing.apply("bo", {"list": ["x", "y"]}))
    assert error.details["causes"][0]["field"] == ".spec.list"


# Removing


def test_what_is_no_longer_applied_goes():
    thing = (
        Thing()
        .apply("al", {"a": "1", "b": "2", "map": {"x": "1", "y": "2"}})
        .apply("al", {"a": "1", "map": {"x": "1"}})
    )
    assert thing.spec == {"a": "1", "map": {"x": "1"}, "count": 1}


def test_but_not_what_somebody_else_owns():
    thing = Thing().apply("al", {"a": "1"}).apply("bo", {"a": "1"}).apply("al", {})
    assert thing.spec["a"] == "1"
    assert thing.owners == {"al": {".spec"}, "bo": {"a"}}


def test_an_item_goes_with_its_defaults():
    thing = Thing().apply("al", {"keyed": [{"name": "x"}, {"name": "y"}]}).apply("al", {"keyed": [{"name": "y"}]})
    assert thing.spec["keyed"] == [{"name": "y", "kind": "K"}]


def test_an_item_of_which_another_owns_a_part_stays_with_its_key():
    thing = Thing().apply("al", {"keyed": [{"name": "x", "value": "1"}]}).apply("bo", {"keyed": [{"name": "x"}]})
    thing.apply("al", {})
    assert thing.spec["keyed"] == [{"name": "x", "kind": "K"}]


def test_an_emptied_list_goes_an_emptied_map_stays():
    thing = Thing().apply("al", {"set": ["x"], "keyed": [{"name": "x"}], "open": {"p": 1}})
    thing.apply("al", {"set": [], "open": {}})
    assert thing.spec == {"open": {}, "count": 1}


def test_a_list_that_is_said_to_be_empty_is_there_the_next_time():
    """As kube-apiserver has it, recorded: pruning takes the emptied list, and merging adds an empty one only after."""
    thing = Thing().apply("al", {"set": ["x"]}).apply("al", {"set": []})
    assert "set" not in thing.spec
    assert thing.apply("al", {"set": []}).spec["set"] == []
    live = thing.live
    assert thing.apply("al", {"set": []}).live is live


def test_a_field_that_holds_only_an_empty_list_is_not_lost():
    """kube-apiserver loses the whole spec here: such a field has no fields of its own in structured-merge-diff."""
    thing = Thing().apply("al", {"a": "1", "keyed": []}).apply("al", {})
    assert thing.spec == {"keyed": [], "count": 1}
    thing.apply("al", {"keyed": []})
    assert thing.spec == {"keyed": [], "count": 1}
    assert thing.owners == {"al": {".spec"}}
    live = thing.live
    assert thing.apply("al", {"keyed": []}).live is live


def test_a_removed_field_gets_its_default_again():
    thing = Thing().apply("al", {"count": 5}).apply("al", {})
    assert thing.spec["count"] == 1


# Order of lists


@pytest.mark.parametrize(
    ("live", "config", "expected"),
    [
        ("ab", "ba", "ba"),
        ("abc", "xb", "axbc"),
        ("abcd", "db", "acdb"),
        ("", "ab", "ab"),
        ("ab", "", "ab"),
        ("abc", "cxa", "bcxa"),
        ("abcd", "xcay", "bxcday"),
    ],
)
def test_items_keep_the_order_of_the_configuration_others_their_place(live, config, expected):
    thing = Thing().update("up", {"set": list(live)})
    thing.apply("al", {"set": list(config)}, force=True)
    assert "".join(thing.spec["set"]) == expected


def test_defaults_are_part_of_keys():
    thing = Thing().apply("al", {"ports": [{"port": 1, "name": "x"}]})
    error = refused(lambda: thing.apply("bo", {"ports": [{"port": 1, "protocol": "TCP", "name": "y"}]}))
    assert error.details["causes"][0]["field"] == '.spec.ports[port=1,protocol="TCP"].name'
    thing.apply("bo", {"ports": [{"port": 1, "protocol": "UDP"}]})
    assert [port["protocol"] for port in thing.spec["ports"]] == ["TCP", "UDP"]


# Fields without a schema


def test_what_no_schema_describes_is_granular_and_its_lists_are_atomic():
    thing = Thing().apply("al", {"open": {"m": {"x": 1}, "l": [{"y": 1}]}})
    assert thing.owners == {"al": {"open.m", "open.m.x", "open.l"}}
    thing.apply("bo", {"open": {"m": {"z": 2}}})
    assert thing.spec["open"] == {"m": {"x": 1, "z": 2}, "l": [{"y": 1}]}
    error = refused(lambda: thing.apply("bo", {"open": {"l": [{"y": 2}]}}))
    assert error.details["causes"][0]["field"] == ".spec.open.l"


@pytest.mark.parametrize(
    ("one", "other"), [({"x": 1}, [1]), ([1], {"x": 1}), (1, {"x": 1}), ({"x": 1}, 1), (True, 1), (None, 1)]
)
def test_a_value_that_changes_its_form_is_a_change(one, other):
    thing = Thing().apply("al", {"open": {"v": one}})
    assert refused(lambda: thing.apply("bo", {"open": {"v": other}})).code == 409
    assert thing.apply("bo", {"open": {"v": other}}, force=True).spec["open"]["v"] == other


# Nothing changes


def test_applying_the_same_again_changes_nothing_at_all():
    thing = Thing().apply("al", {"a": "1", "keyed": [{"name": "x"}]})
    live = thing.live
    assert thing.apply("al", {"keyed": [{"name": "x"}], "a": "1"}).live is live


def test_owning_more_is_a_change_though_the_values_are_not():
    thing = Thing().apply("al", {"a": "1"})
    live = thing.live
    assert thing.apply("bo", {"a": "1"}).live is not live


def test_an_update_that_changes_nothing_keeps_the_times():
    thing = Thing().update("up", {"a": "1"})
    entries = thing.live["metadata"]["managedFields"]
    assert thing.update("up", {"a": "1"}).live["metadata"]["managedFields"] == entries
    assert thing.update("other", {"a": "1"}).live["metadata"]["managedFields"] == entries


def test_the_time_is_that_of_the_last_change():
    thing = Thing().update("up", {"a": "1"}).update("up", {"a": "2"})
    assert thing.live["metadata"]["managedFields"][0]["time"] == "2026-01-01T00:00:02Z"


# Status


def test_the_main_endpoint_applies_no_status_and_the_other_nothing_else():
    thing = Thing().apply("al", {"a": "1"}, status={"phase": "x"})
    assert "status" not in thing.live
    thing.apply_status("ctrl", {"phase": "x"})
    assert thing.live["status"] == {"phase": "x"}
    assert thing.spec["a"] == "1"
    entry = thing.live["metadata"]["managedFields"][1]
    assert (entry["manager"], entry["subresource"], entry["fieldsV1"]) == (
        "ctrl",
        "status",
        {"f:status": {"f:phase": {}}},
    )


def test_a_status_update_owns_only_status():
    thing = Thing().update("up", {"a": "1"})
    thing.update("ctrl", {"a": "changed"}, subresource="status", status={"phase": "x"})
    entries = thing.live["metadata"]["managedFields"]
    assert [(entry["manager"], sorted(entry["fieldsV1"])) for entry in entries] == [
        ("up", ["f:spec"]),
        ("ctrl", ["f:status"]),
    ]


def test_a_kind_without_status_endpoint_applies_status_with_the_rest():
    config = {**configuration({}), "status": {"phase": "x"}}
    made = apply(None, config, edit("al"), Structure(SCHEMA, has_status=False), force=False)
    assert made["status"] == {"phase": "x"}


# Owners that are written, forgotten, capped


@pytest.mark.parametrize("entries", [[], [{}]])
def test_owners_can_be_forgotten(entries):
    thing = Thing().apply("al", {"a": "1"}).update("up", entries=entries)
    assert "managedFields" not in thing.live["metadata"]
    assert "managedFields" not in thing.update("up", {"a": "2"}).live["metadata"]


def test_the_first_apply_of_an_object_without_owners_conflicts_with_before():
    thing = Thing().update("up", {"a": "1"}).update("up", entries=[{}])
    error = refused(lambda: thing.apply("al", {"a": "2"}))
    assert f'conflict with "before-first-apply" using {VERSION}: .spec.a' in error.message
    thing.apply("al", {"a": "1"})
    assert thing.owners == {"al": {"a"}, "before-first-apply": {".spec", "a", "count"}}


def test_owners_can_be_moved_by_an_update():
    thing = Thing().apply("al", {"a": "1"})
    (entry,) = thing.live["metadata"]["managedFields"]
    thing.update("up", entries=[{**entry, "manager": "bo"}])
    assert set(thing.owners) == {"bo"}
    assert thing.apply("bo", {}).spec == {"count": 1}


@pytest.mark.parametrize(
    "entries",
    [
        [{"manager": "x"}],
        ["x"],
        [{"manager": "x", "operation": "Apply", "fieldsV1": {"nonsense": {}}}],
        [{"manager": ["x"], "operation": "Apply", "fieldsV1": {"f:a": {}}}],
        [{"manager": "x", "operation": "Apply", "fieldsType": "V9", "fieldsV1": {"f:a": {}}}],
        {"a": 1},
        "x",
    ],
)
def test_owners_that_are_none_are_not_believed(entries):
    thing = Thing().apply("al", {"a": "1"}).update("up", entries=entries)
    assert set(thing.owners) == {"al"}


def test_a_status_update_cannot_write_owners():
    thing = Thing().apply("al", {"a": "1"}).update("up", entries=[{}], subresource="status", status={"phase": "x"})
    assert set(thing.owners) == {"al", "up"}


def test_updaters_are_capped_and_the_oldest_are_one():
    thing = Thing()
    for number in range(15):
        thing.update(
            f"up{number:02}", {**(thing.live or {"spec": {}})["spec"], "map": {f"k{n}": "v" for n in range(number + 1)}}
        )
    owners = thing.owners
    assert len(owners) == 10
    assert {f"map.k{n}" for n in range(6)} <= owners["ancient-changes"]
    assert set(owners) - {"ancient-changes"} == {f"up{n:02}" for n in range(6, 15)}


def test_appliers_are_not_capped():
    thing = Thing()
    for number in range(15):
        thing.apply(f"al{number}", {"map": {f"k{number}": "v"}})
    assert len(thing.owners) == 15


def test_appliers_stand_before_updaters():
    thing = Thing().update("a", {"a": "1"}).apply("z", {"b": "1"})
    entries = thing.live["metadata"]["managedFields"]
    assert [(entry["operation"], entry["manager"]) for entry in entries] == [("Apply", "z"), ("Update", "a")]


def test_an_endless_manager_is_cut():
    thing = Thing().apply("x" * 500, {"a": "1"})
    assert len(thing.live["metadata"]["managedFields"][0]["manager"]) == 128


# What it costs


def test_an_apply_of_forty_fields_is_cheap():
    """The control plane is to do 400 applies a second, and there is a store to write to beside this."""
    named = {letter: letter for letter in "pqrst"}
    spec = {"a": "1", "b": "2", "map": named, "set": list("pqrst"), "open": named, "inner": {"x": "1", "y": "2"}}
    spec["keyed"] = [{"name": letter, "kind": "k", "value": letter} for letter in "pqrst"]
    metadata = {"labels": named, "annotations": named}
    thing = Thing().apply("al", spec, metadata=metadata)
    configurations = [configuration({**spec, "a": str(number)}, **metadata) for number in range(200)]
    began = time.thread_time()
    for config in configurations:
        thing.live = apply(thing.live, config, edit("al"), STRUCTURE, force=False)
        assert not validate(thing.live, STRUCTURE)
    assert (time.thread_time() - began) / 200 < 0.0025, "about 0.2 ms on an idle core of the machine it was made on"


# What is no configuration


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"zzz": 1}, ".spec.zzz: field not declared in schema"),
        ({"count": "x"}, ".spec.count: expected numeric (int or float), got string"),
        ({"a": 1}, ".spec.a: expected string, got 1"),
        ({"inner": []}, ".spec.inner: expected map, got []"),
        ({"list": {}}, ".spec.list: expected list, got {}"),
        ({"keyed": [{"name": "q"}, {"name": "q"}]}, '.spec.keyed: duplicate entries for key [name="q"]'),
        ({"keyed": ["x"]}, ".spec.keyed: element 0: associative list with keys may not have non-map elements"),
        ({"keyed": [None]}, ".spec.keyed: element 0: associative list with keys may not have a null element"),
        ({"set": [{}]}, ".spec.set: element 0: associative list without keys has an element that's a map type"),
        ({"set": [None]}, ".spec.set: element 0: associative list without keys has an element that's an explicit null"),
        ([], ".spec: expected map, got []"),
    ],
)
def test_what_cannot_be_merged_is_the_callers_mistake(spec, why):
    error = refused(lambda: Thing().apply("al", spec))
    assert (error.code, error.reason) == (400, "BadRequest")
    assert error.message == f"failed to create typed patch object (/t; {VERSION}, Kind=Thing): {why}"


def test_everything_that_is_wrong_is_told_at_once():
    error = refused(lambda: Thing().apply("al", {"x": 1, "y": 2}))
    assert error.message.endswith(
        "errors:\n  .spec.x: field not declared in schema\n  .spec.y: field not declared in schema"
    )


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (
            {**configuration({}), "apiVersion": "heddle.dev/v9"},
            "Specified patch version: heddle.dev/v9, expected: heddle.dev/v1",
        ),
        ({"apiVersion": VERSION}, "invalid object type: heddle.dev/v1, Kind="),
        (configuration({}, managedFields=[]), "metadata.managedFields must be nil"),
        ([], "is an object"),
        ({**configuration({}), "metadata": "x"}, "expected map"),
    ],
)
def test_what_is_no_configuration(config, why):
    assert why in refused(lambda: apply(None, config, edit("al"), STRUCTURE, force=False)).message


def test_a_configuration_nested_without_end():
    deep = {}
    for _ in range(5000):
        deep = {"a": deep}
    config = configuration({"open": deep})
    assert refused(lambda: apply(None, config, edit("al"), STRUCTURE, force=False)).code == 400


def test_an_update_nested_without_end():
    deep = {}
    for _ in range(5000):
        deep = {"a": deep}
    assert refused(lambda: track(None, configuration({"open": deep}), edit("up", "Update"), STRUCTURE)).code == 400
