"""What the offline model says: thoughts, words, tool calls, and what they cost. In no vendor's form.

Owns the decisions, so that all formats answer alike: a tool that must be called or that the prompt names is called;
a schema gets a value that fits it; anything else gets prose. Bounds and stop sequences end an answer as they would.
"""

from typing import Literal, NamedTuple

import msgspec

from heddle.providers.scripted import prose
from heddle.providers.scripted.asked import Asked, Tool
from heddle.providers.scripted.directives import Directives
from heddle.providers.scripted.sample import Sampler

MAX_CALLS = 8
"""Tools called in one answer."""
MAX_SEARCHED_CHARS = 20_000
"""How far into a prompt tool names are looked for: many tools times a large prompt would hold up other calls."""
MEDIA_TOKENS = 85
"""Of one image or document: what OpenAI counts for a picture in low detail."""

Stop = Literal["stop", "stop_sequence", "length", "tool_use", "refusal"]

_encode = msgspec.json.encode


class Who(NamedTuple):
    """What an answer says about itself."""

    ident: str
    """32 hex digits that the same request at the same second always gets."""
    model: str
    created_s: int


class Call(NamedTuple):
    """One tool call of an answer; `pieces` of its arguments."""

    name: str
    pieces: list[str]

    @property
    def arguments(self) -> str:
        """JSON text."""
        return "".join(self.pieces)


class Choice(NamedTuple):
    """One completion, thoughts first, calls last."""

    thoughts: list[str]
    pieces: list[str]
    """Of text."""
    refusal: list[str]
    calls: list[Call]
    stop: Stop
    stop_sequence: str = ""
    redacted: bool = False
    """Thoughts are not to be shown."""

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)

    @property
    def thought(self) -> str:
        """All of it."""
        return "".join(self.thoughts)

    @property
    def tokens(self) -> int:
        """Output tokens."""
        spoken = len(self.thoughts) + len(self.pieces) + len(self.refusal)
        return spoken + sum(1 + len(call.pieces) for call in self.calls)


class Counts(NamedTuple):
    """Tokens. Input includes cached and written ones, output includes reasoning."""

    taken: int
    made: int
    cached: int
    written: int
    reasoning: int

    @property
    def fresh(self) -> int:
        """Input that neither came from a cache nor went into one."""
        return self.taken - self.cached - self.written


class Answer(NamedTuple):
    """A whole answer."""

    choices: list[Choice]
    counts: Counts


def answer(asked: Asked, prompt: str, told: Directives, model: str, length: int) -> Answer:
    """The answer to a request whose last words, without directives, are `prompt`; `length` in tokens, 0 for any."""
    calls = _calls(asked, prompt, told)
    thoughts = _thoughts(asked, prompt, told)
    choices = []
    for index in range(asked.choices):
        if told.refuse is not None:
            words = prose.tokens(told.refuse or prose.REFUSAL)
            choices.append(Choice(thoughts, [], words, [], "refusal"))
        elif calls:
            choices.append(_calling(calls, asked, told)._replace(thoughts=thoughts))
        else:
            text = _words(asked, prompt, told, model, index)
            choices.append(_saying(text, asked, told.length or length)._replace(thoughts=thoughts))
    made = sum(choice.tokens for choice in choices)
    taken = input_tokens(asked) + told.cached + told.written
    if told.redact:
        choices = [choice._replace(redacted=True) for choice in choices]
    return Answer(choices, Counts(taken, made, told.cached, told.written, len(thoughts) * len(choices)))


def input_tokens(asked: Asked) -> int:
    """Tokens of a request, by the rule of `prose`."""
    return prose.input_tokens(asked.texts) + -(-asked.tool_bytes // 4) + MEDIA_TOKENS * asked.media


def _thoughts(asked: Asked, prompt: str, told: Directives) -> list[str]:
    if told.think is None and not told.redact and not asked.thinking:
        return []
    return prose.tokens(told.think or prose.thought(prompt))


def _words(asked: Asked, prompt: str, told: Directives, model: str, index: int) -> str:
    """The text of choice `index`."""
    if told.say is not None:
        return told.say
    if asked.form == "schema":
        schema = asked.schema or {}
        return _encode(Sampler(schema, prompt).value(schema)).decode()
    if asked.form == "json":
        return _encode({"model": model, "heard": prompt[:160], "words": len(prompt.split())}).decode()
    if asked.results:
        text = prose.tool_reply(asked.results, asked.thoughts_back)
    else:
        text = prose.reply(model, prompt, asked.turns, asked.media)
    return f"({index + 1}) {text}" if index else text


def _saying(text: str, asked: Asked, length: int) -> Choice:
    if length and asked.form == "text":
        text = prose.of_length(text, length)
    text, stopped = prose.until_stop(text, asked.stops)
    pieces, cut = _cut(prose.tokens(text), asked.most)
    stop: Stop = "length" if cut else "stop_sequence" if stopped else "stop"
    return Choice([], pieces, [], [], stop, "" if cut else stopped)


def _cut(pieces: list[str], most: int | None) -> tuple[list[str], bool]:
    return (pieces, False) if most is None or len(pieces) <= most else (pieces[:most], True)


def _calls(asked: Asked, prompt: str, told: Directives) -> list[Call]:
    """The tools to call: those that are demanded or that the prompt names, none right after their results."""
    tools = asked.tools
    if asked.choice == "none" or not tools:
        return []
    if asked.choice == "named":
        tools = [tool for tool in tools if tool.name == asked.chosen]
    elif asked.results is not None and asked.choice == "auto":
        return []
    elif told.tools:
        tools = [tools[turn % len(tools)] for turn in range(told.tools)]
    else:
        tools = _mentioned(tools, prompt) or (tools[:1] if asked.choice == "required" else [])
    most = MAX_CALLS if asked.parallel else 1
    return [_call(tool, prompt) for tool in tools[:most]]


def _mentioned(tools: list[Tool], prompt: str) -> list[Tool]:
    """The tools that the prompt names, in the order it does; `get_time` may be written as two words."""
    said = prompt[:MAX_SEARCHED_CHARS].lower()
    found = []
    for turn, tool in enumerate(tools):
        name = tool.name.lower()
        places = [place for form in (name, name.replace("_", " ")) if name and (place := said.find(form)) >= 0]
        if places:
            found.append((min(places), turn))
    return [tools[turn] for _, turn in sorted(found)]


def _call(tool: Tool, prompt: str) -> Call:
    schema = tool.schema or {}
    value = Sampler(schema, prompt).value(schema) if schema else {}
    return Call(tool.name, prose.tokens(_encode(value if isinstance(value, dict) else {}).decode()))


def _calling(calls: list[Call], asked: Asked, told: Directives) -> Choice:
    pieces, cut = _cut(prose.tokens(told.say or ""), asked.most)
    left = None if asked.most is None else asked.most - len(pieces)
    made: list[Call] = []
    for call in () if cut else calls:
        kept, cut = _cut(call.pieces, left)
        made.append(call._replace(pieces=kept))
        if cut:
            break
        left = None if left is None else max(0, left - len(kept))
    return Choice([], pieces, [], made, "length" if cut else "tool_use")
