"""Guards of the snapshot: what is looked for in which texts, and what is done about it."""

from typing import Literal

import msgspec

from heddle.model.config_base import Secret
from heddle.model.redact import hidden_repr
from heddle.model.snapshot_match import MatchSpec

Scope = Literal["system", "user", "assistant", "tool_arguments", "tool_result"]
"""Whose words a text is."""
Direction = Literal["request", "response"]
Action = Literal["refuse", "mask", "mask_reversible", "log", "webhook"]
SCOPES: tuple[Scope, ...] = ("system", "user", "assistant", "tool_arguments", "tool_result")


class PatternSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern of the operator's own, already accepted."""

    name: str
    pattern: str
    longest: int = 0
    """Characters of the longest match; 0 takes the pattern's own bound."""


class WebhookSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked, and how."""

    url: str
    format: Literal["heddle", "openai_moderation"] = "heddle"
    credential: Secret = ""
    """Sent as `Authorization: Bearer`; empty sends none."""
    credential_error: str = ""
    """Why a configured secret could not be resolved; the webhook is then not asked, which is a failure."""
    model: str = ""
    """For `openai_moderation`."""
    timeout_s: float = 2.0

    def __repr__(self) -> str:
        return hidden_repr(self)


class GuardSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One guard."""

    name: str
    match: MatchSpec = MatchSpec()
    directions: tuple[Direction, ...] = ("request", "response")
    scopes: tuple[Scope, ...] = SCOPES
    recognisers: tuple[str, ...] = ()
    """Names that `guards.catalog` knows."""
    patterns: tuple[PatternSpec, ...] = ()
    phrases: tuple[str, ...] = ()
    action: Action = "refuse"
    webhook: WebhookSpec | None = None
    schema: str = ""
    """JSON text of a schema that answers must satisfy, or `request`: the one that the caller stated."""
    on_error: Literal["refuse", "allow"] = "refuse"
    """What happens to a call whose webhook fails, or whose texts cannot be found."""
