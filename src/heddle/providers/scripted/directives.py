"""Words in a prompt that make the offline model misbehave, for tests and demonstrations.

A directive is `[[name argument key=value ...]]` anywhere in the last user message, in an embedding's input, or in the
request's `metadata` under the key `heddle`. Several may be given. Double brackets around anything else are text.

    [[error 500]]                        answer with this status, in the vendor's form; 400 to 599
    [[error 429 retry-after=2]]          with `retry-after`
    [[error 429 code=insufficient_quota]]  with another `error.code`, or what the vendor has in its place
    [[error 500 after=3]]                begin well, and send an error event after 3 events of the stream
    [[stall after=3]]                    fall silent after 3 events; without `after`, before the first byte
    [[disconnect after=3]]               cut the connection
    [[truncate after=3]]                 end the stream as if it were complete, without finish reason and `[DONE]`
    [[malformed after=3]]                send an event that cannot be read, and go on
    [[delay 0.5]]                        seconds before the first byte, at most 60
    [[pace 20]]                          tokens per second
    [[length 200]]                       exactly as many tokens, at most 4096
    [[say some words]]                   answer with exactly these words; with `tools`, say them before the calls
    [[tools 2]]                          call so many of the given tools, in parallel; the same again if they are few
    [[think]]                            think first, or think exactly these words
    [[redact]]                           think first, but show only what is encrypted of it, where the vendor does that
    [[refuse]]                           refuse, or refuse in exactly these words
    [[cached 100 written=50]]            count so many more tokens of input, read from the cache and written to it

Events are counted from the first that the format sends (the role, or the message's start). An answer that is not
streamed counts as two events, its halves. Only digits, letters and `._-` are taken as values; what is out of range is
cut to the range.
"""

import math
import re

import msgspec

MAX_DELAY_S = 60.0
MAX_LENGTH_TOKENS = 4096
FAULTS = ("stall", "disconnect", "truncate", "malformed")

MAX_TOOLS = 8
MAX_CACHED_TOKENS = 1e9

_DIRECTIVE = re.compile(
    r"\[\[(error|stall|disconnect|truncate|malformed|delay|pace|length|say|tools|think|redact|refuse|cached)"
    r"(?: ([^\[\]]{0,1000}))?\]\]"
)
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Fault(msgspec.Struct, frozen=True):
    """Something that goes wrong: one of FAULTS, or `error`."""

    kind: str
    after: int = 0
    """Events sent before it."""
    status: int = 500
    code: str = ""
    retry_after: str = ""


class Directives(msgspec.Struct, kw_only=True):
    """What a prompt asked for; None where it did not."""

    fault: Fault | None = None
    delay_s: float = 0.0
    tokens_per_s: float | None = None
    length: int | None = None
    say: str | None = None
    tools: int = 0
    think: str | None = None
    """Its words; empty leaves them to the model."""
    redact: bool = False
    refuse: str | None = None
    """Likewise."""
    cached: int = 0
    written: int = 0


def parse(text: str) -> tuple[str, Directives]:
    """The text without its directives, and what they say. Later ones win. Never raises."""
    found = Directives()
    for match in _DIRECTIVE.finditer(text):
        _apply(found, match[1], match[2] or "")
    return _DIRECTIVE.sub("", text).strip(), found


def _apply(found: Directives, name: str, rest: str) -> None:
    if name in ("say", "think", "refuse"):
        setattr(found, name, rest)
        return
    if name == "redact":
        found.redact = True
        return
    words = rest.split()
    pairs = dict(word.split("=", 1) for word in words if "=" in word)
    first = next((word for word in words if "=" not in word), "")
    if name in ("tools", "cached"):
        _count(found, name, first, pairs)
    elif name == "delay":
        found.delay_s = _number(first, 0.0, MAX_DELAY_S)
    elif name == "pace":
        found.tokens_per_s = _number(first, 0.1, 1e6)
    elif name == "length":
        found.length = int(_number(first, 1, MAX_LENGTH_TOKENS))
    else:
        found.fault = Fault(
            name,
            after=int(_number(pairs.get("after", ""), 0, 1e6)),
            status=int(_number(first or "500", 400, 599)),
            code=_word(pairs.get("code", "")),
            retry_after=_word(pairs.get("retry-after", "")),
        )


def _count(found: Directives, name: str, first: str, pairs: dict[str, str]) -> None:
    if name == "tools":
        found.tools = int(_number(first, 1, MAX_TOOLS))
    else:
        found.cached = int(_number(first, 0, MAX_CACHED_TOKENS))
        found.written = int(_number(pairs.get("written", ""), 0, MAX_CACHED_TOKENS))


def _number(text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        return least
    return least if math.isnan(value) else min(max(value, least), most)


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else ""
