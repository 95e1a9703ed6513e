import pytest

from heddle.wire.kube.owners import MAX_UPDATERS, Owned, capped, owner_of, read, same_fields, written

LEAF = {"f:spec": {}}


def entry(manager, operation="Update", version="v1", **more):
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": version,
        "fieldsType": "FieldsV1",
        "fieldsV1": LEAF,
        **more,
    }


def test_read_and_written_again():
    entries = [entry("a", "Apply", time="2026-01-01T00:00:00Z"), entry("b", subresource="status"), entry("c")]
    assert written(read(entries)) == entries


def test_an_applier_is_the_same_in_every_version():
    assert len(read([entry("a", "Apply", "v1"), entry("a", "Apply", "v2")])) == 1
    assert len(read([entry("a", "Update", "v1"), entry("a", "Update", "v2")])) == 2


@pytest.mark.parametrize("entries", [None, {}, "x", [1], [entry("a", "Delete")], [entry(1)], [entry("a")] * 1001])
def test_what_is_no_list_of_owners(entries):
    with pytest.raises(ValueError, match="managedFields"):
        read(entries)


def updaters(count, versions=("v1",)):
    made = {}
    for number in range(count):
        owner = owner_of(f"m{number}", "Update", versions[number % len(versions)], "")
        made[owner] = Owned({f"f:{number}": {}}, owner.api_version, f"2026-01-01T00:00:{number:02}Z")
    return made


def test_the_oldest_updaters_are_one():
    owners = capped(updaters(13))
    assert len(owners) == MAX_UPDATERS
    ancient = owners[owner_of("ancient-changes", "Update", "v1", "")]
    assert sorted(ancient.fields) == ["f:0", "f:1", "f:2", "f:3"]
    assert ancient.time == "2026-01-01T00:00:03Z"


def test_for_each_version():
    owners = capped(updaters(14, ("v1", "v2")))
    assert len(owners) == MAX_UPDATERS
    assert {owner.api_version for owner in owners if owner.manager == "ancient-changes"} == {"v1", "v2"}


def test_few_updaters_are_left_alone():
    owners = updaters(MAX_UPDATERS)
    assert capped(owners) is owners


def test_ownership_is_the_same_whenever_it_was_taken():
    one, other = updaters(2), {owner: owned._replace(time=None) for owner, owned in updaters(2).items()}
    assert same_fields(one, other)
    assert not same_fields(one, updaters(1))
