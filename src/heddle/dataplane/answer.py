"""The one place where a failure becomes an answer.

Protocol refusals from `net`, CallErrors from policies and backends, and everything nobody expected end here, in the
caller's dialect. What is said is `detail`, which is written for callers; a traceback goes to the log only.
"""

from heddle.dataplane.route import MCP
from heddle.net.message import Headers, Reply
from heddle.pipeline.errors import ANSWERS, CallError, Reason
from heddle.wire.jsonrpc import RpcError
from heddle.wire.jsonrpc import encode_error as encode_rpc_error
from heddle.wire.llm import openai_chat
from heddle.wire.llm.codecs import CODECS

_JSON = (b"content-type", b"application/json")

_BY_STATUS: dict[int, Reason] = {
    400: Reason.BAD_REQUEST,
    404: Reason.NOT_FOUND,
    405: Reason.METHOD_NOT_ALLOWED,
    408: Reason.TIMEOUT_READING,
    413: Reason.TOO_LARGE,
    415: Reason.UNSUPPORTED_MEDIA,
    500: Reason.INTERNAL,
    503: Reason.OVERLOADED,
}


def answer(error: CallError, dialect: str = openai_chat.DIALECT) -> Reply:
    """The reply for a failed call: status, headers of the error, and a body in the dialect's error form."""
    reason = error.answer
    if dialect == MCP:
        told = RpcError(reason.jsonrpc, error.detail)
        return Reply(reason.status, [_JSON, *error.headers], encode_rpc_error(b"", told))
    codec = CODECS[dialect]
    body = codec.encode_error(reason.status, reason.kind, reason.code, error.detail, error.param)
    headers: Headers = [_JSON, *codec.error_fields(reason.status, reason.code), *error.headers]
    return Reply(reason.status, headers, body)


def answer_status(status: int, detail: str) -> Reply:
    """The reply for a refusal by `net`, which knows statuses (417, 431, 501, 505 among them) but no dialects."""
    reason = _BY_STATUS.get(status, Reason.BAD_REQUEST if status < 500 else Reason.INTERNAL)
    known = ANSWERS[reason]
    code = known.code if known.status == status else f"http_{status}"
    return Reply(status, [_JSON], openai_chat.encode_error(status, known.kind, code, detail, None))
