"""Which calls carry thinking that was translated for their caller."""

import pytest

from heddle.backends.replay import carries_proofs
from heddle.model.call import ModelCall


def carries(body: bytes, dialect: str = "anthropic_messages") -> bool:
    return carries_proofs(ModelCall(operation="chat", dialect=dialect, model="m", body=body))


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"thinking","thinking":"x","signature":"gemini.abc"}',
        b'{"type": "thinking", "signature" : "bedrock.abc"}',
        b'{"type":"redacted_thinking","data":"call.gemini.abc"}',
        b'{"type":"reasoning","encrypted_content":"redacted.anthropic.x"}',
        b'{"type":"reasoning","encrypted_content":"call.call_1|gemini.x"}',
        b'{"thoughtSignature":"anthropic.x"}',
    ],
)
def test_a_vendors_name_before_a_proof_is_seen(body: bytes):
    assert carries(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"thinking","signature":"EqQBCgYIAhIM"}',
        b'{"type":"text","text":"\\"signature\\":\\"gemini.abc\\""}',
        b'{"type":"text","text":"gemini. is a vendor"}',
        b'{"type":"image","source":{"data":"aGVsbG8="}}',
    ],
)
def test_other_texts_are_not_taken_for_one(body: bytes):
    assert not carries(body)


def test_only_formats_that_can_be_written_anew():
    assert not carries(b'{"signature":"gemini.abc"}', "openai_embeddings")
