"""What is known of servers that speak OpenAI's API: every entry builds, and says what its documentation says."""

import json

import pytest

from heddle import plugins
from heddle.controlplane.price_data import shipped
from heddle.controlplane.prices import price_table
from heddle.model.call import ModelCall
from heddle.model.provider import Adapting, HttpProvider, OptionError
from heddle.model.snapshot import ProviderSpec
from heddle.providers.openai import OpenAI
from heddle.providers.openai.presets import PATHS, PRESETS

OWN_ADDRESS = {
    "azure": "https://mine.openai.azure.com",
    "databricks": "https://mine.cloud.databricks.com/serving-endpoints",
}


def provider(kind, **fields):
    return OpenAI(ProviderSpec(name="up", type=kind, **{"base_url": OWN_ADDRESS.get(kind, ""), **fields}))


def call(dialect="openai_chat", upstream_model=""):
    return ModelCall(operation="chat", dialect=dialect, model="m", upstream_model=upstream_model, body=b"{}")


@pytest.mark.parametrize("kind", PRESETS)
def test_every_preset_is_a_provider_under_its_own_name(kind):
    assert plugins.load("providers", kind) is OpenAI
    one = provider(kind)
    assert isinstance(one, HttpProvider)
    assert isinstance(one, Adapting)
    assert "openai_chat" in one.dialects <= set(PATHS)
    for dialect in one.dialects:
        assert one.target(call(dialect)).startswith(b"/")
    assert kind in repr(one)


def test_no_type_that_leads_here_lacks_a_preset():
    named = {name for name, value in plugins.PROVIDERS.items() if value == "heddle.providers.openai:OpenAI"}
    assert named == set(PRESETS)


def test_a_type_without_a_preset_is_refused():
    with pytest.raises(ValueError, match="nothing is known"):
        provider("carrier-pigeon")


@pytest.mark.parametrize("kind", OWN_ADDRESS)
def test_some_have_no_public_address(kind):
    with pytest.raises(ValueError, match="base_url: type"):
        provider(kind, base_url="")


@pytest.mark.parametrize(("kind", "preset"), PRESETS.items())
def test_price_lists_exist(kind, preset):
    assert set(preset.prices) <= set(shipped().providers)
    assert bool(price_table(kind).models) == bool(preset.prices)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("openai", b"/v1/chat/completions"),
        ("groq", b"/openai/v1/chat/completions"),
        ("deepseek", b"/chat/completions"),
        ("openrouter", b"/api/v1/chat/completions"),
        ("fireworks", b"/inference/v1/chat/completions"),
        ("cohere", b"/compatibility/v1/chat/completions"),
        ("databricks", b"/serving-endpoints/chat/completions"),
    ],
)
def test_paths(kind, target):
    assert provider(kind).target(call()) == target


@pytest.mark.parametrize(
    ("base_url", "version", "dialect", "target"),
    [
        ("https://r.openai.azure.com", "", "openai_chat", b"/openai/v1/chat/completions"),
        ("https://r.openai.azure.com/openai/v1/", "", "openai_responses", b"/openai/v1/responses"),
        ("https://r.openai.azure.com/openai", "", "openai_embeddings", b"/openai/v1/embeddings"),
        (
            "https://apim.example/team",
            "preview",
            "openai_chat",
            b"/team/openai/v1/chat/completions?api-version=preview",
        ),
        (
            "https://r.openai.azure.com",
            "2024-10-21",
            "openai_chat",
            b"/openai/deployments/my%2Fown/chat/completions?api-version=2024-10-21",
        ),
        (
            "https://r.openai.azure.com/openai/v1",
            "2025-03-01-preview",
            "openai_responses",
            b"/openai/responses?api-version=2025-03-01-preview",
        ),
    ],
)
def test_azure_has_two_interfaces(base_url, version, dialect, target):
    one = provider("azure", base_url=base_url, options={"api_version": version})
    assert one.target(call(dialect, upstream_model="my/own")) == target


