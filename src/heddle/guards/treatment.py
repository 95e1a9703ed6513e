"""What is done to texts: log, refuse, mask, mask so that it can be put back.

Owns the order. Guards that only log look first and see every text as it came; those that refuse come next, so that no
mask hides what would have been refused; those that mask come last, all in one pass. Within each, matches do not
overlap (see `scanner`); where two guards look for the same, the one that is declared first is told.
"""

from collections.abc import Callable, Generator, Sequence

from heddle.guards import catalog
from heddle.guards.automaton import Automaton
from heddle.guards.phrases import phrase
from heddle.guards.recogniser import Recogniser, recogniser
from heddle.guards.scanner import Found, Scanner
from heddle.guards.whole import WholeScanner
from heddle.model.snapshot_guards import SCOPES, Direction, GuardSpec, Scope
from heddle.pipeline.guarding import Decision, GuardRefusalError, Judge, Tell, Text, Vault

PLACEHOLDER = recogniser("placeholder", r"\[[A-Z][A-Z0-9_]{0,40}_[0-9]{1,9}\]")
MAX_HIDDEN = 10_000
"""Texts that one call can mask reversibly; further ones are masked for good."""

_Owned = dict[int, GuardSpec]


def recognisers_of(spec: GuardSpec) -> list[Recogniser]:
    """Everything a guard looks for. Raises PatternError or KeyError, which configuration has ruled out."""
    found = [one for name in spec.recognisers for one in catalog.find(name)]
    found += [recogniser(own.name, own.pattern, longest=own.longest) for own in spec.patterns]
    return found + [phrase("phrase", text) for text in spec.phrases]


class Hidden:
    """The vault of one call: placeholders that do not occur in its request."""

    __slots__ = ("_body", "_numbers", "_placeholders", "_texts")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._numbers: dict[str, int] = {}
        self._placeholders: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def hide(self, text: str, kind: str) -> str:
        """The placeholder for `text`; the same one each time."""
        known = self._placeholders.get(text)
        if known is not None:
            return known
        if len(self._texts) >= MAX_HIDDEN:
            return f"[{kind}]"
        placeholder = self._next(kind)
        while placeholder.encode() in self._body:
            placeholder = self._next(kind)
        self._placeholders[text], self._texts[placeholder] = placeholder, text
        return placeholder

    def restore(self, placeholder: str) -> str:
        """What it stands for; the placeholder itself when it stands for nothing."""
        return self._texts.get(placeholder, placeholder)

    def _next(self, kind: str) -> str:
        number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return f"[{kind}_{number}]"


class _Stage:
    """Guards of one kind, compiled together."""

    __slots__ = ("automaton", "owners", "whole")

    def __init__(self, found: Sequence[tuple[GuardSpec, Recogniser]]) -> None:
        self.owners: _Owned = {}
        for spec, one in found:
            self.owners.setdefault(id(one), spec)
        self.automaton = Automaton(dict.fromkeys(one for _, one in found))
        self.whole = WholeScanner(self.automaton)


class Lane:
    """The stages of one scope and direction."""

    __slots__ = ("_direction", "_scope", "logs", "masks", "refuses")

    def __init__(
        self, scope: Scope, direction: Direction, found: Sequence[tuple[GuardSpec, Recogniser]], restoring: bool
    ) -> None:
        self._scope, self._direction = scope, direction
        kinds: dict[str, list[tuple[GuardSpec, Recogniser]]] = {"log": [], "refuse": [], "mask": []}
        for spec, one in found:
            kinds["mask" if spec.action == "mask_reversible" else spec.action].append((spec, one))
        self.logs = _Stage(kinds["log"]) if kinds["log"] else None
        self.refuses = _Stage(kinds["refuse"]) if kinds["refuse"] else None
        if restoring:
            kinds["mask"].append((GuardSpec(name="placeholder"), PLACEHOLDER))
        self.masks = _Stage(kinds["mask"]) if kinds["mask"] else None

    def decision(self, spec: GuardSpec, one: Recogniser) -> Decision:
        """What is told of a match."""
        return Decision(spec.name, spec.action, self._scope, self._direction, one.name)


