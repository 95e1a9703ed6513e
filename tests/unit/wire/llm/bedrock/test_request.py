"""Requests of Converse that cannot become canonical ones: each refusal names its place."""

import json

import pytest

from heddle.model.call import ModelCall
from heddle.wire.canonical.rules import UntranslatableError
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.bedrock import dialect

CALL = ModelCall(operation="chat", dialect="bedrock_converse", model="m", body=b"")
S3 = {"s3Location": {"uri": "s3://bucket/key"}}


def decode(content=({"text": "hi"},), role="user", **fields):
    body = {"messages": [{"role": role, "content": list(content)}], **fields}
    return dialect.decode_chat(json.dumps(body).encode(), CALL)


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"image": {"format": "png", "source": S3}}, "messages[0].content[0].image"),
        ({"document": {"name": "d", "format": "pdf", "source": S3}}, "messages[0].content[0].document"),
        ({"guardContent": {"text": {"text": "x"}}}, "messages[0].content[0].guardContent"),
        ({"toolAddition": {"tool": {"name": "f"}}}, "messages[0].content[0].toolAddition"),
        (
            {"toolUse": {"toolUseId": "a", "name": "f", "input": {}, "type": "server_tool_use"}},
            "messages[0].content[0]",
        ),
        ({"toolResult": {"toolUseId": "a", "content": [], "type": "x"}}, "messages[0].content[0]"),
    ],
)
def test_content_that_only_bedrock_has(block, param):
    with pytest.raises(UntranslatableError) as caught:
        decode([block])
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}}, "guardrailConfig"),
        ({"system": [{"guardContent": {"text": {"text": "x"}}}]}, "system[0].guardContent"),
        ({"messages": []}, "modelId"),
    ],
)
def test_fields_that_only_bedrock_has(fields, param):
    with pytest.raises(UntranslatableError) as caught:
        decode(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({}, "messages[0].content[0]"),
        ({"hologram": {}}, "messages[0].content[0]"),
        ({"text": 5}, "messages[0].content[0].text"),
        ({"image": {"format": "bmp", "source": {"bytes": "AAAA"}}}, "messages[0].content[0].image.format"),
        ({"image": {"source": {"bytes": "AAAA"}}}, "messages[0].content[0].image.format"),
        ({"image": {"format": "png", "source": {}}}, "messages[0].content[0].image.source.bytes"),
        ({"image": {"format": "png", "source": {"bytes": "A"}}}, "messages[0].content[0].image.source.bytes"),
        ({"image": {"format": "png", "source": {"bytes": "AAA\n"}}}, "messages[0].content[0].image.source.bytes"),
        ({"image": {"format": "png", "source": {"bytes": "ÄÖÜß"}}}, "messages[0].content[0].image.source.bytes"),
        ({"image": {"format": "png", "source": {"text": "A"}}}, "messages[0].content[0].image.source.bytes"),
        ({"toolUse": {"toolUseId": "a", "name": "f"}}, "messages[0].content[0].toolUse.input"),
        ({"toolUse": {"toolUseId": "a", "name": "f", "input": [1]}}, "messages[0].content[0].toolUse.input"),
        ({"toolUse": {"toolUseId": "a", "name": "f", "input": None}}, "messages[0].content[0].toolUse.input"),
        (
            {"toolResult": {"toolUseId": "a", "content": [], "status": "maybe"}},
            "messages[0].content[0].toolResult.status",
        ),
        (
            {"toolResult": {"toolUseId": "a", "content": [{"x": 1}]}},
            "messages[0].content[0].toolResult.content[0]",
        ),
        ({"reasoningContent": {}}, "messages[0].content[0].reasoningContent"),
        (
            {"reasoningContent": {"redactedContent": "!"}},
            "messages[0].content[0].reasoningContent.redactedContent",
        ),
    ],
)
def test_content_that_cannot_be(block, param):
    with pytest.raises(ProtocolError) as caught:
        decode([block])
    assert not isinstance(caught.value, UntranslatableError)
    assert caught.value.param == param
    assert param in caught.value.detail


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"role": "tool"}, "messages[0].role"),
        ({"system": [{}]}, "system[0]"),
        ({"system": "text"}, "system"),
        ({"toolConfig": {"tools": [{}]}}, "toolConfig.tools[0]"),
        ({"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}}, "toolConfig.tools[0].toolSpec.inputSchema"),
        ({"toolConfig": {"tools": [], "toolChoice": {}}}, "toolConfig.toolChoice"),
        ({"inferenceConfig": {"temperature": "warm"}}, "inferenceConfig.temperature"),
        ({"additionalModelRequestFields": {"top_k": "x"}}, "additionalModelRequestFields.top_k"),
        (
            {"additionalModelRequestFields": {"thinking": {"budget_tokens": "x"}}},
            "additionalModelRequestFields.thinking.budget_tokens",
        ),
        ({"requestMetadata": {"a": 1}}, "requestMetadata[...]"),
    ],
)
def test_fields_that_cannot_be(fields, param):
    with pytest.raises(ProtocolError) as caught:
        decode(**fields)
    assert caught.value.param == param


def test_fields_nobody_knows_are_named():
    assert decode(future={"a": 1}, absent=None).other == ("future",)
