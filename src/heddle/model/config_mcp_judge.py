"""The short form's `mcp.judge`: a model that reads definitions before any agent does.

*Source:* OpenAI API reference, "Create chat completion", as of 2026-11.
"""

from typing import Annotated, Literal

import msgspec

from heddle.model.config_base import Free, Part, Period, Secret, Url


class Judge(Part, frozen=True, kw_only=True):
    """A model that reads what tool servers say of themselves, before any agent does, and says whether it is there to
    mislead. It is asked once for each version of each definition, never on the way of a call."""

    url: Url
    """Where a chat completion is posted, e.g. `http://127.0.0.1:8080/v1/chat/completions`. A listener of this mesh
    makes it a call like any other, with its limits, its budget, its failover and its records."""
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    """Model that judges."""
    api_key: Secret = ""
    """Sent as `Authorization: Bearer`. Unset sends none."""
    parameters: Free = msgspec.field(default_factory=dict)
    """Further members of each request, e.g. `{temperature: 0, max_tokens: 400}`."""
    overrules: Literal["all", "medium", "none"] = "all"
    """Which findings of the rules count no longer where the judge finds a definition harmless: `all`
    of them, those up to `medium`, or `none`, so that either is enough to hold back."""
    on_error: Literal["quarantine", "rules"] = "quarantine"
    """What becomes of a definition when the judge cannot be asked: it is held back until it could be, or the rules
    decide alone."""
    timeout: Period = "30s"
    """Longest wait for one verdict."""
    max_concurrent: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    """Most questions under way in one worker; no target has more than half of them."""
    max_per_hour: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1_000
    """Most requests about one target in an hour, of one worker: a server that changes its definitions all the time
    spends no more. What is not asked is treated as `on_error` says."""
