"""Which parts a Gateway needs, and how it is led from any point of its past to the present."""

import msgspec
from tests.unit.controlplane.distribution.parts import part

from heddle.controlplane.distribution import views
from heddle.controlplane.distribution.states import KEPT_S, Settled, States
from heddle.controlplane.distribution.views import Part, View
from heddle.wire.delta import Delta, Full, Held, Interest, Point, frames_to_gateway

A, B, ALL = Interest("default/a"), Interest("default/b"), Interest("*")


def states(**parts: Part | None) -> States:
    made = States("one")
    made.publish(Settled(1, named(**parts)))
    return made


def named(**parts: Part | None) -> dict[str, Part | None]:
    return {name.replace("_", "/"): one for name, one in parts.items()}


def update(view: View, held: Held) -> Full | Delta:
    (message,) = frames_to_gateway().feed(view.frame(held.at))
    assert isinstance(message, Full | Delta)
    return message


def test_a_gateway_is_sent_what_is_for_it_and_what_is_for_all():
    made = states(model_x=part(), model_y=part("", "default/a"), model_z=part("", "default/b"))
    assert set(made.view(A).parts) == {"model/x", "model/y"}
    assert set(made.view(B).parts) == {"model/x", "model/z"}
    assert set(made.view(ALL).parts) == {"model/x", "model/y", "model/z"}


def test_a_part_that_nobody_needs_is_shown_to_nobody():
    made = states(model_x=Part(b"", frozenset()))
    assert [made.view(interest).parts for interest in (A, B, ALL)] == [{}, {}, {}]


def test_a_part_that_becomes_anothers_is_taken_away():
    made = states(model_x=part("", "default/a"))
    a, b = made.view(A), made.view(B)
    assert made.publish(Settled(2, named(model_x=part("", "default/b")))) == [a, b]
    assert (set(a.parts), set(b.parts)) == (set(), {"model/x"})


def test_what_concerns_others_is_no_news():
    made = states(model_x=part("", "default/b"))
    view = made.view(A)
    before = view.at
    assert made.publish(Settled(2, named(model_x=part("new", "default/b")))) == []
    assert view.at == before


def test_the_same_content_again_is_no_news():
    made = states(model_x=part("same"))
    made.view(A)
    assert made.publish(Settled(2, named(model_x=part("same"), model_y=None))) == []


def test_from_any_point_of_the_past_a_change_leads_to_the_present():
    made = states(model_a=part("0"))
    view = made.view(A)
    held = [Held().after(update(view, Held()))]
    steps: list[dict[str, Part | None]] = [
        named(model_b=part("1")),
        named(model_a=None, model_c=part("1")),
        named(model_c=None),
        named(model_a=part("0"), model_b=part("2")),
    ]
    for number, step in enumerate(steps):
        made.publish(Settled(number + 2, step))
        for one in held:
            message = update(view, one)
            assert isinstance(message, Delta)
            assert one.after(message).parts == view.parts
        held.append(held[-1].after(update(view, held[-1])))


def test_what_is_not_remembered_is_sent_as_everything(monkeypatch):
    monkeypatch.setattr(views, "STEPS", 2)
    made = states(model_a=part("0"))
    view = made.view(A)
    old = Held().after(update(view, Held()))
    for number in range(3):
        made.publish(Settled(number + 2, named(model_a=part(str(number + 1)))))
    message = update(view, old)
    assert isinstance(message, Full)
    assert old.after(message).parts == view.parts
    assert isinstance(update(view, Held(Point("other", 9, "f" * 64))), Full)


def test_a_change_is_encoded_once_for_all_who_are_at_the_same_point():
    made = states(model_a=part("0"))
    view = made.view(A)
    base = view.at
    made.publish(Settled(2, named(model_a=part("1"))))
    assert len({id(view.frame(base)) for _ in range(1000)}) == 1
    assert view.encodings == 1


def test_a_state_that_recurs_is_led_on_from_its_last_time():
    made = states(model_a=part("0"))
    view = made.view(A)
    first = Held().after(update(view, Held()))
    for version, text in enumerate(("1", "0", "2"), 2):
        made.publish(Settled(version, named(model_a=part(text))))
    assert first.after(update(view, first)).parts == view.parts


def test_a_secret_is_in_no_message_to_another():
    made = states(secret_s=part("hush-hush", "default/a"))
    assert b"hush-hush" in made.view(A).frame(Point())
    assert b"hush-hush" not in made.view(B).frame(Point())
    base = made.view(B).at
    made.publish(Settled(2, named(secret_s=part("hush-new", "default/a"), model_b=part("", "default/b"))))
    assert b"hush" not in made.view(B).frame(base)


def test_a_view_outlives_its_last_follower_for_a_while():
    made = states(model_a=part())
    view = made.view(A)
    made.sweep({id(view)}, 0.0)
    made.sweep(set(), 1.0)
    made.sweep(set(), 1.0 + KEPT_S)
    assert made.view(A) is view
    made.sweep(set(), 2.0 + KEPT_S)
    assert made.view(A) is not view


def test_versions_never_go_back():
    made = states(model_a=part("0"))
    view = made.view(A)
    made.publish(Settled(7, named(model_a=part("1"))))
    made.publish(Settled(5, named(model_a=part("2"))))
    assert view.at.version == 7
    assert msgspec.structs.astuple(view.at)[0] == "one"
