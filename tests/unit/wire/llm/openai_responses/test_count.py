"""Counting: requests like those for responses, answers that cost nothing, and an estimate for those who cannot."""

import json

import pytest
from tests.unit.wire.llm.openai_responses.said import request

from heddle.model.call import Usage
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_responses import count


def test_a_request():
    body = request(tools=[])
    asked = count.decode_request(body)
    assert (asked.operation, asked.dialect, asked.model, asked.body) == (
        *("count_tokens", "openai_responses_count", "m"),
        body,
    )
    assert (asked.max_output_tokens, asked.stream) == (0, False)


def test_a_request_without_a_model_or_input_is_refused():
    for fields in ({"model": None}, {"input": None}):
        with pytest.raises(ProtocolError):
            count.decode_request(request(**fields))


def test_a_count_uses_nothing():
    assert count.read_usage(b'{"object":"response.input_tokens","input_tokens":11}', 100) == Usage()
    for body in (b"{}", b"[]", b'{"input_tokens":"x"}'):
        with pytest.raises(ProtocolError):
            count.read_usage(body, 1)
    with pytest.raises(ProtocolError):
        count.open_stream(False)


def test_an_estimate_counts_words_and_media_but_no_base64():
    def estimated(**fields: object) -> int:
        said = json.loads(count.estimate_count(request(**fields)))
        assert said["object"] == "response.input_tokens"
        return said["input_tokens"]

    def shown(size: int) -> list:
        image = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * size}
        return [{"role": "user", "content": [image]}]

    assert estimated(input="x" * 400) - estimated(input="x") in (99, 100)
    assert estimated(input=shown(4)) == estimated(input=shown(40_000))
    assert estimated(input=shown(4)) > count.MEDIA_TOKENS
