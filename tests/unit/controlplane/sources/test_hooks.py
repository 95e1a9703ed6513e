"""A webhook says "look now", and only who has the secret may say it."""

import hashlib
import hmac
from collections.abc import Mapping

import pytest

from heddle.controlplane.sources.hooks import hook, is_signed

SECRET, BODY = "s3cret", b'{"ref": "refs/heads/main"}'
DIGEST = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()


class Poked:
    def __init__(self) -> None:
        self.count = 0

    def poke(self) -> None:
        self.count += 1


@pytest.mark.parametrize(
    "headers",
    [{"x-hub-signature-256": f"sha256={DIGEST}"}, {"x-hub-signature-256": f"sha256={DIGEST.upper()}"},
     {"x-gitlab-token": SECRET}],
)  # fmt: skip
def test_signed(headers: Mapping[str, str]):
    source = Poked()
    assert hook(headers, BODY, SECRET, [source]) == 202  # type: ignore[list-item]
    assert source.count == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-hub-signature-256": ""},
        {"x-hub-signature-256": "sha256="},
        {"x-hub-signature-256": DIGEST},
        {"x-hub-signature-256": f"sha256={DIGEST[:-1]}0x"},
        {"x-hub-signature-256": "sha256=\u00e9"},
        {"x-hub-signature": f"sha1={DIGEST}"},
        {"x-gitlab-token": ""},
        {"x-gitlab-token": "s3cre"},
        {"x-gitlab-token": "\u00e9"},
    ],
)
def test_not_signed(headers: Mapping[str, str]):
    source = Poked()
    assert hook(headers, BODY, SECRET, [source]) == 403  # type: ignore[list-item]
    assert source.count == 0


def test_a_changed_body_is_not_signed():
    assert not is_signed({"x-hub-signature-256": f"sha256={DIGEST}"}, BODY + b" ", SECRET)


def test_without_a_secret_nothing_is_signed():
    empty = hmac.new(b"", BODY, hashlib.sha256).hexdigest()
    assert not is_signed({"x-hub-signature-256": f"sha256={empty}"}, BODY, "")
    assert not is_signed({"x-gitlab-token": ""}, BODY, "")
