"""Vendors' declared rules say what the encoders do, and the page of translations says the same."""

import runpy
from pathlib import Path

import pytest
from tests.unit.wire.translating import MODELS, Case, cases, observe

from heddle.wire.canonical.rules import Outcome, Rule, features
from heddle.wire.llm.codecs import VENDORS

ROOT = Path(__file__).parents[3]
EVERY = [(vendor, model, case) for vendor in MODELS for model in MODELS[vendor] for case in cases(vendor)]
NAMES = [f"{model}-{case.rule.name.lower()}" for _, model, case in EVERY]

BY_MODEL = {
    "anthropic_messages": {Rule.TEMPERATURE, Rule.TOP_P, Rule.TOP_K, Rule.REASONING_EFFORT, Rule.REASONING_BUDGET},
    "gemini": {Rule.REASONING_EFFORT, Rule.REASONING_OFF},
    "bedrock_converse": {Rule.TOP_K, Rule.REASONING_EFFORT, Rule.REASONING_BUDGET},
}
"""Features of which a vendor's models differ; encoders note them model by model."""
STRICTER = {("openai_chat", Rule.THINKING)}
"""Thinking with a proof is dropped there; that without one, which the rule is about, is emulated."""


def test_there_is_a_case_for_every_feature_and_a_model_of_every_vendor() -> None:
    assert set(MODELS) == set(VENDORS)
    for vendor in MODELS:
        assert [case.rule for case in cases(vendor)] == list(Rule)


@pytest.mark.parametrize(("vendor", "model", "case"), EVERY, ids=NAMES)
def test_the_encoder_does_what_is_said(vendor: str, model: str, case: Case) -> None:
    assert case.rule in {rule for rule, _ in features(case.having)}
    assert case.rule not in {rule for rule, _ in features(case.without)}
    found = observe(vendor, model, case)
    if found.outcome is Outcome.KEPT:
        assert found.body != found.plain
        assert case.mark.encode() in found.body
    elif found.outcome is Outcome.DROPPED:
        assert found.body == found.plain


@pytest.mark.parametrize(("vendor", "model", "case"), EVERY, ids=NAMES)
def test_what_is_declared_is_what_happens(vendor: str, model: str, case: Case) -> None:
    declared = VENDORS[vendor].RULES.get(case.rule, Outcome.KEPT)
    found = observe(vendor, model, case).outcome
    if case.rule in BY_MODEL.get(vendor, ()):
        assert found is not Outcome.REFUSED
    elif (vendor, case.rule) in STRICTER:
        assert (declared, found) == (Outcome.EMULATED, Outcome.DROPPED)
    else:
        assert found is declared


def test_what_is_said_to_depend_on_the_model_does() -> None:
    for vendor, rules in BY_MODEL.items():
        for case in cases(vendor):
            found = {observe(vendor, model, case).outcome for model in MODELS[vendor]}
            assert (len(found) > 1) == (case.rule in rules), (vendor, case.rule)


def test_the_page_is_up_to_date_and_gives_a_reason_for_everything() -> None:
    """When this fails: `make docs`."""
    page = runpy.run_path(str(ROOT / "scripts" / "translation.py"))["page"]()
    assert (ROOT / "docs" / "reference" / "translation.md").read_text() == page
    assert "|  |\n" not in page.partition("## OpenAI chat")[2]
