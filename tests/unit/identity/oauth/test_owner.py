"""Whose a credential is: never somebody else's, however alike they are."""

import itertools

from heddle.identity.oauth.owner import label_of, owner_of
from heddle.identity.oauth.stepping import MAX_OWNERS, Steps, union
from heddle.model.principal import ANONYMOUS, Principal

DIFFERENT = [
    Principal(user="alice"),
    Principal(user="bob"),
    Principal(user="alice", tenant="a"),
    Principal(user="alice", tenant="b"),
    Principal(user="alice", workload="spiffe://t/ns/a/sa/x", agent="x", tenant="a"),
    Principal(workload="spiffe://t/ns/a/sa/x", agent="x", tenant="a"),
    Principal(key_id="key-1"),
    Principal(key_id="key-2"),
    Principal(user="alice", method="jwt", claims={"iss": "https://one"}),
    Principal(user="alice", method="jwt", claims={"iss": "https://two"}),
    Principal(user="alice", method="jwt", claims={"iss": "https://one", "client_id": "vscode"}),
    Principal(user="alice", method="jwt", claims={"iss": "https://one", "azp": "claude"}),
    Principal(user="al", tenant="ice"),
    Principal(user='alice","'),
]


def test_different_callers_have_different_owners() -> None:
    for one, other in itertools.combinations(DIFFERENT, 2):
        assert owner_of(one) != owner_of(other), (one, other)


def test_the_same_caller_stays_the_same() -> None:
    first = Principal(user="alice", method="jwt", claims={"iss": "https://one", "exp": 1, "azp": "x"})
    later = Principal(user="alice", method="jwt", claims={"iss": "https://one", "exp": 2, "azp": "x", "scope": "y"})
    assert owner_of(first) == owner_of(later)
    # Another key of the same person, as the operator declared them.
    assert owner_of(Principal(user="alice", key_id="key-1")) == owner_of(Principal(user="alice", key_id="key-2"))
    # What a key's owner wrote into its metadata is no issuer's word.
    assert owner_of(Principal(user="alice", method="api_key", claims={"iss": "x"})) == owner_of(Principal(user="alice"))


def test_nobody_owns_nothing() -> None:
    assert owner_of(ANONYMOUS) == ""
    assert len(owner_of(Principal(user="alice"))) == 64


def test_labels_are_for_people() -> None:
    assert label_of(Principal(user="alice", agent="claude", tenant="acme")) == "alice, agent claude, tenant acme"
    assert label_of(Principal(agent="claude", workload="spiffe://t/x")) == "claude"
    assert label_of(ANONYMOUS) == "an anonymous caller"


def test_stepping_up_is_bounded() -> None:
    now = 0.0
    steps = Steps(lambda: now)
    assert not steps.step("a", ("x",), ("x",))
    assert steps.step("a", ("x",), ("x", "y"))
    assert steps.scopes("a") == ("x", "y")
    assert steps.step("a", ("x",), ("z",))
    assert steps.scopes("a") == ("x", "y", "z")
    assert steps.step("a", ("x",), ("w",))
    assert not steps.step("a", ("x",), ("v",))
    assert steps.step("b", (), ("v",))
    now = 1000.0
    assert steps.step("a", ("x",), ("v",))
    assert not steps.step("c", (), tuple(map(str, range(200))))
    assert steps.renewal("a")
    assert not steps.renewal("a")
    now = 2000.0
    assert steps.renewal("a")


def test_many_callers_do_not_fill_the_memory() -> None:
    steps = Steps(lambda: 0.0)
    for number in range(MAX_OWNERS + 100):
        steps.renewal(str(number))
    assert len(steps._known) == MAX_OWNERS


def test_union_keeps_the_order() -> None:
    assert union(("b", "a"), (), ("a", "c")) == ("b", "a", "c")
