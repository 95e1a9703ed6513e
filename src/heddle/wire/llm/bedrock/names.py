"""Names of Bedrock's Converse that both directions need: exceptions, stop reasons, file formats, proofs of thinking.

Owns the tables, so that what is read and what is written cannot differ.

*Source:* Amazon Bedrock API Reference, "Converse" (Errors), "ConverseStreamOutput", "Message", "ImageBlock",
"DocumentBlock", "VideoBlock", "AudioBlock", "ReasoningContentBlock", as of 2026-11.
"""

import base64
import binascii

from heddle.wire.canonical.answer import Stop

DIALECT = "bedrock_converse"
STREAM_TYPE = b"application/vnd.amazon.eventstream"

STATUSES = {
    "ValidationException": 400,
    "ServiceQuotaExceededException": 400,
    "ConflictException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "ThrottlingException": 429,
    "ModelNotReadyException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}
"""Exception -> HTTP status, as the service model has them."""

_EXCEPTIONS = {
    401: "AccessDeniedException",
    402: "ServiceQuotaExceededException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    409: "ConflictException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
    529: "ServiceUnavailableException",
}

RETRYABLE = frozenset(
    (
        "ThrottlingException",
        "ModelNotReadyException",
        "ModelStreamErrorException",
        "ModelTimeoutException",
        "InternalServerException",
        "ServiceUnavailableException",
    )
)
"""Those of which the reference says that the request may be sent again."""

_IN_STREAM = frozenset(
    (
        "InternalServerException",
        "ModelStreamErrorException",
        "ValidationException",
        "ThrottlingException",
        "ServiceUnavailableException",
    )
)

TO_STOP: dict[str, Stop] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_use",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    # Not in the service model, but what a Claude may say by itself.
    "refusal": "refusal",
    "pause_turn": "pause",
}
BROKEN_STOPS = frozenset(("malformed_model_output", "malformed_tool_use"))
"""The model said what nobody can use: no answer."""

FROM_STOP: dict[Stop, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_use": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
}

BOUNDS = frozenset(
    (
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens_to_sample",
        "max_gen_len",
        "max_new_tokens",
        "maxTokens",
        "maxTokenCount",
    )
)
"""What models call their bound in `additionalModelRequestFields`, some of them in an object there (Nova, Titan)."""

_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MEDIA_TYPES: dict[str, dict[str, str]] = {
    "image": {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": _WORD,
        "xls": "application/vnd.ms-excel",
        "xlsx": _SHEET,
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mp4": "video/mp4",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "mpg": "video/mpg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {
        "mp3": "audio/mpeg",
        "opus": "audio/opus",
        "wav": "audio/wav",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "mp4": "audio/mp4",
        "ogg": "audio/ogg",
        "mkv": "audio/x-matroska",
        "mka": "audio/mka",
        "x-aac": "audio/x-aac",
        "m4a": "audio/m4a",
        "mpga": "audio/mpga",
        "pcm": "audio/pcm",
        "webm": "audio/webm",
    },
}
"""Kind -> Bedrock's `format` -> media type."""

FORMATS = {kind: {media: name for name, media in known.items()} for kind, known in MEDIA_TYPES.items()}
"""Kind -> media type -> Bedrock's `format`."""
FORMATS["image"]["image/jpg"] = "jpeg"
FORMATS["audio"] |= {"audio/mp3": "mp3", "audio/x-wav": "wav", "audio/wave": "wav"}

_OWN = "bedrock."
_VENDORS = ("anthropic.", "gemini.", "openai.", _OWN)
_OF_CALL = "call."
"""Before another vendor's proof of a tool call, for which `ToolUseBlock` has no member: it follows its call as redacted
thinking that only this gateway can read."""


def exception_of(status: int) -> str:
    """The exception that a status becomes for a caller of Bedrock's SDKs."""
    return _EXCEPTIONS.get(status, "ValidationException" if status < 500 else "InternalServerException")


def exception_in_stream(status: int) -> str:
    """The member of `ConverseStreamOutput` for a status: a stream knows fewer exceptions than a call."""
    name = exception_of(status)
    if status in (424, 502, 504):
        name = "ModelStreamErrorException"
    elif name not in _IN_STREAM:
        name = "ValidationException" if status < 500 else "InternalServerException"
    return name[0].lower() + name[1:]


def proof_from_caller(value: str) -> str:
    """A signature as the canonical form names it: what bears no vendor's name is Bedrock's own."""
    return value if not value or value.startswith(_VENDORS) else _OWN + value


def proof_to_caller(value: str) -> str:
    """The other way: Bedrock's own bare, another vendor's under its name, so that it comes back as what it is."""
    return value.removeprefix(_OWN)


def own_proof(value: str) -> str:
    """A signature for Bedrock: its own without the name, empty for another vendor's."""
    return value.removeprefix(_OWN) if value.startswith(_OWN) else ""


def own(value: str) -> str:
    """A signature from Bedrock under its name; empty stays empty."""
    return _OWN + value if value else ""


def redacted_from_caller(blob: str) -> str:
    """Encrypted thinking, base64 on the wire, in the canonical form. Raises ValueError for what is no base64."""
    data = binascii.a2b_base64(blob, strict_mode=True)
    return data.decode() if data.isascii() and data.decode().startswith(_VENDORS) else _OWN + blob


def redacted_to_caller(value: str) -> str:
    """The other way: another vendor's value with its name becomes the blob, as a blob has room for it."""
    return value.removeprefix(_OWN) if value.startswith(_OWN) else base64.b64encode(value.encode()).decode()


def call_proof_to_caller(value: str) -> str:
    """The proof of a tool call as a blob, base64."""
    return base64.b64encode((_OF_CALL + value).encode()).decode()


def call_proof_from_caller(blob: str) -> str:
    """The proof of a tool call in a blob; empty for ordinary redacted thinking. Raises ValueError for no base64."""
    data = binascii.a2b_base64(blob, strict_mode=True)
    value = data.decode().removeprefix(_OF_CALL) if data.isascii() and data.startswith(_OF_CALL.encode()) else ""
    return value if value.startswith(_VENDORS) else ""
