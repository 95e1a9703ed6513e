"""What a Gemini vendor says: its wire form, its parts as canonical ones, and why it ended.

Owns what whole answers and streams have in common. A call without an id gets one made from what surrounds it, so that
the same answer always has the same ids. An answer that ended because the model failed, or that has what no other
format can carry, is an error and never a short success.

*Source:* Gemini API reference, "GenerateContentResponse", "Candidate", "FinishReason", "Part", 2026-11.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from heddle.wire.canonical.answer import Stop
from heddle.wire.errors import ProtocolError
from heddle.wire.llm.gemini import logprobs, usage

_BLOCKED = (
    "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_OTHER", "IMAGE_RECITATION", "NO_IMAGE", "MODEL_ARMOR", "OTHER", "ESCALATION",
    "PUP_LIMITED_DISABLED",
)  # fmt: skip
_FAILED = (
    "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
)  # fmt: skip
STOPS: dict[str, Stop] = {
    "STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "pause",
    **dict.fromkeys(_BLOCKED, "content_filter"),
}  # fmt: skip
"""`finishReason` -> why the answer ended, unless it has calls. One that is not known here is `content_filter` too: an
answer must not pass for whole when nobody knows why it ended."""
UNFINISHED = ("", "FINISH_REASON_UNSPECIFIED")

_BEYOND = ("inlineData", "fileData", "executableCode", "codeExecutionResult", "toolCall", "toolResponse")
"""Parts without a canonical form."""


class _Call(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw()
    partial_args: Any = None
    will_continue: bool | None = None


class _Part(msgspec.Struct, gc=False, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _Call | None = None
    inline_data: Any = None
    file_data: Any = None
    executable_code: Any = None
    code_execution_result: Any = None
    tool_call: Any = None
    tool_response: Any = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class Candidate(msgspec.Struct, gc=False, rename="camel"):
    """One candidate, or a piece of it."""

    content: _Content | None = None
    finish_reason: str | None = None
    index: int | None = None
    logprobs_result: logprobs.Result | None = None


class _Feedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class Response(msgspec.Struct, gc=False, rename="camel"):
    """`GenerateContentResponse`: a whole answer, or one event of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: usage.WireUsage | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None

    @property
    def blocked(self) -> bool:
        """The prompt was refused; there are no candidates."""
        return self.prompt_feedback is not None and bool(self.prompt_feedback.block_reason)


class Piece(NamedTuple):
    """A part, or a piece of one, in the canonical kinds."""

    kind: Literal["text", "thinking", "tool_call"]
    text: str = ""
    """Text, thought, or the arguments of a call."""
    signature: str = ""
    """Canonical."""
    name: str = ""
    id: str = ""
    """Of a call; empty when the vendor gave none."""


decode = msgspec.json.Decoder(Response).decode


def only_text(candidate: Candidate) -> str:
    """The text of a candidate that has nothing else, as nearly every event of a stream; empty for any other."""
    parts = candidate.content.parts if candidate.content is not None else None
    if parts is None or len(parts) != 1:
        return ""
    part = parts[0]
    return "" if part.thought or part.thought_signature or part.function_call is not None else part.text or ""


def pieces(candidate: Candidate) -> Iterator[Piece]:
    """The parts of a candidate. The signature of plain text follows it as thinking without words.

    Raises ProtocolError for a part that has no canonical form.
    """
    for part in (candidate.content.parts or ()) if candidate.content is not None else ():
        signature = f"gemini.{part.thought_signature}" if part.thought_signature else ""
        if part.function_call is not None:
            yield _call(part.function_call, signature)
        elif part.text is not None:
            if part.thought:
                yield Piece("thinking", part.text, signature)
                continue
            if part.text:
                yield Piece("text", part.text)
            if signature:
                yield Piece("thinking", "", signature)
        elif signature and part.thought:
            yield Piece("thinking", "", signature)
        else:
            _check(part)


def _call(call: _Call, signature: str) -> Piece:
    if call.partial_args is not None or call.will_continue:
        raise ProtocolError("The provider sent a function call in pieces, which was not asked for.")
    arguments = bytes(call.args).decode()
    return Piece("tool_call", "{}" if arguments in ("", "null") else arguments, signature, call.name, call.id or "")


def _check(part: _Part) -> None:
    for field, name in zip(part.__struct_encode_fields__, part.__struct_fields__, strict=True):
        if field in _BEYOND and getattr(part, name) is not None:
            raise ProtocolError(f"The provider's answer has a part that cannot be translated ({field}).")


def stop_of(reason: str, called: bool) -> Stop:
    """Why an answer ended. Raises ProtocolError when it ended because the model failed."""
    if reason in _FAILED:
        raise ProtocolError(f"The model failed to write an answer ({reason}).")
    stop = STOPS.get(reason, "content_filter")
    return "tool_use" if called and stop == "stop" else stop


def call_id(response_id: str, place: tuple[int, int], piece: Piece) -> str:
    """The id of a call: the vendor's, or one that follows from the answer's and the call's place in it."""
    if piece.id:
        return piece.id
    known = "\0".join((response_id, *map(str, place), piece.name, piece.text))
    return f"call_{hashlib.sha256(known.encode('utf-8', 'replace')).hexdigest()[:24]}"
