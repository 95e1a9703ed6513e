"""Both spellings of a ModelConfig mean one thing, and the reference manifest is taken as it stands."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from heddle.model.resources_kagent import Agent
from heddle.model.resources_kagent_models import PROVIDERS, ModelConfig, ModelConfigSpec, Provider, in_one_spelling

REFERENCE = Path(__file__).parents[2] / "data" / "agents.yaml"


def spec(**given: Any) -> ModelConfigSpec:
    return msgspec.convert({"model": "m", **given}, ModelConfigSpec)


def test_the_reference_is_the_file_users_have_and_is_read():
    model, agent = yaml.safe_load_all(REFERENCE.read_text())
    written = in_one_spelling(msgspec.convert(model, ModelConfig).spec)
    newer = spec(
        model="gpt-4",
        provider="OpenAI",
        apiKeySecret="gateway-api-key",
        apiKeySecretKey="api-key",
        openAI={"baseUrl": "http://agentgateway.ai-platform.svc:8080/v1"},
    )
    assert written == newer
    declared = msgspec.convert(agent, Agent).spec.declarative
    assert declared is not None
    assert [one.mcp_server.tool_names for one in declared.tools if one.mcp_server is not None] == [
        ("read_file", "write_file"),
        ("get_pull_request", "create_review"),
    ]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_in_lower_case_is_that_provider(provider: str):
    assert in_one_spelling(spec(provider=provider.lower())).provider == provider


def test_every_provider_has_both_spellings():
    assert set(Provider.__args__) == {*PROVIDERS, *(one.lower() for one in PROVIDERS)}


@pytest.mark.parametrize(
    ("provider", "section", "field"),
    [("openai", "open_ai", "base_url"), ("anthropic", "anthropic", "base_url"), ("ollama", "ollama", "host")],
)
def test_the_older_base_url_goes_to_the_section_of_its_provider(provider: str, section: str, field: str):
    written = in_one_spelling(spec(provider=provider, baseUrl="http://a/v1"))
    assert getattr(getattr(written, section), field) == "http://a/v1"
    assert written.base_url == ""


def test_settings_beside_the_older_base_url_stay():
    written = in_one_spelling(spec(provider="openai", baseUrl="http://a/v1", openAI={"temperature": "0.2"}))
    assert written.open_ai is not None
    assert (written.open_ai.base_url, written.open_ai.temperature) == ("http://a/v1", "0.2")


def test_the_newer_spelling_stays_as_it_is():
    newer = spec(apiKeySecret="s", apiKeySecretKey="k", openAI={"baseUrl": "http://b/v1"})
    assert in_one_spelling(newer) == newer


def test_a_credential_in_a_manifest_is_not_shown():
    shown = repr(spec(azureOpenAI={"azureEndpoint": "e", "apiVersion": "v", "azureAdToken": "s3cret"}))
    assert "s3cret" not in shown
