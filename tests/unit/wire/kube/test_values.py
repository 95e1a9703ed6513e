import pytest

from heddle.wire.kube.status import ApiError
from heddle.wire.kube.values import ABSENT, MAX_DEPTH, copied, encoded, refuse_deep, same


def nested(depth, wrap):
    value = 1
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ({"a": [1, {"b": True}]}, {"a": [1, {"b": 1}]}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"b": 1}, False),
        ([1, 2], [2, 1], False),
        ([], {}, False),
        (None, ABSENT, False),
        (None, False, False),
        ("1", 1, False),
    ],
)
def test_values_are_equal_as_json_has_it(one, other, equal):
    assert same(one, other) is equal
    assert same(other, one) is equal


def test_a_copy_shares_nothing():
    value = {"a": [{"b": []}]}
    made = copied(value)
    made["a"][0]["b"].append(1)
    assert value == {"a": [{"b": []}]}


@pytest.mark.parametrize("wrap", [lambda value: {"a": value}, lambda value: [value]])
@pytest.mark.parametrize("refuse", [copied, refuse_deep])
def test_depth_is_bounded(refuse, wrap):
    refuse(nested(MAX_DEPTH, wrap))
    with pytest.raises(ApiError, match="levels deep") as refused:
        refuse(nested(MAX_DEPTH + 2, wrap))
    assert refused.value.code == 400


def test_half_a_pair_of_surrogates_can_be_spelt():
    assert encoded({"b": "\ud800", "a": 1}) == b'{"a":1,"b":"\\ud800"}'


def test_a_wide_value_is_not_deep():
    refuse_deep({"a": [[]] * 10_000})
