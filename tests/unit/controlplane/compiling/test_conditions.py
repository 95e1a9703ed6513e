from typing import Any

from heddle.controlplane.compiling.conditions import CONTROLLER, Condition, Fault, judged, render

T0, T1 = 1_800_000_000.0, 1_800_000_060.0
OLD = "2027-01-15T08:00:00Z"
NEW = "2027-01-15T08:01:00Z"


def raw(status: dict[str, Any], generation: int = 2) -> dict[str, Any]:
    return {"metadata": {"generation": generation}, "status": status}


def test_a_condition_keeps_its_time_until_its_status_is_another():
    first = render({"conditions": [Condition("Accepted", "True", "Accepted")]}, raw({}, 1), T0)
    same = render({"conditions": [Condition("Accepted", "True", "Other", "said")]}, raw(first), T1)
    assert same["conditions"] == [
        {"type": "Accepted", "status": "True", "observedGeneration": 2, "lastTransitionTime": OLD, "reason": "Other",
         "message": "said"}
    ]  # fmt: skip
    other = render({"conditions": [Condition("Accepted", "False", "Bad")]}, raw(same), T1)
    assert other["conditions"][0]["lastTransitionTime"] == NEW
    assert other["observedGeneration"] == 2


def test_an_object_without_a_generation_has_none_observed():
    made = render({"conditions": [Condition("Accepted", "True", "Accepted")]}, {"metadata": {}}, T0)
    assert "observedGeneration" not in made
    assert "observedGeneration" not in made["conditions"][0]


def test_what_others_wrote_stays():
    theirs = {"type": "Discovered", "status": "True", "reason": "x", "message": "", "lastTransitionTime": OLD}
    had = {"discoveredTools": [1], "conditions": [theirs]}
    made = render({"conditions": [Condition("Accepted", "True", "Accepted")]}, raw(had), T1)
    assert made["discoveredTools"] == [1]
    assert theirs in made["conditions"]


def test_parents_of_other_controllers_stay_and_ours_that_are_no_longer_asked_for_go():
    foreign = {"parentRef": {"name": "a"}, "controllerName": "example.com/other", "conditions": []}
    ours = {"parentRef": {"name": "gone"}, "controllerName": CONTROLLER, "conditions": []}
    wanted = {
        "parentRef": {"name": "a"},
        "controllerName": CONTROLLER,
        "conditions": [Condition("Accepted", "True", "A")],
    }
    made = render({"parents": [wanted]}, raw({"parents": [foreign, ours]}), T0)
    assert [(one["parentRef"]["name"], one["controllerName"]) for one in made["parents"]] == [
        ("a", "example.com/other"), ("a", CONTROLLER),
    ]  # fmt: skip
    again = render({"parents": [wanted]}, raw(made), T1)
    assert again == made


def test_a_status_that_is_no_mapping_is_replaced():
    made = render({"conditions": [Condition("Accepted", "True", "A")]}, {"status": [1], "metadata": 3}, T0)
    assert made["conditions"][0]["type"] == "Accepted"


def test_faults_are_said_together_each_once_and_no_longer_than_may_be():
    made = judged("Accepted", [Fault("First", "one"), Fault("Second", "two"), Fault("Second", "two")])
    assert (made.status, made.reason, made.message) == ("False", "First", "one; two")
    assert len(judged("Accepted", [Fault("Long", "x" * 100_000)]).message) < 3_000
    assert judged("ResolvedRefs", []).reason == "ResolvedRefs"
