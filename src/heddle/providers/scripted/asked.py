"""What a request asks of the offline model, in no vendor's form.

Owns the values between the formats, which read requests, and `said`, which answers them; and the error of a request
that the vendor would refuse.
"""

from typing import Any, Literal

import msgspec


class RefusedError(Exception):
    """A request that the vendor's own server answers with an error. The text is in the vendor's words."""

    def __init__(self, message: str, param: str | None = None, status: int = 400, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status
        self.code = code


class Tool(msgspec.Struct, frozen=True, gc=False):
    """A tool that may be called."""

    name: str
    schema: dict[str, Any] | None = None
    """Of its arguments."""


class Asked(msgspec.Struct, kw_only=True):
    """One request. Text lists are in the order of the conversation."""

    said: str = ""
    """What the user said last."""
    extra: str = ""
    """Directives given beside the conversation."""
    turns: int = 0
    """Messages."""
    texts: list[str] = []
    """Every message's text, which is what its tokens are counted by."""
    media: int = 0
    """Images and documents."""
    results: list[str] | None = None
    """What tools answered, when their results are the last that was said."""
    thoughts_back: int = 0
    """Thinking that came back with a seal of ours."""
    tools: list[Tool] = []
    tool_bytes: int = 0
    """Size of their declaration."""
    choice: Literal["auto", "none", "required", "named"] = "auto"
    chosen: str = ""
    """Name of the tool, with choice `named`."""
    parallel: bool = True
    most: int | None = None
    """Tokens of one answer."""
    stops: list[str] = []
    form: Literal["text", "json", "schema"] = "text"
    schema: Any = None
    choices: int = 1
    thinking: bool = False
    """The request itself asks for thinking."""
    stream: bool = False
    usage_asked: bool = True
    """A stream is to tell its usage."""
    own: Any = None
    """What a format keeps of the request for its answer."""
