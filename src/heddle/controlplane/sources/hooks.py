"""Webhooks of Git hosts: a signed request that only says "look now".

Owns the check of the signature, in the forms of GitHub (and those who copied it) and GitLab. What is in the request is
never used, so replaying one does no more than a fetch, and those are not more frequent than the source allows.
*Source:* GitHub, "Validating webhook deliveries"; GitLab, "Webhooks", secret token.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from heddle.controlplane.sources.git import GitSource

PATH = "/hooks/git"
MAX_BODY_BYTES = 1024 * 1024
_PREFIX = "sha256="


def is_signed(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether a request comes from who has the secret; an empty one signs nothing. Names are lower case."""
    if not secret:
        return False
    signature = headers.get("x-hub-signature-256", "")
    if signature.startswith(_PREFIX):
        expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(signature[len(_PREFIX) :].lower().encode(), expected.encode())
    token = headers.get("x-gitlab-token", "")
    return hmac.compare_digest(token.encode(), secret.encode())


def hook(headers: Mapping[str, str], body: bytes, secret: str, sources: Iterable[GitSource]) -> int:
    """The status that a webhook is answered with: 202 when the sources look now, 403 when it is not signed."""
    if not is_signed(headers, body, secret):
        return 403
    for source in sources:
        source.poke()
    return 202
