"""One call to the offline model, played in the vendor's format it was configured for.

Owns the order of things that all formats share: the request is read as strictly as the vendor reads it, directives
are obeyed, an answer is made, and then written whole or event by event, with the faults that were asked for.

*Source:* what the vendors' APIs have in common; each format names its own reference.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import NamedTuple, Protocol

from heddle.model.call import ModelCall
from heddle.model.provider import STALL, Fields, Script, Step
from heddle.providers.scripted import said
from heddle.providers.scripted.asked import Asked, RefusedError
from heddle.providers.scripted.directives import Directives, Fault, parse
from heddle.providers.scripted.said import Answer, Who

JSON = b"application/json"
SSE = b"text/event-stream; charset=utf-8"


class Pace(NamedTuple):
    """How fast and how much it talks; 0 means at once, and as much as there is to say."""

    first_token_s: float = 0.0
    tokens_per_s: float = 0.0
    length: int = 0


class Trouble(NamedTuple):
    """An error, before it is put into a form."""

    status: int
    message: str
    code: str = ""
    """The vendor's finer word, where another than the usual one is meant."""
    param: str | None = None
    retry_after: str = ""


class Format(Protocol):
    """A vendor's way to read and write. A module is one."""

    DIALECT: str
    STREAM_TYPE: bytes
    MALFORMED: bytes
    """An event that cannot be read."""

    def read(self, body: bytes, call: ModelCall) -> Asked:
        """A request. Raises RefusedError for what the vendor refuses."""
        ...

    def fields(self, who: Who) -> Fields:
        """Header fields of a good answer, but for its content type."""
        ...

    def whole(self, answer: Answer, asked: Asked, who: Who) -> bytes:
        """The body of an answer that is not streamed."""
        ...

    def events(self, answer: Answer, asked: Asked, who: Who) -> Iterator[bytes]:
        """The events of a streamed one, terminator included."""
        ...

    def refuse(self, trouble: Trouble, who: Who) -> tuple[Fields, bytes]:
        """Fields, but for the content type, and body of an error."""
        ...

    def error_event(self, trouble: Trouble, who: Who, sent: int) -> bytes:
        """An error inside a stream, after `sent` events."""
        ...


class Cost(NamedTuple):
    """When things happen."""

    delay_s: float
    gap_s: float


def play(form: Format, call: ModelCall, body: bytes, pace: Pace, obey: bool, created_s: int) -> Script:
    """The answer; `obey` follows directives. What the vendor refuses is answered with its error."""
    who = Who(request_id(body, created_s), call.upstream_model or call.model, created_s)
    try:
        asked = form.read(body, call)
    except RefusedError as exc:
        return failed(form, who, Trouble(exc.status, exc.message, exc.code, exc.param), 0.0)
    prompt, told = _directives(asked, obey)
    fault = told.fault
    if fault is not None and fault.kind == "error" and not fault.after:
        return failed(form, who, _trouble(fault), told.delay_s)
    answer = said.answer(asked, prompt, told, who.model, pace.length)
    rate = pace.tokens_per_s if told.tokens_per_s is None else told.tokens_per_s
    cost = Cost(told.delay_s + pace.first_token_s, 1.0 / rate if rate else 0.0)
    if asked.stream:
        steps = _paced(form.events(answer, asked, who), cost)
        return Script(200, _typed(form.STREAM_TYPE, form.fields(who)), spoiled(steps, fault, form, who))
    steps = halves(cost.delay_s + cost.gap_s * answer.counts.made, form.whole(answer, asked, who))
    return Script(200, _typed(JSON, form.fields(who)), spoiled(steps, fault, form, who))


def count(form: Format, body: bytes, read: Callable[[], Asked], write: Callable[[int], bytes], obey: bool) -> Script:
    """The answer to a request to count tokens, with the errors and fields of `form`."""
    who = Who(request_id(body, 0), "", 0)
    try:
        asked = read()
    except RefusedError as exc:
        return failed(form, who, Trouble(exc.status, exc.message, exc.code, exc.param), 0.0)
    told = _directives(asked, obey)[1]
    trouble = fault_trouble(told)
    if trouble is not None:
        return failed(form, who, trouble, told.delay_s)
    steps = halves(told.delay_s, write(said.input_tokens(asked) + told.cached + told.written))
    return Script(200, _typed(JSON, form.fields(who)), spoiled(steps, told.fault, form, who))


def request_id(body: bytes, created_s: int) -> str:
    """32 hex digits that the same request at the same second always gets."""
    return sha256(b"%d:%b" % (created_s, body)).hexdigest()[:32]


def failed(form: Format, who: Who, trouble: Trouble, delay_s: float) -> Script:
    """An error as the answer."""
    fields, body = form.refuse(trouble, who)
    return Script(trouble.status, _typed(JSON, fields), iter([Step(delay_s, body)]))


def fault_trouble(told: Directives) -> Trouble | None:
    """The error that directives ask for at once, if they do."""
    return _trouble(told.fault) if told.fault is not None and told.fault.kind == "error" else None


def spoiled(steps: Iterator[Step], fault: Fault | None, form: Format, who: Who) -> Iterator[Step]:
    """`steps` with `fault` in its place."""
    if fault is None:
        yield from steps
        return
    for sent, step in enumerate(steps):
        if sent == fault.after:
            if fault.kind == "malformed":
                yield Step(0.0, form.MALFORMED)
            else:
                yield from _ending(fault, form, who)
                return
        yield step


def halves(delay_s: float, body: bytes) -> Iterator[Step]:
    """A whole answer as two steps, so that a fault can come between them."""
    middle = len(body) // 2
    yield Step(delay_s, body[:middle])
    yield Step(0.0, body[middle:])


def _typed(content_type: bytes, fields: Fields) -> Fields:
    return [(b"content-type", content_type), *fields]


def _directives(asked: Asked, obey: bool) -> tuple[str, Directives]:
    """What the user said last, and the directives in it and beside it."""
    if not obey:
        return asked.said, Directives()
    prompt, told = parse(asked.said)
    return prompt, (parse(f"{asked.said}\n{asked.extra}")[1] if asked.extra else told)


def _trouble(fault: Fault) -> Trouble:
    message = f"The prompt asked for status {fault.status}."
    return Trouble(fault.status, message, fault.code, retry_after=fault.retry_after)


def _paced(events: Iterator[bytes], cost: Cost) -> Iterator[Step]:
    """The first after a delay, the others apart."""
    wait_s = cost.delay_s
    for event in events:
        yield Step(wait_s, event)
        wait_s = cost.gap_s


def _ending(fault: Fault, form: Format, who: Who) -> Iterator[Step]:
    if fault.kind == "stall":
        yield Step(STALL, b"")
    elif fault.kind == "disconnect":
        yield Step(0.0, None)
    elif fault.kind == "error":
        trouble = Trouble(fault.status, f"The prompt asked for error {fault.status}.", fault.code)
        yield Step(0.0, form.error_event(trouble, who, fault.after))
    # "truncate": nothing more, as if that had been all.
