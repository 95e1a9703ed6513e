"""The short form's `guards`: what is looked for in texts, and what is done about it.

*Source:* docs/concepts/guards.md for what a match is; OpenAI API reference, "Create moderation", as of 2026-11.
"""

from typing import Annotated, Any, Literal

import msgspec

from heddle.model.config_base import Name, Part, Period, Secret, Url
from heddle.model.config_policies import Match
from heddle.model.snapshot_guards import Action, Direction, Scope

Text = Annotated[str, msgspec.Meta(max_length=2000)]


class GuardPattern(Part, frozen=True, kw_only=True):
    """A pattern of your own: a regular expression without look-around and back-references."""

    name: Name
    """What masks, metrics and refusals call it."""
    pattern: Text
    """The expression. `\\b` may stand at its ends, `(?i)` in front; `\\d` and `\\w` are ASCII. It must have a longest
    match: write `{0,64}` in place of `*`, or give `longest`."""
    longest: Annotated[int, msgspec.Meta(ge=0, le=16_384)] = 0
    """Characters of the longest match; a stream is never held back for more. 0 takes the pattern's own bound."""


class GuardWebhook(Part, frozen=True, kw_only=True):
    """A service that judges texts. It holds streams back until they are complete."""

    url: Url
    """Where texts are posted."""
    format: Literal["heddle", "openai_moderation"] = "heddle"
    """`heddle` posts {guard, model, texts} and expects {allow, reason}; `openai_moderation` is OpenAI's moderation
    endpoint, and refuses what it flags."""
    api_key: Secret = ""
    """Sent as `Authorization: Bearer`. Unset sends none."""
    model: str = ""
    """Model of the moderation; unset leaves it to the service."""
    timeout: Period = "2s"
    """Longest wait for its verdict; then `on_error` decides."""


class Guard(Part, frozen=True, kw_only=True):
    """What is looked for in which texts, and what is done about it."""

    name: Name = ""
    """Unique; refusals, metrics and traces name the guard by it. A Policy resource may leave it to its metadata."""
    match: Match = Match()
    """Callers and calls that it is for. Unset is all."""
    direction: Direction | tuple[Direction, ...] = ()
    """What callers send (`request`), what they get (`response`). Empty is both."""
    scopes: Scope | tuple[Scope, ...] = ()
    """Whose words: any of system, user, assistant, tool_arguments, tool_result. Empty is all."""
    recognisers: Name | tuple[Name, ...] = ()
    """Names of recognisers and families, e.g. `card`, `pii`, `secret`; see docs/concepts/guards.md."""
    patterns: tuple[GuardPattern, ...] = ()
    """Patterns of your own."""
    phrases: tuple[Text, ...] = ()
    """Words that are looked for in any case, over any white space, with look-alike letters."""
    webhook: GuardWebhook | None = None
    """Who is asked, with `action: webhook`; with recognisers, only about calls in which they find something."""
    schema: Literal["", "request"] | dict[str, Any] = ""
    """JSON schema that answers must satisfy, or `request` for the one that the caller states. It holds streams back
    until they are complete."""
    action: Action = "refuse"
    """`refuse` answers 400, or ends a stream; `mask` puts `[CARD]` in its place; `mask_reversible` does so in
    requests, and puts the original back in the answer; `log` only counts; `webhook` asks."""
    on_error: Literal["refuse", "allow"] = "refuse"
    """What happens when a webhook cannot be asked, or to a kind of call whose texts guards cannot read."""


class NamedGuard(Guard, frozen=True, kw_only=True):
    """What is looked for in which texts, and what is done about it."""

    name: Name
    """Unique; refusals, metrics and traces name the guard by it."""
