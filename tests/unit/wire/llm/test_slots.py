"""Where each dialect's texts are, in requests and in whole answers: nothing that is said is left out."""

from typing import Any

import pytest

from heddle.wire.llm.slots import decode, encode
from heddle.wire.llm.slotted import SLOTS

# In each body the texts are named as (scope, form); `x` begins what is no text of the caller's or the model's.
REQUESTS: list[tuple[str, Any]] = [
    (
        "openai_chat",
        {
            "model": "x",
            "user": "user",
            "metadata": {"who": "user"},
            "tools": [{"type": "function", "function": {"description": "system", "parameters": {"a": ["system"]}}}],
            "response_format": {"json_schema": {"name": "system"}},
            "messages": [
                {"role": "system", "content": "system"},
                {"role": "developer", "content": [{"type": "text", "text": "system"}]},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "user"}, {"type": "image_url", "image_url": {"url": "x"}}],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "refusal": "assistant",
                    "tool_calls": [
                        {"id": "x", "function": {"name": "x", "arguments": "tool_arguments"}},
                        {"id": "x", "type": "custom", "custom": {"name": "x", "input": "tool_arguments"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "x", "content": "tool_result"},
            ],
        },
    ),
    ("openai_completions", {"model": "x", "prompt": ["user", "user"], "suffix": "user"}),
    ("openai_completions", {"model": "x", "prompt": [[1, 2], [3]]}),
    ("openai_embeddings", {"model": "x", "input": "user"}),
    (
        "anthropic_messages",
        {
            "model": "x",
            "system": [{"type": "text", "text": "system"}],
            "messages": [
                {"role": "user", "content": "user"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "x", "signature": "x"},
                        {"type": "text", "text": "assistant"},
                        {"type": "tool_use", "id": "x", "name": "x", "input": {"k": "tool_arguments"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "x",
                            "content": [{"type": "text", "text": "tool_result"}],
                        },
                        {"type": "tool_result", "tool_use_id": "x", "content": "tool_result"},
                        {
                            "type": "document",
                            "title": "user",
                            "source": {"type": "text", "data": "user", "media_type": "x"},
                        },
                        {"type": "document", "source": {"type": "base64", "data": "x"}},
                    ],
                },
            ],
        },
    ),
    (
        "gemini",
        {
            "systemInstruction": {"parts": [{"text": "system"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "user"}, {"inlineData": {"data": "x"}}]},
                {
                    "role": "model",
                    "parts": [{"text": "assistant"}, {"functionCall": {"name": "x", "args": {"k": "tool_arguments"}}}],
                },
                {"role": "user", "parts": [{"functionResponse": {"name": "x", "response": {"r": "tool_result"}}}]},
            ],
        },
    ),
    ("gemini_count", {"generateContentRequest": {"system_instruction": {"parts": {"text": "system"}}}}),
    ("gemini_embeddings", {"requests": [{"model": "x", "content": {"parts": [{"text": "user"}]}}]}),
    (
        "openai_responses",
        {
            "model": "x",
            "instructions": "system",
            "input": [
                {"role": "developer", "content": "system"},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "user"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "assistant"}]},
                {"type": "reasoning", "encrypted_content": "x", "summary": [{"type": "summary_text", "text": "x"}]},
                {"type": "function_call", "name": "x", "arguments": "tool_arguments"},
                {"type": "function_call_output", "call_id": "x", "output": "tool_result"},
                {
                    "type": "function_call_output",
                    "call_id": "x",
                    "output": [{"type": "input_text", "text": "tool_result"}],
                },
                {"type": "custom_tool_call", "name": "x", "input": "tool_arguments"},
            ],
        },
    ),
    ("openai_responses", {"model": "x", "input": "user"}),
    (
        "bedrock_converse",
        {
            "system": [{"text": "system"}, {"cachePoint": {"type": "x"}}],
            "messages": [
                {
                    "role": "user",
                    "content": [{"text": "user"}, {"document": {"name": "user", "source": {"text": "user"}}}],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"reasoningContent": {"reasoningText": {"text": "x", "signature": "x"}}},
                        {"toolUse": {"toolUseId": "x", "name": "x", "input": {"k": "tool_arguments"}}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "toolResult": {
                                "toolUseId": "x",
                                "content": [{"text": "tool_result"}, {"json": {"r": "tool_result"}}],
                            }
                        }
                    ],
                },
            ],
        },
    ),
]