class LaneText:
    """One text in a lane."""

    __slots__ = ("_lane", "_logs", "_masks", "_refuses", "_tell", "_vault")

    def __init__(self, lane: Lane, vault: Vault, tell: Tell) -> None:
        self._lane, self._vault, self._tell = lane, vault, tell
        self._logs = Scanner(lane.logs.automaton) if lane.logs is not None else None
        self._refuses = Scanner(lane.refuses.automaton) if lane.refuses is not None else None
        self._masks = Scanner(lane.masks.automaton) if lane.masks is not None else None

    def feed(self, text: str) -> str:
        """What may go on now. Raises GuardRefusalError."""
        if self._logs is not None:
            self._log(self._logs.feed(text))
        if self._refuses is not None:
            text = self._refuse(self._refuses.feed(text))
        if self._masks is not None:
            text = self._mask(self._masks.feed(text))
        return text

    def whole(self, text: str) -> str:
        """All of a text at once. Raises GuardRefusalError."""
        lane = self._lane
        if lane.logs is not None:
            self._log(lane.logs.whole.scan(text))
        if lane.refuses is not None:
            self._refuse(lane.refuses.whole.scan(text))
        return self._mask(lane.masks.whole.scan(text)) if lane.masks is not None else text

    def turns(self, text: str) -> Generator[None, None, str]:
        """As `whole`, a few milliseconds at a time. Raises GuardRefusalError."""
        lane = self._lane
        if lane.logs is not None:
            for pieces in lane.logs.whole.turns(text):
                self._log(pieces)
                yield
        if lane.refuses is not None:
            for pieces in lane.refuses.whole.turns(text):
                self._refuse(pieces)
                yield
        if lane.masks is None:
            return text
        out: list[str] = []
        for pieces in lane.masks.whole.turns(text):
            out.append(self._mask(pieces))
            yield
        return "".join(out)

    def finish(self) -> str:
        """The rest. Raises GuardRefusalError."""
        text = ""
        if self._logs is not None:
            self._log(self._logs.finish())
        if self._refuses is not None:
            text = self._refuse(self._refuses.finish())
        if self._masks is not None:
            text = self._mask([*self._masks.feed(text), *self._masks.finish()])
        return text

    def _log(self, pieces: Sequence[str | Found]) -> None:
        stage = self._lane.logs
        for piece in pieces:
            if stage is not None and isinstance(piece, Found):
                self._tell(self._lane.decision(stage.owners[id(piece.recogniser)], piece.recogniser))

    def _refuse(self, pieces: Sequence[str | Found]) -> str:
        stage = self._lane.refuses
        for piece in pieces:
            if stage is not None and isinstance(piece, Found):
                raise GuardRefusalError(self._lane.decision(stage.owners[id(piece.recogniser)], piece.recogniser))
        return "".join(map(str, pieces))

    def _mask(self, pieces: Sequence[str | Found]) -> str:
        if len(pieces) == 1 and isinstance(pieces[0], str):
            return pieces[0]
        return "".join([piece if isinstance(piece, str) else self._masked(piece) for piece in pieces])

    def _masked(self, found: Found) -> str:
        one, stage = found.recogniser, self._lane.masks
        if one is PLACEHOLDER or stage is None:
            return self._vault.restore(found.text)
        decision = self._lane.decision(stage.owners[id(one)], one)
        self._tell(decision)
        kind = one.name.upper().replace("-", "_")
        if decision.action == "mask_reversible" and decision.direction == "request":
            return self._vault.hide(found.text, kind)
        return f"[{kind}]"


class CompiledLanes:
    """Lanes by scope."""

    __slots__ = ("_by_scope",)

    def __init__(self, by_scope: dict[Scope, Lane]) -> None:
        self._by_scope = by_scope

    def open(self, scope: Scope, vault: Vault, tell: Tell) -> Text | None:
        """A text of `scope` begins; None when nothing is looked for in it."""
        lane = self._by_scope.get(scope)
        return LaneText(lane, vault, tell) if lane is not None else None


class Guards:
    """All guards of a snapshot, compiled as calls ask for them."""

    def __init__(self, specs: Sequence[GuardSpec], make_judge: Callable[[GuardSpec], Judge]) -> None:
        self._specs = tuple(specs)
        self._found = [recognisers_of(spec) for spec in specs]
        self._judges = {
            number: make_judge(spec) for number, spec in enumerate(specs) if spec.webhook is not None or spec.schema
        }
        self._lanes: dict[tuple[object, ...], CompiledLanes | None] = {}

    def lanes(self, guards: Sequence[int], direction: Direction, restoring: bool) -> CompiledLanes | None:
        """Those of the numbered guards, and putting back what the request hid; None when there is nothing to do."""
        key = (tuple(guards), direction, restoring)
        if key not in self._lanes:
            self._lanes[key] = self._make(guards, direction, restoring)
        return self._lanes[key]

    def judges(self, guards: Sequence[int], direction: Direction) -> list[Judge]:
        """Those of the numbered guards that need the whole."""
        chosen = [self._judges[number] for number in guards if number in self._judges]
        return [judge for judge in chosen if direction in judge.spec.directions]

    def vault(self, body: bytes) -> Hidden:
        """An empty vault whose placeholders do not occur in `body`."""
        return Hidden(body)

    def _make(self, guards: Sequence[int], direction: Direction, restoring: bool) -> CompiledLanes | None:
        lanes: dict[Scope, Lane] = {}
        for scope in SCOPES:
            numbers = tuple(
                number
                for number in guards
                if number not in self._judges
                and direction in self._specs[number].directions
                and scope in self._specs[number].scopes
            )
            if numbers or restoring:
                lanes[scope] = self._lane(scope, direction, numbers, restoring)
        return CompiledLanes(lanes) if lanes else None

    def _lane(self, scope: Scope, direction: Direction, numbers: tuple[int, ...], restoring: bool) -> Lane:
        found = [(self._specs[number], one) for number in numbers for one in self._found[number]]
        return Lane(scope, direction, found, restoring)


def build(specs: Sequence[GuardSpec], make_judge: Callable[[GuardSpec], Judge]) -> Guards:
    """The guards of a snapshot. `make_judge` builds those that need the whole."""
    return Guards(specs, make_judge)
