"""What is asked in every cell, and what a caller heard: in no SDK's form."""

import base64
import secrets
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.unit.providers.scripted_asking import Usage

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A picture."""
PIXEL_BASE64 = base64.b64encode(PIXEL).decode()
CITY = "Saint-Étienne \\ 😀"
"""What its JSON has to escape, and characters of two, three and four bytes."""
ARGUMENTS = {"city": CITY, "days": 3}
ABOUT = f"“{CITY}” for 3 days"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS = {"get_weather": "The weather of a city.", "get_time": "The time in a city."}
RESULT = "It is “fine”."
MAX_TOKENS = 4000
COUNTED = "[[cached 64 written=32]][[think So it is.]]"
"""Every kind of token occurs."""


@dataclass
class Ask:
    """One call. `history` is what the SDK's user would send back: the earlier prompt and answer, then results."""

    model: str
    prompt: str
    stream: bool = False
    tools: bool = False
    image: bool = False
    schema: bool = False
    think: bool = False
    choices: int = 1
    history: "Heard | None" = None
    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def fields(self) -> dict[str, str]:
        """Header fields beside the SDK's own."""
        return {"traceparent": f"00-{self.trace_id}-00f067aa0ba902b7-01"}


class Heard(NamedTuple):
    """What a caller has of an answer."""

    text: str
    thought: str
    calls: list[tuple[str, str, Any]]
    """Id, name, arguments."""
    usage: Usage
    notes: str
    """`x-heddle-translation`."""
    native: Any
    """The answer as the SDK's user would send it back."""
    choices: tuple[str, ...] = ()
    """The texts of all completions, where several were asked for."""


class Failed(NamedTuple):
    """An error as the SDK raised it."""

    status: int
    """0 in a stream that had begun."""
    kind: str
    """Class of the exception."""
    message: str
    retry_after: str
