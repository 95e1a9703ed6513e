"""What the offline model says, and how it counts tokens.

Its tokens are pieces of at most six word characters or one other character, each with the white space before it:
one streamed event each, and one output token each. Input is counted without a tokenizer: one token per four
characters of text, rounded up, and four for each message. Both rules are stable, so that tests can state numbers.
"""

import re
from hashlib import sha256

_TOKEN = re.compile(r"\s*(?:\w{1,6}|[^\w\s])|\s+")
_ECHO_CHARS = 160
REFUSAL = "I cannot help with that."
_SENTENCES = (
    " A heddle lifts its threads so that the shuttle can pass.",
    " The warp is set before the first pick is thrown.",
    " A pattern is only which threads rise, and when.",
    " Every pick is beaten against the cloth before the next.",
    " An even tension is worth more than a fast hand.",
    " A broken end is found, tied and woven in again.",
    " What the draft says, the cloth will show.",
    " The reed keeps the threads apart and the width true.",
)


def tokens(text: str) -> list[str]:
    """The pieces of `text`; together they are `text`."""
    return _TOKEN.findall(text)


def input_tokens(texts: list[str]) -> int:
    """Tokens of a conversation by the rule above."""
    return sum(4 - (-len(text) // 4) for text in texts)


def reply(model: str, prompt: str, turns: int, media: int = 0) -> str:
    """The answer to a user: says what it is, repeats what it heard, counts it."""
    heard = _clip(prompt)
    if not heard:
        return f"This is Heddle's offline model, answering as {model}. You said nothing, which I heard well."
    words = len(prompt.split())
    return (
        f"This is Heddle's offline model, answering as {model}. You said: “{heard}” "
        f"That is {_plural(words, 'word')} and {_plural(len(prompt), 'character')}, "
        f"in a conversation of {_plural(turns, 'message')}{_with(media, 'picture or document')}."
    )


def thought(prompt: str) -> str:
    """What is thought before an answer."""
    return f"Somebody said {_plural(len(prompt.split()), 'word')}. I will say what I heard, and count it."


def tool_reply(results: list[str], thoughts: int = 0) -> str:
    """The answer after tools were called; `thoughts` of ours came back with them."""
    heard = "; ".join(f"“{_clip(result)}”" for result in results[:8])
    came = f"{_plural(len(results), 'tool result')}{_with(thoughts, 'sealed thought')} came back"
    return f"This is Heddle's offline model. {came}: {heard}."


def of_length(text: str, length: int) -> str:
    """`text` cut or continued to exactly `length` tokens, with sentences chosen by the text itself."""
    pieces = tokens(text)
    turn = sha256(text.encode("utf-8", "replace")).digest()[0]
    while len(pieces) < length:
        pieces += tokens(_SENTENCES[turn % len(_SENTENCES)])
        turn += 1
    return "".join(pieces[:length])


def until_stop(text: str, stops: list[str]) -> tuple[str, str]:
    """`text` up to the first stop sequence in it, and that sequence; empty when there is none."""
    ends = [(found, stop) for stop in stops if stop and (found := text.find(stop)) >= 0]
    if not ends:
        return text, ""
    end, stop = min(ends)
    return text[:end], stop


def _clip(text: str) -> str:
    flat = " ".join(text[: 4 * _ECHO_CHARS].split())
    return flat if len(flat) <= _ECHO_CHARS else flat[: _ECHO_CHARS - 1] + "…"


def _with(count: int, noun: str) -> str:
    return f" with {_plural(count, noun)}" if count else ""


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
