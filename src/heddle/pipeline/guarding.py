"""What the guard policy needs of guards, so that neither imports the other.

A *lane* is what is done to the texts of one scope in one direction; a *text* is one of them, whole or in pieces.
"""

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import NamedTuple, Protocol

from heddle.model.snapshot_guards import Direction, GuardSpec, Scope


class Decision(NamedTuple):
    """What a guard found and did; never what the text said."""

    guard: str
    action: str
    scope: Scope
    direction: Direction
    finding: str
    """Name of the recogniser; `webhook` or `schema` for those."""


class GuardRefusalError(Exception):
    """A text must not pass."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision)
        self.decision = decision


class Text(Protocol):
    """One text on its way through the guards. Both methods raise GuardRefusalError."""

    def feed(self, text: str) -> str:
        """What may go on now, of this piece and earlier ones."""
        ...

    def finish(self) -> str:
        """The text has ended: the rest of it."""
        ...

    def whole(self, text: str) -> str:
        """What becomes of a text that is all there; quicker than, and the same as, `feed` and `finish`."""
        ...

    def turns(self, text: str) -> Generator[None, None, str]:
        """As `whole`, a few milliseconds at a time."""
        ...


class Vault(Protocol):
    """What was masked reversibly in one call."""

    def hide(self, text: str, kind: str) -> str:
        """The placeholder for `text`; the same one each time."""
        ...

    def restore(self, placeholder: str) -> str:
        """What it stands for; the placeholder itself when it stands for nothing."""
        ...

    def __len__(self) -> int: ...


Tell = Callable[[Decision], None]


class Lanes(Protocol):
    """What is done to texts of one direction, by scope."""

    def open(self, scope: Scope, vault: Vault, tell: Tell) -> Text | None:
        """A text of `scope` begins; None when nothing is looked for in it."""
        ...


class Judged(NamedTuple):
    """A text that a judge is shown."""

    scope: Scope
    text: str
    aside: bool = False
    """Reasoning or a refusal: said beside the answer."""


class Judge(Protocol):
    """A guard that needs the whole: a webhook or a schema."""

    spec: GuardSpec

    async def judge(self, texts: Sequence[Judged], model: str, request: bytes) -> str:
        """Why the texts must not pass, in words for callers; empty when they may. `request` is the caller's body.

        Raises GuardUnavailableError.
        """
        ...


class GuardUnavailableError(Exception):
    """A judge could not be asked; the message is for logs and has no secret."""


class GuardSet(Protocol):
    """The guards of a snapshot."""

    def lanes(self, guards: Sequence[int], direction: Direction, restoring: bool) -> Lanes | None:
        """Those of the numbered guards, and putting back what the request hid; None when there is nothing to do."""
        ...

    def judges(self, guards: Sequence[int], direction: Direction) -> Sequence[Judge]:
        """Those of the numbered guards that need the whole."""
        ...

    def vault(self, body: bytes) -> Vault:
        """An empty vault whose placeholders do not occur in `body`."""
        ...


GuardBuilder = Callable[[Sequence[GuardSpec]], GuardSet]
Ask = Callable[[str, Sequence[tuple[bytes, bytes]], bytes, float], Awaitable[tuple[int, bytes]]]
"""POST: URL, header fields, body and seconds, to status and body. Raises OSError or TimeoutError."""
