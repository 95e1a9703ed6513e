"""Which definitions of tools, prompts and resources were approved, which wait for it, and all that were ever seen.

Owns the protocol and its types. Contents are kept with their digests, so that what a person approves is, to the byte,
what they were shown, and a definition that goes back to an older form is known for it.

Promise of every driver: what a method that writes returned from is kept, and seen by every process on its next read.
Nothing that was approved or rejected is ever forgotten by itself; of what was merely seen the oldest goes first.
What a judge answered is kept beside, under the question that it was asked; of that the oldest goes first too.
Errors: `ApprovalsError` when the store cannot be used (whoever asks then has no answer, and admits nothing new),
`UnknownDefinitionError` for a decision about what was never proposed, `ApprovalsFullError` when a target has filled its
share.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

Key = tuple[str, str]
"""Kind and name of a definition within its target."""
State = Literal["approved", "pending", "rejected", "seen"]

HISTORY = 20
"""Versions of one definition that are kept although nobody decided about them."""
MAX_DEFINITIONS = 50_000
"""Of one target, versions included: a server that invents names cannot fill the disk."""
MAX_TARGET_BYTES = 256 * 1024 * 1024
FILE = "approvals.db"
"""Its name in the state directory, where it is a file."""
MAX_JUDGEMENTS = 100_000
"""The latest that are kept."""
FIRST_USE = "first use"
"""Who approved what was taken as it was seen first."""


class ApprovalsError(ConnectionError):
    """The store cannot be read or written; the message says why, for an operator."""


class ApprovalsFullError(ApprovalsError):
    """A target has as many definitions as are kept for one."""


class UnknownDefinitionError(LookupError):
    """Nobody proposed a definition of this name with this digest."""


class Record(msgspec.Struct, frozen=True):
    """An approved definition."""

    kind: str
    name: str
    content: bytes
    digest: str
    decided_s: float
    """Unix time."""
    decided_by: str
    """A person, or `first use`."""


class Proposal(msgspec.Struct, frozen=True):
    """A definition that somebody is to decide about."""

    kind: str
    name: str
    content: bytes
    digest: str
    reason: str = ""
    """Why it waits: `changed`, `poisoned`, `pending`."""
    change: str = ""
    """How grave the change from the approved one is."""
    notes: tuple[str, ...] = ()
    """Findings and changes, in sentences, fit to be shown."""


class Pending(msgspec.Struct, frozen=True):
    """A proposal in the store."""

    target: str
    proposal: Proposal
    seen_s: float
    approved: Record | None = None
    """What it would replace."""


class Version(msgspec.Struct, frozen=True):
    """One content that a name once had."""

    kind: str
    name: str
    digest: str
    content: bytes
    state: State
    seen_s: float
    decided_s: float
    decided_by: str
    """Empty when nobody decided; kept of versions that were approved once."""


class Judgement(msgspec.Struct, frozen=True):
    """What a judge answered to one question."""

    harmful: bool
    reason: str
    """Its words, fit to be shown."""
    model: str
    at_s: float = 0.0
    """Unix time; filled in by the store."""


class Approvals(Protocol):
    """The store. Every method blocks shortly, and may be called from any thread and by several processes."""

    def approved(self, target: str) -> dict[Key, Record]:
        """What is approved of a target."""
        ...

    def decided(self, target: str) -> Mapping[tuple[str, str, str], State]:
        """State of every version of a target's definitions, by kind, name and digest."""
        ...

    def approved_set(self, target: str) -> str | None:
        """Digest of the last whole set that was approved; None before the first, empty while that is decided about."""
        ...

    def pin(self, target: str, definitions: Sequence[Proposal], set_digest: str, by: str = FIRST_USE) -> None:
        """Approve, in one transaction, definitions whose names have nothing approved yet, and the set they come in.

        A name that another process pinned meanwhile keeps what that process pinned; one that was rejected stays so.
        An empty digest is none: the set stays as it is. Raises ApprovalsFullError, and then nothing was pinned.
        """
        ...

    def propose(self, target: str, proposals: Iterable[Proposal]) -> None:
        """Let definitions wait for a decision; what waited under the same name is replaced, and stays in the history.

        A version that was rejected or approved stays so.
        """
        ...

    def begin(self, target: str, versions: Iterable[tuple[str, str, str]]) -> None:
        """Remember what is seen the first time (kind, name, digest), until a whole set is pinned.

        It takes longer to decide about. `approved_set` is an empty text from then on. Nothing happens where a set was
        begun or pinned before; of more than MAX_DEFINITIONS the first are remembered.
        """
        ...

    def begun(self, target: str) -> frozenset[tuple[str, str, str]]:
        """What was seen the first time, while its set is not pinned."""
        ...

    def withdraw(self, target: str, keys: Iterable[Key]) -> None:
        """What waits under these names waits no longer: the server does not offer it any more."""
        ...

    def approve(self, target: str, kind: str, name: str, digest: str, by: str) -> Record:
        """Approve the version with this digest. Raises UnknownDefinitionError."""
        ...

    def reject(self, target: str, kind: str, name: str, digest: str, by: str) -> None:
        """Never admit this version; also one that was approved. Raises UnknownDefinitionError."""
        ...

    def pending(self, target: str | None = None) -> list[Pending]:
        """What waits, by target, kind and name."""
        ...

    def history(self, target: str, kind: str | None = None, name: str | None = None) -> list[Version]:
        """Every version that is known of a target, a kind or a name, the latest first."""
        ...

    def content(self, target: str, digest: str) -> bytes | None:
        """The content of any version by its digest."""
        ...

    def forget(self, target: str) -> None:
        """Forget a target, so that it is seen for the first time again."""
        ...

    def judgements(self, questions: Iterable[str]) -> dict[str, Judgement]:
        """What was answered to questions, by their digests; those without an answer are left out."""
        ...

    def claim(self, question: str, pid: int, for_s: float) -> bool:
        """Whether process `pid` is the one to ask: true for one until it answers, ends, or `for_s` seconds are over."""
        ...

    def unclaim(self, question: str, pid: int) -> None:
        """`pid` asks no longer; whoever wants to may. Nothing to do for what was answered."""
        ...

    def judge(self, question: str, judgement: Judgement) -> None:
        """Keep an answer. It is no decision, and does not change `generation`."""
        ...

    def generation(self) -> int:
        """Another number whenever anything was written, by whichever process."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...
