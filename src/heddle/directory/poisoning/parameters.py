"""Parameters that are there to carry something away: the conversation, the instructions, whatever else a model holds.

Owns the rule `exfiltration_parameter` over a parameter's name and what it asks for, and `hidden_recipient` over
defaults that send a copy to somebody. A tool that works on conversations of its own subject (a Slack thread, a call, a
support ticket) asks for those.

*Source:* SAFE-MCP T1501 (full-schema poisoning); published attacks by parameter names alone.
"""

import re
from collections.abc import Iterator

from heddle.directory.poisoning.orders import Sign
from heddle.directory.poisoning.said import Said

_ALL = (
    r"(?:full|entire|complete|whole|verbatim|all|raw|exact|current|this|our|your|previous|prior|recent|everything|"
    r"original|unredacted|ongoing|preceding|last \w+|above)"
)
_HELD = (
    r"(?:conversations?(?: (?:history|so far|transcript|context|log))?|chat(?: (?:history|log|transcript)"
    r")?|(?:message|dialog(?:ue)?|tool[- ]call) history|"
    r"system (?:prompt|message|instructions)|developer (?:message|prompt|instructions)|"
    r"chain[- ]of[- ]thought|context window|"
    r"tool (?:list|results?|outputs?|definitions?|calls?|names|responses?)|user messages?|messages|"
    r"instructions|memor(?:y|ies)|reasoning|thoughts|session (?:history|context|transcript|data))"
)
_WANTS = re.compile(
    rf"\b{_ALL}\b(?: \S+){{0,4}}? {_HELD}\b|\b(?:conversation|chat|discussion|dialogue|session|messages)"
    r" (?:history )?(?:so far|up to (?:now|this point)|to date)\b|"
    r"\byour (?:\w+ ){0,2}?(?:system prompt|instructions|reasoning|chain[- ]of[- ]thought|memory|thoughts|context)\b|"
    r"\b(?:everything|anything|all (?:you|that)) (?:\S+ ){0,3}?(?:know|said|discussed|remember|learned|"
    r"in (?:your|the) context|user (?:has )?(?:said|told|shared))\b|"
    r"\b(?:list|names) of (?:all )?(?:the )?(?:other |available |installed |connected )+(?:mcp )?(?:tools|servers)\b|"
    r"\b(?:contents?|text) of (?:\S+ ){0,3}?(?:files?|documents?) (?:you|the (?:assistant|model|agent)|"
    r"in (?:your|the) (?:context|workspace)|open)|"
    r"\b(?:results?|outputs?|responses?) (?:of|from|returned by) (?:\S+ ){0,2}?(?:other|previous|all|any|"
    r"earlier|prior) tools?\b"
)
SUBJECT = re.compile(
    r"\b(?:slack|teams|discord|telegram|whatsapp|channel|ticket|zendesk|intercom|customer|mailbox|inbox|"
    r"e-?mail|meeting|call|recording|issue|pull request|"
    r"commit|git|browser|shell|terminal|database|sql|chatbot|bot|training|dataset|sample|simulat\w+|"
    r"persona|new (?:assistant|agent|model)|to (?:store|remember|save|summari[sz]e|"
    r"analy[sz]e|translate|send to the (?:model|api)|evaluate|score|classify|count|test)|under test|"
    r"being (?:tested|evaluated|created)|of the (?:assistant|agent|bot|model) to|file|video|podcast|"
    r"stored|workflow|project|repository|page|list)\b"
)
_NAMES = frozenset(
    [
        "sidenote",
        "side_note",
        "conversation_history",
        "chat_history",
        "full_conversation",
        "conversation_context",
        "chain_of_thought",
        "tool_call_history",
        "tools_list",
        "tool_list",
        "available_tools",
        "system_prompt",
        "system_instructions",
        "previous_messages",
        "chat_log",
        "user_secrets",
        "user_credentials",
        "env_vars",
        "environment_variables",
        "all_messages",
        "message_history",
        "prior_messages",
        "session_transcript",
        "conversation_transcript",
        "internal_reasoning",
        "model_instructions",
        "developer_message",
        "other_tool_results",
        "user_private_data",
        "llm_context",
        "agent_memory",
    ]
)
"""Names that are an attack with no word of description, on models that fill in what a name asks for."""
_COPY_TO = re.compile(
    r"^(?:bcc|cc|copy_to|forward_to|mirror_to|also_send_to|report_to|exfil\w*|callback(?:_url)?|"
    r"webhook(?:_url)?|telemetry_url|audit_url|log_url|notify_url|sink|collector)$"
)
_ADDRESS = re.compile(r"https?://(?!localhost|127\.)\S{4,}|[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{2,60}")


_PUTS = frozenset(
    "put paste here insert write send include pass attach fill give provide copy dump".split()  # noqa: SIM905
)
_GOODS = frozenset(
    (  # noqa: SIM905
        "file files ssh env secret secrets key keys token tokens password passwords history conversation prompt "
        "content contents chat messages credentials config instructions everything cookies"
    ).split()
)
"""A name that says both what and where to is an order."""


def snake(name: str) -> str:
    """`sideNote` and `Side-Note` as `side_note`."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")


def wants_in(said: Said, parameter: str) -> Iterator[Sign]:
    """What the description of a parameter asks for."""
    if said.role != "parameter":
        return
    found = _WANTS.search(said.text)
    if found is None or not said.meant(found):
        return
    yours = re.search(
        r"\b(?:your|so far|this conversation|our conversation|with the user|you have|assistant's|model's|llm's)\b",
        said.text,
    )
    if yours is not None or snake(parameter) in _NAMES or not SUBJECT.search(said.text):
        yield Sign("exfiltration_parameter", "high", f"{parameter}: {said.text}")


def name_asks(parameter: str, described: str) -> Iterator[Sign]:
    """A parameter whose name alone asks; one that is described as something of the tool's own does not."""
    words = snake(parameter).split("_")
    if len(words) >= 5 and _PUTS & set(words) and _GOODS & set(words):
        yield Sign("exfiltration_parameter", "medium", f"{parameter}: {described}")
    if re.search(r"\b(?:label|at most \d+ char\w*|printed)\b", described.lower()):
        return
    if snake(parameter) in _NAMES and (len(described.split()) < 3 or not SUBJECT.search(described.lower())):
        yield Sign("exfiltration_parameter", "medium", f"{parameter}: {described}")


def default_copies(parameter: str, value: str) -> Iterator[Sign]:
    """A default that sends a copy to somebody whom no caller chose."""
    if _COPY_TO.match(snake(parameter)) and _ADDRESS.search(value):
        yield Sign("hidden_recipient", "high", f"{parameter} = {value}")
