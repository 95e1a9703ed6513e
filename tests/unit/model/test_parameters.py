"""Parameters of models are checked by name, type and bound, with the place and what was expected."""

import pytest

from heddle.controlplane.load import load

CONFIG = """
listeners: [{{name: llm, port: 8080}}]
llm:
  providers: [{{name: p, type: scripted}}]
  models:
    - name: m
      {given}
security: {{authentication: {{type: none}}}}
"""


def problems(tmp_path, given):
    (tmp_path / "heddle.yaml").write_text(CONFIG.format(given=given))
    found = load([tmp_path / "heddle.yaml"], environ={})
    return [one for one in found.problems if one.path.startswith("llm.models")]


GOOD = """defaults: {temperature: 0, top_p: 1, top_k: 40, max_output_tokens: 100, seed: -1, stop: [END],
                 presence_penalty: -2, frequency_penalty: 1.5, reasoning_effort: none, service_tier: flex}"""


def test_all_parameters_can_be_given(tmp_path):
    assert problems(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("temperature: 2.1", "expected a number from 0 to 2, got 2.1"),
        ("temperature: warm", 'expected a number from 0 to 2, got "warm"'),
        ("top_p: true", "expected a number from 0 to 1, got true"),
        ("top_k: 0", "expected an integer from 1 to 1000000, got 0"),
        ("max_output_tokens: 1.5", "expected an integer from 1 to 2147483647, got 1.5"),
        ("stop: END", 'expected a list of 1 to 16 texts of 1 to 1024 characters, got "END"'),
        ("stop: []", "expected a list of 1 to 16 texts of 1 to 1024 characters, got []"),
        ("stop: ['']", 'expected a list of 1 to 16 texts of 1 to 1024 characters, got [""]'),
        ("reasoning_effort: lots", 'expected one of none, minimal, low, medium, high, xhigh, got "lots"'),
        ("reasoning_effort: [low]", 'expected one of none, minimal, low, medium, high, xhigh, got ["low"]'),
        ("service_tier: ''", 'expected a word of 1 to 64 printable ASCII characters, got ""'),
    ],
)
@pytest.mark.parametrize("field", ["defaults", "overrides"])
def test_a_value_that_cannot_be_is_named_with_what_was_expected(tmp_path, field, given, expected):
    (found,) = problems(tmp_path, f"{field}: {{{given}}}")
    assert (found.severity, found.path, found.message) == (
        "error",
        f"llm.models[0].{field}.{given.partition(':')[0]}",
        expected,
    )


def test_an_unknown_name_is_compared_with_the_known_ones(tmp_path):
    (near,) = problems(tmp_path, "defaults: {temprature: 1}")
    assert (near.message, near.hint) == ("is no parameter", "did you mean `temperature`?")
    (far,) = problems(tmp_path, "defaults: {zzz: 1}")
    assert far.hint.startswith("known are temperature, top_p")


def test_a_default_that_is_overridden_is_a_warning(tmp_path):
    (found,) = problems(tmp_path, "defaults: {seed: 1}\n      overrides: {seed: 2}")
    assert (found.severity, found.path) == ("warning", "llm.models[0].defaults.seed")
