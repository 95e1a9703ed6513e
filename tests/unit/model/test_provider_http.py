"""Which error bodies of providers may be shown."""

import pytest

from heddle.model.provider_http import MAX_FAILURE_BYTES, may_show

SECRET = b"sk-secret/1"


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"the key sk-secret/1 is wrong"}',
        b'{"error":"the key sk\\u002dsecret\\/1 is wrong"}',
        b'{"error":{"sk-\\u0073ecret/1":null}}',
        b'[{"error":"a list"}]',
        b"{",
        b"null",
        b"",
        None,
        b'{"x":"' + b"x" * MAX_FAILURE_BYTES + b'"}',
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_bodies_that_are_kept_from_callers(body):
    assert not may_show(body, SECRET)


def test_a_body_without_secrets_is_shown():
    assert may_show(b'{"error":"the key sk-other is wrong"}', SECRET)
    assert may_show(b'{"error":""}', b"")
    assert may_show(b'{"error":"x"}')
    assert not may_show(b'{"error":"a and b"}', b"z", b"b")
