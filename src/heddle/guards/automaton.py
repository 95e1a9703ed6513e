"""Recognisers compiled together: one deterministic automaton, built while it is used.

A state is a dict from a character to the next state, so that a step is one look-up; what is not there yet is worked
out (`__missing__`) and kept. What is kept is bounded: a full cache is emptied and filled anew. States are sets of
positions in the patterns (Glushkov's construction), so a text costs a step per character however patterns look.

*Source:* Glushkov, "The abstract theory of automata" (1961); Aho, Sethi, Ullman, "Compilers", section 3.9.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from heddle.guards.charset import CharSet
from heddle.guards.expression import Chars, Choice, Node, PatternError, Repeat
from heddle.guards.recogniser import Recogniser

MAX_POSITIONS = 20_000
"""Characters of all patterns together, repetitions written out."""
MAX_STEPS = 60_000
"""Steps remembered; some 100 bytes each."""


class State(dict[str, "State"]):
    """Where a text that began somewhere has come to. Do not compare: equal states may be two objects."""

    __slots__ = ("_automaton", "_by_class", "_ending", "finals", "following", "limit", "terminal")

    def __init__(self, automaton: "Automaton", positions: frozenset[int], following: frozenset[int]) -> None:
        super().__init__()
        shape = automaton.shape
        self._automaton = automaton
        self._by_class: dict[int, State] = {}
        self._ending: dict[str, tuple[Recogniser, ...]] = {}
        self.following = tuple(sorted(following))
        """Positions that can come next."""
        found = sorted({shape.final[at] for at in positions if shape.final[at] >= 0})
        self.finals = tuple([automaton.recognisers[index] for index in found])
        """Recognisers whose language has the text so far, first declared first."""
        alive = {shape.owner[at] for at in following} | set(found)
        self.limit = max((automaton.recognisers[index].longest for index in alive), default=0)
        """Length that no match reaching this state exceeds."""
        self.terminal = bool(found) and not following and not any(one.after for one in self.finals)
        """Nothing that follows can matter."""

    def __missing__(self, char: str) -> "State":
        automaton = self._automaton
        kind = automaton.kind_of(char)
        state = self._by_class.get(kind)
        if state is None:
            chars = automaton.shape.chars
            state = automaton.state(frozenset([at for at in self.following if char in chars[at]]))
            self._by_class[kind] = state
        self[char] = state
        automaton.spend(self)
        return state

    def ended(self, char: str) -> tuple[Recogniser, ...]:
        """Those of `finals` that `char` may follow."""
        known = self._ending.get(char)
        if known is None:
            known = tuple([one for one in self.finals if char not in one.after])
            self._ending[char] = known
            self._automaton.spend(self)
        return known

    def forget(self) -> None:
        """Let go of all steps; they are found again."""
        self.clear()
        self._by_class.clear()
        self._ending.clear()


class _Shape:
    """The positions of all patterns, numbered through."""

    def __init__(self) -> None:
        self.chars: list[CharSet] = []
        self.follow: list[set[int]] = []
        self.owner: list[int] = []
        self.final: list[int] = []

    def add(self, node: Node, owner: int) -> frozenset[int]:
        """Number a pattern's positions; those a match can begin at."""
        _, first, last = self._walk(node, owner)
        for at in last:
            self.final[at] = owner
        return frozenset(first)

    def _walk(self, node: Node, owner: int) -> tuple[bool, set[int], set[int]]:
        """Whether `node` has the empty text, its first and its last positions."""
        if isinstance(node, Chars):
            return self._position(node.chars, owner)
        if isinstance(node, Repeat):
            return self._repeat(node, owner)
        if isinstance(node, Choice):
            parts = [self._walk(item, owner) for item in node.items]
            empty = any(part[0] for part in parts)
            return empty, set().union(*(part[1] for part in parts)), set().union(*(part[2] for part in parts))
        return self._row(node.items, owner)

    def _position(self, chars: CharSet, owner: int) -> tuple[bool, set[int], set[int]]:
        at = len(self.chars)
        if at >= MAX_POSITIONS:
            raise PatternError(f"needs more than {MAX_POSITIONS} states; shorten its repetitions")
        self.chars.append(chars)
        self.follow.append(set())
        self.owner.append(owner)
        self.final.append(-1)
        return False, {at}, {at}

    def _row(self, items: Iterable[Node], owner: int) -> tuple[bool, set[int], set[int]]:
        empty, first, last = True, set[int](), set[int]()
        for item in items:
            part_empty, part_first, part_last = self._walk(item, owner)
            for at in last:
                self.follow[at] |= part_first
            first |= part_first if empty else set()
            last = last | part_last if part_empty else part_last
            empty = empty and part_empty
        return empty, first, last

    def _repeat(self, node: Repeat, owner: int) -> tuple[bool, set[int], set[int]]:
        """Copies in a row. From `least` on each may be the last; without end, the last one loops."""
        item, least, most = node
        empty, first, last = True, set[int](), set[int]()
        ends = set[int]()
        for number in range(1, (most or max(1, least)) + 1):
            part_empty, part_first, part_last = self._walk(item, owner)
            for at in last:
                self.follow[at] |= part_first
            first |= part_first if empty else set()
            last = last | part_last if part_empty else part_last
            empty = empty and part_empty
            ends = ends | last if number >= least else ends
        if most is None:
            for at in part_last:
                self.follow[at] |= part_first
        return empty or not least, first, ends


