"""The everything-server but for its tools: lists, resources, prompts, completions, and what it tells unasked."""

import asyncio
import json
import warnings
from typing import Any

import anyio
import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from tests.mcp_servers import content, tasks, tools
from tests.mcp_servers.asking import Unanswered, answers, elicitation

Context = ServerRequestContext[Any, Any]
INSTRUCTIONS = "Everything a client can meet. Start with echo."
TEXT_URI, BINARY_URI, WATCHED_URI = "test://static-text", "test://static-binary", "test://watched-resource"
TICKING_URI = "test://ticking-resource"
"""Changes by itself, several times a second, from when anybody listened."""
CITIES = ("paris", "park", "party")


class Everything(Server[Any]):
    """The server. Says of itself that its lists may change."""

    def __init__(self, page: int) -> None:
        hint = CacheHint(ttl_ms=1000, scope="public")
        lists = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
        self.bus = InMemorySubscriptionBus()
        self.page = page
        self.sessions: list[ServerSession] = []
        self.watching: dict[str, dict[str, ServerSession]] = {}
        """URI -> session's id -> session."""
        self.ticking: asyncio.Task[None] | None = None
        self.listening = ListenHandler(self.bus)
        self.extra_tools: list[types.Tool] = []
        self.extra_prompts: list[types.Prompt] = []
        self.extra_resources: list[types.Resource] = []
        warnings.simplefilter("ignore")  # logging and roots are deprecated; they are served on purpose
        super().__init__(
            "everything",
            version="1.0.0",
            title="Everything",
            instructions=INSTRUCTIONS,
            cache_hints={"server/discover": hint, "resources/read": hint, **dict.fromkeys(lists, hint)},
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_subscribe_resource=self.subscribe,
            on_unsubscribe_resource=self.unsubscribe,
            on_subscriptions_listen=self.listen,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
            on_completion=self.complete,
            on_set_logging_level=self.set_level,
        )
        self.add_notification_handler("notifications/initialized", types.NotificationParams, self.initialized)
        self.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience="everything"))
        tasks.serve(self)

    def create_initialization_options(self, *_: Any, **__: Any) -> InitializationOptions:
        changes = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        return super().create_initialization_options(changes)

    # Tools

    async def list_tools(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        every = [entry.tool for entry in tools.TABLE.values()]
        found, cursor = self.paged([*every, *TRIGGERS, *self.extra_tools], params)
        return types.ListToolsResult(tools=found, next_cursor=cursor)

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> Any:
        try:
            if params.name in CHANGES:
                await getattr(self, CHANGES[params.name])()
                return tools.said("changed")
            if any(params.name == tool.name for tool in self.extra_tools):
                return tools.said("a tool that came later")
            return await tools.call(ctx, params)
        except Unanswered as asked:
            return asked.result

    # What changes, and who hears of it

    async def initialized(self, ctx: Context, params: types.NotificationParams) -> None:
        self.sessions.append(ctx.session)

    async def change_tools(self) -> None:
        name = f"later_{len(self.extra_tools)}"
        self.extra_tools.append(types.Tool(name=name, description="Came later.", input_schema={"type": "object"}))
        await self.tell(self.sessions, "send_tool_list_changed")
        await self.bus.publish(ToolsListChanged())

    async def change_prompts(self) -> None:
        self.extra_prompts.append(types.Prompt(name=f"later_{len(self.extra_prompts)}", description="Came later."))
        await self.tell(self.sessions, "send_prompt_list_changed")
        await self.bus.publish(PromptsListChanged())

    async def change_resources(self) -> None:
        name = f"later_{len(self.extra_resources)}"
        self.extra_resources.append(types.Resource(name=name, uri=f"test://{name}"))
        await self.tell(self.sessions, "send_resource_list_changed")
        await self.bus.publish(ResourcesListChanged())

    async def update_resource(self) -> None:
        await self.tell(list(self.watching.get(WATCHED_URI, {}).values()), "send_resource_updated", WATCHED_URI)
        await self.bus.publish(ResourceUpdated(uri=WATCHED_URI))

    @staticmethod
    async def tell(sessions: list[ServerSession], message: str, *arguments: Any) -> None:
        """Sends to all; whoever has gone, or does not listen, is passed over."""
        for session in list(sessions):
            try:
                with anyio.move_on_after(0.5):
                    await getattr(session, message)(*arguments)
            except Exception:
                sessions.remove(session)

    async def set_level(self, ctx: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        return types.EmptyResult()

    async def tick(self) -> None:
        while True:
            await asyncio.sleep(0.3)
            watching = list(self.watching.get(TICKING_URI, {}).values())
            await self.tell(watching, "send_resource_updated", TICKING_URI)
            await self.bus.publish(ResourceUpdated(uri=TICKING_URI))

    def begin_ticking(self) -> None:
        if self.ticking is None:
            self.ticking = asyncio.get_running_loop().create_task(self.tick())

    async def listen(self, ctx: Context, params: types.SubscriptionsListenRequestParams) -> Any:
        self.begin_ticking()
        return await self.listening(ctx, params)

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        self.begin_ticking()
        self.watching.setdefault(str(params.uri), {})[whose(ctx)] = ctx.session
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        self.watching.get(str(params.uri), {}).pop(whose(ctx), None)
        return types.EmptyResult()

    # Resources

    async def list_resources(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        every = [
            types.Resource(uri=TEXT_URI, name="static-text", mime_type="text/plain", description="A text."),
            types.Resource(uri=BINARY_URI, name="static-binary", mime_type="image/png"),
            types.Resource(uri=WATCHED_URI, name="watched-resource", mime_type="text/plain"),
            types.Resource(uri=TICKING_URI, name="ticking-resource", mime_type="text/plain"),
        ]
        found, cursor = self.paged([*every, *self.extra_resources], params)
        return types.ListResourcesResult(resources=found, next_cursor=cursor)

    async def list_templates(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template="test://template/{id}/data", name="template", mime_type="application/json"
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        if uri == BINARY_URI:
            blob = types.BlobResourceContents(uri=uri, mime_type="image/png", blob=content.PNG)
            return types.ReadResourceResult(contents=[blob])
        text, mime_type = self.text_of(uri)
        contents = [types.TextResourceContents(uri=uri, mime_type=mime_type, text=text)]
        return types.ReadResourceResult(contents=contents)

    @staticmethod
    def text_of(uri: str) -> tuple[str, str]:
        """A resource's text and type. -32602 for one that is not here."""
        if uri == TEXT_URI:
            return "This is the content of the static text resource.", "text/plain"
        if uri in (WATCHED_URI, TICKING_URI):
            return "Watched.", "text/plain"
        if uri.startswith("test://template/") and uri.endswith("/data"):
            ident = uri.removeprefix("test://template/").removesuffix("/data")
            found = {"id": ident, "templateTest": True, "data": f"Data for ID: {ident}"}
            return json.dumps(found, separators=(",", ":")), "application/json"
        raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": uri})

    # Prompts

    async def list_prompts(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        found, cursor = self.paged([*PROMPTS, *self.extra_prompts], params)
        return types.ListPromptsResult(prompts=found, next_cursor=cursor)

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> Any:
        given = params.arguments or {}
        match params.name:
            case "test_simple_prompt":
                return said("This is a simple prompt for testing.")
            case "test_prompt_with_arguments":
                return said(f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'")
            case "test_prompt_with_embedded_resource":
                text = "Embedded resource content for testing."
                found = types.TextResourceContents(uri=given["resourceUri"], mime_type="text/plain", text=text)
                return said("Please process the embedded resource above.", types.EmbeddedResource(resource=found))
            case "test_prompt_with_image":
                picture = types.ImageContent(data=content.PNG, mime_type="image/png")
                return said("Please analyze the image above.", picture)
            case "test_input_required_result_prompt":
                return await self.prompt_in_context(ctx, params)
        raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")

    @staticmethod
    async def prompt_in_context(ctx: Context, params: types.GetPromptRequestParams) -> Any:
        wanted = elicitation("What context should the prompt use?", {"context": {"type": "string"}}, "context")
        try:
            heard = await answers(ctx, params, {"user_context": wanted})
        except Unanswered as asked:
            return asked.result
        return said(f"Context: {(heard['user_context'].content or {}).get('context')}")

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        values = [city for city in CITIES if city.startswith(params.argument.value)]
        return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))

    def paged(self, every: list[Any], params: types.PaginatedRequestParams | None) -> tuple[list[Any], str | None]:
        """A page, and the cursor of the next."""
        if not self.page:
            return every, None
        cursor = params.cursor if params is not None else None
        start = int(cursor) if cursor is not None else 0
        end = start + self.page
        return every[start:end], str(end) if end < len(every) else None


def whose(ctx: Context) -> str:
    """The session's id, as either transport over HTTP carries it; over stdio there is one."""
    if ctx.request is None:
        return ""
    return ctx.request.headers.get("mcp-session-id") or ctx.request.query_params.get("session_id", "")


def said(text: str, *before: Any) -> types.GetPromptResult:
    """A prompt of a text, and of what comes before it."""
    contents = [*before, types.TextContent(text=text)]
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=one) for one in contents])


CHANGES = {
    "test_trigger_tool_change": "change_tools",
    "test_trigger_prompt_change": "change_prompts",
    "test_trigger_resource_change": "change_resources",
    "test_trigger_resource_update": "update_resource",
}
TRIGGERS = [
    types.Tool(name=name, description="Changes something, and says so.", input_schema={"type": "object"})
    for name in CHANGES
]


def _argument(name: str) -> types.PromptArgument:
    return types.PromptArgument(name=name, description=f"The {name}.", required=True)


PROMPTS = [
    types.Prompt(name="test_simple_prompt", description="One message."),
    types.Prompt(
        name="test_prompt_with_arguments",
        description="Two arguments.",
        arguments=[_argument("arg1"), _argument("arg2")],
    ),
    types.Prompt(
        name="test_prompt_with_embedded_resource", description="A resource.", arguments=[_argument("resourceUri")]
    ),
    types.Prompt(name="test_prompt_with_image", description="A picture."),
    types.Prompt(name="test_input_required_result_prompt", description="Asks first."),
]