ANSWERS: list[tuple[str, Any]] = [
    (
        "openai_chat",
        {
            "id": "x",
            "choices": [
                {
                    "message": {
                        "content": "assistant",
                        "reasoning_content": "assistant",
                        "tool_calls": [{"function": {"name": "x", "arguments": "tool_arguments"}}],
                    }
                }
            ],
        },
    ),
    ("openai_completions", {"id": "x", "choices": [{"text": "assistant"}]}),
    (
        "anthropic_messages",
        {
            "id": "x",
            "content": [
                {"type": "thinking", "thinking": "assistant", "signature": "x"},
                {"type": "text", "text": "assistant"},
                {"type": "tool_use", "id": "x", "name": "x", "input": {"k": "tool_arguments"}},
            ],
        },
    ),
    (
        "gemini",
        {"candidates": [{"content": {"parts": [{"text": "assistant", "thought": True}, {"text": "assistant"}]}}]},
    ),
    (
        "openai_responses",
        {
            "id": "x",
            "instructions": "system",
            "output": [
                {
                    "type": "reasoning",
                    "id": "x",
                    "summary": [{"type": "summary_text", "text": "assistant"}],
                    "encrypted_content": "x",
                },
                {
                    "type": "message",
                    "id": "x",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "assistant"}],
                },
                {"type": "function_call", "id": "x", "arguments": "tool_arguments"},
            ],
        },
    ),
    (
        "bedrock_converse",
        {
            "output": {
                "message": {
                    "role": "x",
                    "content": [
                        {"text": "assistant"},
                        {"reasoningContent": {"reasoningText": {"text": "assistant", "signature": "x"}}},
                    ],
                }
            },
            "stopReason": "x",
        },
    ),
]

SCOPES = ("system", "user", "assistant", "tool_arguments", "tool_result")


def leaves(value: Any) -> list[str]:
    """The texts of a value that name a scope."""
    if isinstance(value, str):
        return [value] if value in SCOPES else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [leaf for item in inner for leaf in leaves(item)]


def roles(value: Any) -> list[str]:
    """What names a scope, but as a role or a type."""
    if isinstance(value, dict):
        own = [value[key] for key in ("role", "type") if value.get(key) in SCOPES]
        return own + [role for item in value.values() for role in roles(item)]
    return [role for item in value for role in roles(item)] if isinstance(value, list) else []


def found(slots: Any) -> list[str]:
    texts = []
    for slot in slots:
        inside = leaves(slot.holder[slot.key])
        assert inside == [slot.scope] * len(inside)
        assert inside
        texts += inside
    return sorted(texts)


def wanted(body: Any) -> list[str]:
    texts = leaves(body)
    for role in roles(body):
        texts.remove(role)
    return sorted(texts)


@pytest.mark.parametrize(("dialect", "body"), REQUESTS)
def test_every_text_of_a_request_is_found_under_its_scope(dialect: str, body: Any):
    assert found(SLOTS[dialect].request_slots(body)) == wanted(body)


@pytest.mark.parametrize(("dialect", "body"), ANSWERS)
def test_every_text_of_an_answer_is_found_under_its_scope(dialect: str, body: Any):
    assert found(SLOTS[dialect].answer_slots(body)) == wanted(body)


@pytest.mark.parametrize("dialect", SLOTS)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": 1},
        {"messages": [1, None, {"content": {"text": 1}}]},
        {"choices": [{}]},
        {"content": [[]], "contents": {"parts": 7}, "input": 5, "output": 7, "system": 0},
    ],
)
def test_other_forms_have_no_texts(dialect: str, body: Any):
    assert not list(SLOTS[dialect].request_slots(body))
    assert not list(SLOTS[dialect].answer_slots(body))
    list(SLOTS[dialect].open_slots().read(body))


@pytest.mark.parametrize("text", [b"1.50", b"1e999", b"-1.5E+3", b"123456789012345678901234567890", b'{"a":[0.10]}'])
def test_numbers_are_written_as_they_were_read(text: bytes):
    assert encode(decode(text)) == text