class _Roots(dict[str, State]):
    """By the character in front (`""` at the beginning of a text): where a match could begin."""

    def __init__(self, automaton: "Automaton", firsts: Sequence[frozenset[int]]) -> None:
        super().__init__()
        self._automaton = automaton
        self._firsts = firsts

    def __missing__(self, before: str) -> State:
        pairs = zip(self._automaton.recognisers, self._firsts, strict=True)
        possible = [first for one, first in pairs if not before or before not in one.before]
        state = self[before] = self._automaton.root(frozenset().union(*possible))
        self._automaton.spend(state)
        return state


class Automaton:
    """Some recognisers together; those declared first win where two match the same text. Raises PatternError."""

    def __init__(self, recognisers: Iterable[Recogniser]) -> None:
        self.recognisers = tuple(recognisers)
        self.shape = _Shape()
        firsts = []
        for index, one in enumerate(self.recognisers):
            try:
                firsts.append(self.shape.add(one.node, index))
            except RecursionError:
                raise PatternError("has repetitions that are nested too deep") from None
        self._bounds = _bounds([*self.shape.chars, *(side for r in self.recognisers for side in (r.before, r.after))])
        self._states: dict[tuple[frozenset[int], frozenset[int]], State] = {}
        self._steps = 0
        self.dead = State(self, frozenset(), frozenset())
        """Nothing can match any more. One object: compare with `is`."""
        self.firsts = firsts
        """By recogniser, the positions a match can begin at."""
        self.roots = _Roots(self, firsts)

    def kind_of(self, char: str) -> int:
        """Number of the range that `char` is in; no pattern tells two characters of a range apart."""
        return bisect_right(self._bounds, ord(char))

    def state(self, positions: frozenset[int]) -> State:
        """The state at `positions`."""
        if not positions:
            return self.dead
        follow = self.shape.follow
        return self._known(positions, frozenset().union(*(follow[at] for at in positions)))

    def root(self, firsts: frozenset[int]) -> State:
        """The state before a match that may begin at `firsts`."""
        return self._known(frozenset(), firsts)

    def _known(self, positions: frozenset[int], following: frozenset[int]) -> State:
        key = (positions, following)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = State(self, positions, following)
        return state

    def spend(self, current: State) -> None:
        """One more step is remembered; when there are too many, all are forgotten."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            self._steps = 0
            for state in (*self._states.values(), self.dead, current):
                state.forget()
            self._states.clear()
            self.roots.clear()


def _bounds(sets: Iterable[CharSet]) -> list[int]:
    """Where a range of characters that no set tells apart begins."""
    return sorted({edge for chars in set(sets) for low, high in chars.ranges for edge in (low, high + 1)})
