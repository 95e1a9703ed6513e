"""Which of several requests under way a server means that asks, or says, something without naming one.

Over one stream for everything (HTTP+SSE, stdio) the older era does not tell. The answer to a question names the
question, so that it reaches the right place whoever passes it on: what matters is to pass it on by a request that
somebody waits for, and that may carry questions. One that has asked and was not answered may be given up by now.
*Source:* Model Context Protocol 2024-11-05, "Transports"; 2026-07-28, "Multi round-trip requests" (which may ask).
"""

from collections.abc import Iterable
from typing import Protocol, TypeVar

ASKING = frozenset(("tools/call", "prompts/get", "resources/read"))
"""Requests in whose course a server may ask its client, in every era."""


class Working(Protocol):
    """A request under way."""

    @property
    def method(self) -> str:
        """What it is."""
        ...

    @property
    def questions(self) -> int:
        """How many questions were passed on by it that are not answered."""
        ...


W = TypeVar("W", bound=Working)


def meant(working: Iterable[W]) -> W | None:
    """The likeliest of requests in the order in which they began: the newest that may ask and waits for no answer."""
    newest_first = reversed(list(working))
    return max(newest_first, key=lambda one: (one.method in ASKING, not one.questions), default=None)
