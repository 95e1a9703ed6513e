"""Asking a caller of the newer era to connect an account, within the call that needs one.

Owns the question, and the wait for its outcome: that the user has opened the page is the client's word, that they are
done with it shows in the credential alone. Callers who cannot be asked get the error, with the link in its text.
*Source:* Model Context Protocol 2026-07-28, "Multi round-trip requests"; 2025-11-25, "URL Mode Elicitation".
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from heddle.backends.mcp.contract import Caller, ConsentRequired

WAIT_S = 60.0
"""How long a call waits for the user after the client said that the page was opened."""
LOOK_S = 1.0


async def with_consent(call: Callable[[], Awaitable[bytes]], caller: Caller) -> bytes:
    """The result of `call`, which is made again when the user has connected an account. Raises as it does."""
    try:
        return await call()
    except ConsentRequired as required:
        asked = _question(required) if caller.modern and _opens_links(caller) else None
        if asked is None:
            raise
        answer = await caller.ask("elicitation/create", asked)
        if _decode(answer).get("action") != "accept":
            raise
    for _ in range(int(WAIT_S / LOOK_S)):
        try:
            return await call()
        except ConsentRequired:
            await asyncio.sleep(LOOK_S)
    return await call()


def _question(required: ConsentRequired) -> dict[str, msgspec.Raw] | None:
    asked = _decode(required.data).get("elicitations")
    if not isinstance(asked, list) or not asked or not isinstance(asked[0], dict):
        return None
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in asked[0].items()}


def _opens_links(caller: Caller) -> bool:
    """Whether the client declared that it can show a user a link."""
    declared = _decode(caller.capabilities).get("elicitation")
    return isinstance(declared, dict) and isinstance(declared.get("url"), dict)


def _decode(raw: bytes) -> dict[str, Any]:
    value = msgspec.json.decode(raw or b"{}")
    return value if isinstance(value, dict) else {}
