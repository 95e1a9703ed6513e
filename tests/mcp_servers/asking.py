"""Asks the client, in the way of either era: requests on the stream, or a result that says what is needed.

A handler names its questions once. In the legacy era they are sent and awaited; in the modern one `Unanswered` carries
the result that asks, and the handler runs again when the client retries.
"""

from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

RESULTS: dict[str, Any] = {
    "sampling/createMessage": types.CreateMessageResult,
    "elicitation/create": types.ElicitResult,
    "roots/list": types.ListRootsResult,
}
CAPABILITIES = {"sampling/createMessage": "sampling", "elicitation/create": "elicitation", "roots/list": "roots"}


class Unanswered(Exception):
    """The client has to answer first; `result` says what."""

    def __init__(self, result: types.InputRequiredResult) -> None:
        super().__init__("input required")
        self.result = result


def is_modern(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether the request came without a handshake."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def declared(ctx: ServerRequestContext[Any, Any], capability: str) -> bool:
    """Whether this client can be asked for it."""
    return getattr(ctx.session.client_capabilities, capability, None) is not None


def require(ctx: ServerRequestContext[Any, Any], capability: str) -> None:
    """-32021 unless the client declared it."""
    if not declared(ctx, capability):
        data = {"requiredCapabilities": {capability: {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, f"this tool needs {capability}", data)


async def answers(
    ctx: ServerRequestContext[Any, Any],
    params: types.InputResponseRequestParams,
    questions: dict[str, Any],
    state: str | None = None,
) -> dict[str, Any]:
    """What the client says to all of the questions.

    Raises Unanswered until a modern client has said it, MCPError when it never declared that it could.
    """
    for question in questions.values():
        require(ctx, CAPABILITIES[question.method])
    if not is_modern(ctx):
        related = ServerMessageMetadata(related_request_id=ctx.request_id)
        return {
            key: await ctx.session.send_request(question, RESULTS[question.method], metadata=related)
            for key, question in questions.items()
        }
    given = params.input_responses or {}
    if any(not isinstance(given.get(key), RESULTS[question.method]) for key, question in questions.items()):
        raise Unanswered(types.InputRequiredResult(input_requests=questions, request_state=state))
    return {key: given[key] for key in questions}


def elicitation(message: str, properties: dict[str, Any], *required: str) -> types.ElicitRequest:
    """A form."""
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def sampling(prompt: str, max_tokens: int = 100) -> types.CreateMessageRequest:
    """A question to the client's model."""
    message = types.SamplingMessage(role="user", content=types.TextContent(text=prompt))
    return types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    )


def roots() -> types.ListRootsRequest:
    """The client's folders. `params` is there because the suite's example has it."""
    return types.ListRootsRequest(params=types.RequestParams())
