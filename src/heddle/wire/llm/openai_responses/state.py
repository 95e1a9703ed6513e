"""What of a vendor's state a request goes on from, and what an answer leaves there.

Owns where names of kept things stand: responses, conversations, items and containers. Whose they are is not known
here. Files and stored prompts are not among them: these the owner of the account puts there, not a call.

*Source:* OpenAI API reference, "Create a model response" (`previous_response_id`, `conversation`, item references,
`container`), "Conversation state" and "Streaming events", as of 2026-11.
"""

from typing import Any, NamedTuple

import msgspec

from heddle.wire.errors import ProtocolError
from heddle.wire.llm.openai_responses.reader import MAX_EVENT_BYTES, payload
from heddle.wire.sse import Splitter

MAX_IDS = 512
MAX_ID_CHARS = 256

_MARKS = (b"response.created", b"response.completed", b"response.incomplete")
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Reference(NamedTuple):
    """Something kept that a request names."""

    what: str
    """As the vendor calls it in its errors."""
    id: str
    param: str


class _Item(msgspec.Struct, gc=False):
    type: Any = None
    id: Any = None
    role: Any = None


class _Tool(msgspec.Struct, gc=False):
    container: Any = None
    environment: Any = None


class _Request(msgspec.Struct, gc=False):
    previous_response_id: Any = None
    conversation: Any = None
    background: Any = None
    input: str | list[_Item] | None = None
    tools: list[_Tool] | None = None


class _Output(msgspec.Struct, gc=False):
    id: Any = None
    container_id: Any = None


class _Response(msgspec.Struct, gc=False):
    id: Any = None
    store: Any = None
    conversation: Any = None
    output: list[_Output] | None = None


class _Event(msgspec.Struct, gc=False):
    response: _Response | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_RESPONSE = msgspec.json.Decoder(_Response)
_EVENT = msgspec.json.Decoder(_Event)


class Wanted(NamedTuple):
    """What a request asks of the vendor's state."""

    references: tuple[Reference, ...]
    background: bool


def read_request(body: bytes) -> Wanted:
    """All of it. Raises ProtocolError for a body of which nobody could say."""
    try:
        request = _REQUEST.decode(body)
    except _BROKEN as exc:
        raise ProtocolError("input: expected a text or a list of items.", param="input") from exc
    found: list[Reference] = []
    if request.previous_response_id is not None:
        found.append(_reference("Previous response", request.previous_response_id, "previous_response_id"))
    if request.conversation is not None:
        found.append(_reference("Conversation", _id_of(request.conversation), "conversation"))
    for index, item in enumerate(request.input if isinstance(request.input, list) else ()):
        # The type of a reference may be left out: an item with an id and nothing else is one.
        if item.type == "item_reference" or (item.type is None and item.role is None):
            found.append(_reference("Item", item.id, f"input[{index}].id"))
    for index, tool in enumerate(request.tools or ()):
        found += _containers(tool, f"tools[{index}]")
    if len(found) > MAX_IDS:
        raise ProtocolError(f"The request names more than {MAX_IDS} kept things.")
    return Wanted(tuple(found), request.background is not None and request.background is not False)


def _containers(tool: _Tool, place: str) -> list[Reference]:
    found = []
    if isinstance(tool.container, str):
        found.append(_reference("Container", tool.container, f"{place}.container"))
    if isinstance(tool.environment, dict) and "container_id" in tool.environment:
        found.append(_reference("Container", tool.environment["container_id"], f"{place}.environment.container_id"))
    return found


def _id_of(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value


def _reference(what: str, name: Any, param: str) -> Reference:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_ID_CHARS:
        raise ProtocolError(f"{param}: expected an id.", param=param)
    return Reference(what, name, param)


def kept_by(body: bytes) -> tuple[str, ...]:
    """Ids of what a whole answer left with the vendor; none when it was not kept."""
    try:
        return _ids(_RESPONSE.decode(body))
    except _BROKEN:
        return ()


def _ids(response: _Response | None) -> tuple[str, ...]:
    if response is None or response.store is False:
        return ()
    named = [response.id, _id_of(response.conversation)]
    for item in response.output or ():
        named += [item.id, item.container_id]
    return tuple([name for name in named if isinstance(name, str) and 0 < len(name) <= MAX_ID_CHARS][:MAX_IDS])


class StateReader:
    """Reads the same from a stream, on its way."""

    __slots__ = ("_splitter",)

    def __init__(self) -> None:
        self._splitter: Splitter | None = Splitter(MAX_EVENT_BYTES)

    def feed(self, data: bytes) -> tuple[str, ...]:
        """Ids that are known with `data`; the last ones with the last event."""
        if self._splitter is None:
            return ()
        try:
            events = self._splitter.feed(data)
        except ProtocolError:
            self._splitter = None
            return ()
        found: list[str] = []
        for event in events:
            if any(mark in event for mark in _MARKS):
                try:
                    found += _ids(_EVENT.decode(payload(event)).response)
                except _BROKEN:
                    continue
        return tuple(found)