def test_azure_takes_keys_and_tokens():
    keyed = dict(provider("azure", credential="k").headers(call(), []))
    assert (keyed[b"api-key"], b"authorization" in keyed) == (b"k", False)
    token = dict(provider("azure", credential="k", options={"auth": "bearer"}).headers(call(), []))
    assert (token[b"authorization"], b"api-key" in token) == (b"Bearer k", False)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("azure", {"api_version": "2024&x=1"}, r"api_version: expected a date"),
        ("azure", {"organization": "o"}, "only for providers of type openai"),
        ("groq", {"api_version": "2024-10-21"}, "only for providers of type azure"),
        ("openai", {"auth": "bearer"}, "only for providers of type azure"),
        ("openai", {"max_tokens_field": "limit"}, "max_tokens_field"),
    ],
)
def test_options_belong_to_types(kind, options, message):
    with pytest.raises(OptionError, match=message):
        provider(kind, options=options)


def adapted(one, translated=True, **fields):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()
    new, dropped = one.adapt(body, call(), translated)
    return json.loads(new), dropped


@pytest.mark.parametrize(
    ("kind", "fields", "name"),
    [
        ("openai", {}, "max_completion_tokens"),
        ("openai", {"base_url": "https://eu.api.openai.com/v1"}, "max_completion_tokens"),
        ("openai", {"base_url": "http://127.0.0.1:9001/v1"}, "max_tokens"),
        ("openai", {"base_url": "https://api.openai.com.evil.example/v1"}, "max_tokens"),
        (
            "openai",
            {"base_url": "http://127.0.0.1:9001/v1", "options": {"max_tokens_field": "max_completion_tokens"}},
            "max_completion_tokens",
        ),
        ("groq", {}, "max_completion_tokens"),
        ("deepseek", {}, "max_tokens"),
        ("mistral", {}, "max_tokens"),
    ],
)
def test_the_bound_has_the_name_that_the_server_knows(kind, fields, name):
    body, dropped = adapted(provider(kind, **fields), max_completion_tokens=5)
    assert {key: value for key, value in body.items() if "tokens" in key} == {name: 5}
    assert dropped == ()


def test_streams_are_asked_for_usage_unless_the_server_refuses():
    options = {"stream": True, "stream_options": {"include_usage": True}}
    assert adapted(provider("groq"), **options)[0]["stream_options"] == {"include_usage": True}
    assert "stream_options" not in adapted(provider("mistral"), **options)[0]
    assert "stream_options" not in adapted(provider("groq", options={"stream_usage": False}), **options)[0]
    assert provider("mistral").stream_usage is False
    assert provider("mistral", options={"stream_usage": True}).stream_usage is True


def test_what_a_server_refuses_is_left_out_and_named():
    said = [
        {"role": "user", "content": "a", "name": "ann"},
        {"role": "assistant", "content": "b", "reasoning_content": "hm"},
    ]
    body, dropped = adapted(provider("groq"), messages=said, logprobs=True, top_logprobs=2, seed=1)
    assert body["messages"] == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert not {"logprobs", "top_logprobs"} & set(body)
    assert dropped == ("logprobs", "participant", "thinking")
    assert adapted(provider("deepseek"), messages=said)[0]["messages"] == said


def test_seeds_have_another_name_at_mistral():
    assert adapted(provider("mistral"), seed=7)[0]["random_seed"] == 7


def test_a_callers_own_body_is_renamed_only_where_it_would_be_refused():
    body = b'{"model":"m","messages":[],"max_completion_tokens": 5,"logprobs":true}'
    assert not provider("groq").adapts_own
    mistral = provider("mistral")
    assert mistral.adapts_own
    new, dropped = mistral.adapt(body, call(), False)
    assert json.loads(new) == {"model": "m", "messages": [], "max_tokens": 5, "logprobs": True}
    assert dropped == ()


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m", "messages":[{"content":"max tokens"}]}',
        b'{"model":"m","messages":[{"content":"\\"seed\\""}]}',
        b'{"model":"m","max_completion_tokens":1,"max_tokens":2}',
    ],
)
def test_a_callers_own_body_keeps_its_bytes_otherwise(body):
    assert provider("mistral").adapt(body, call(), False).body is body


def test_only_chat_is_adapted():
    body = b'{"prompt":"x","logprobs":1}'
    assert provider("groq").adapt(body, call("openai_completions"), True) == (body, ())
