"""Requests with anything in the place of anything: a stand-in answers or refuses, and never fails."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.providers.scripted_asking import ASKING, FORMATS, play
from tests.unit.providers.test_scripted_refusals import turn

WORDS = ["", " ", "text", "function", "user", "tool", "assistant", "\U0001f600", "[[tools 3]]", "a" * 70]
KEYS = ["type", "text", "content", "role", "id", "name", "parts", "x"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    """Every place in a JSON value."""
    found = [path]
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(inner, (*path, key))
    return found


def put(value, path, new):
    if not path:
        return new
    changed = copy.deepcopy(value)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = new
    return changed


BODIES = {
    form: [ASKING[form].body("[[tools 2]] Hello", tools=True), ASKING[form].body("Hi", schema=True, most=50)]
    + ([turn(form)] if form != "openai_chat" else [])
    for form in FORMATS
}


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_stand_in_answers_or_refuses(form, data):
    body = data.draw(st.sampled_from(BODIES[form]))
    changed = put(body, data.draw(st.sampled_from(places(body))), data.draw(VALUES))
    script = play(form, asked=changed, stream=data.draw(st.booleans()), model="gemini-3-pro")
    sent = b"".join(step.data or b"" for step in script.steps)
    assert script.status == 200 or 400 <= script.status < 500
    assert sent
    if script.status != 200:
        kind, message = ASKING[form].error(dict(script.headers), json.loads(sent))
        assert kind
        assert message
