"""Which parts a Gateway needs, and how it is led from any point of its past to the present."""

import msgspec
from tests.unit.controlplane.distribution.parts import listener, part

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
    made = states(
        model_x=part("model/x"), model_y=part("model/y", "", "default/a"), model_z=part("model/z", "", "default/b")
    )
    assert set(made.view(A).parts) == {"model/x", "model/y"}
    assert set(made.view(B).parts) == {"model/x", "model/z"}
    assert set(made.view(ALL).parts) == {"model/x", "model/y", "model/z"}


def test_of_secrets_only_those_that_its_parts_refer_to():
    made = states(
        provider_p=part("provider/p", "", "default/a", secrets=("secret/s",)),
        provider_q=part("provider/q", "", "default/b", secrets=("secret/t",)),
        secret_s=part("secret/s", "hush"),
        secret_t=part("secret/t", "hush too"),
        secret_u=part("secret/u", "nobody's"),
    )
    assert set(made.view(A).parts) == {"provider/p", "secret/s"}
    assert set(made.view(ALL).parts) == {"provider/p", "provider/q", "secret/s", "secret/t"}
    moved = made.publish(Settled(2, named(provider_p=part("provider/p", "", "default/a"))))
    assert moved == [made.view(A), made.view(ALL)]
    assert set(made.view(A).parts) == {"provider/p"}, "a secret that nothing refers to any more is taken away"


def test_a_secret_that_two_refer_to_stays_for_the_second():
    one = part("provider/p", "", secrets=("secret/s",))
    made = states(provider_p=one, provider_q=part("provider/q", "", secrets=("secret/s",)), secret_s=part("secret/s"))
    view = made.view(A)
    made.publish(Settled(2, named(provider_q=None)))
    assert "secret/s" in view.parts
    made.publish(Settled(3, named(provider_p=None)))
    assert view.parts == {}


def test_a_part_of_a_protocol_comes_and_goes_with_the_listener():
    made = states(rule_r=part("rule/r", protocols=("MCP",), secrets=("secret/s",)), secret_s=part("secret/s"))
    view = made.view(A)
    assert view.parts == {}
    made.publish(Settled(2, named(listener_l=listener("listener/l", "MCP", "default/a"))))
    assert set(view.parts) == {"listener/l", "rule/r", "secret/s"}
    assert made.view(B).parts == {}
    made.publish(Settled(3, named(listener_l=listener("listener/l", "HTTP", "default/a"))))
    assert set(view.parts) == {"listener/l"}


def test_a_part_that_becomes_anothers_is_taken_away():
    made = states(model_x=part("model/x", "", "default/a"))
    a, b = made.view(A), made.view(B)
    assert made.publish(Settled(2, named(model_x=part("model/x", "", "default/b")))) == [a, b]
    assert (set(a.parts), set(b.parts)) == (set(), {"model/x"})


def test_what_concerns_others_is_no_news():
    made = states(model_x=part("model/x", "", "default/b"))
    view = made.view(A)
    before = view.at
    assert made.publish(Settled(2, named(model_x=part("model/x", "new", "default/b")))) == []
    assert view.at == before


def test_the_same_content_again_is_no_news():
    made = states(model_x=part("model/x", "same"))
    made.view(A)
    assert made.publish(Settled(2, named(model_x=part("model/x", "same"), model_y=None))) == []


def test_from_any_point_of_the_past_a_change_leads_to_the_present():
    made = states(model_a=part("model/a", "0"))
    view = made.view(A)
    held = [Held().after(update(view, Held()))]
    steps: list[dict[str, Part | None]] = [
        named(model_b=part("model/b", "1")),
        named(model_a=None, model_c=part("model/c", "1")),
        named(model_c=None),
        named(model_a=part("model/a", "0"), model_b=part("model/b", "2")),
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
    made = states(model_a=part("model/a", "0"))
    view = made.view(A)
    old = Held().after(update(view, Held()))
    for number in range(3):
        made.publish(Settled(number + 2, named(model_a=part("model/a", str(number + 1)))))
    message = update(view, old)
    assert isinstance(message, Full)
    assert old.after(message).parts == view.parts
    assert isinstance(update(view, Held(Point("other", 9, "f" * 64))), Full)


def test_a_change_is_encoded_once_for_all_who_are_at_the_same_point():
    made = states(model_a=part("model/a", "0"))
    view = made.view(A)
    base = view.at
    made.publish(Settled(2, named(model_a=part("model/a", "1"))))
    assert len({id(view.frame(base)) for _ in range(1000)}) == 1
    assert view.encodings == 1


def test_a_state_that_recurs_is_led_on_from_its_last_time():
    made = states(model_a=part("model/a", "0"))
    view = made.view(A)
    first = Held().after(update(view, Held()))
    for version, text in enumerate(("1", "0", "2"), 2):
        made.publish(Settled(version, named(model_a=part("model/a", text))))
    assert first.after(update(view, first)).parts == view.parts


def test_a_secret_part_is_never_in_a_message_to_another():
    made = states(
        provider_p=part("provider/p", "", "default/a", secrets=("secret/s",)), secret_s=part("secret/s", "hush-hush")
    )
    assert b"hush-hush" in made.view(A).frame(Point())
    assert b"hush-hush" not in made.view(B).frame(Point())
    made.publish(Settled(2, named(secret_s=part("secret/s", "hush-new"))))
    assert b"hush-new" not in made.view(B).frame(Point())


def test_a_view_outlives_its_last_follower_for_a_while():
    made = states(model_a=part("model/a"))
    view = made.view(A)
    made.sweep({id(view)}, 0.0)
    made.sweep(set(), 1.0)
    made.sweep(set(), 1.0 + KEPT_S)
    assert made.view(A) is view
    made.sweep(set(), 2.0 + KEPT_S)
    assert made.view(A) is not view


def test_versions_never_go_back():
    made = states(model_a=part("model/a", "0"))
    view = made.view(A)
    made.publish(Settled(7, named(model_a=part("model/a", "1"))))
    made.publish(Settled(5, named(model_a=part("model/a", "2"))))
    assert view.at.version == 7
    assert msgspec.structs.astuple(view.at)[0] == "one"
