"""Patterns: a regular language in the usual notation, read into a tree.

Owns which notation is accepted. Everything that would cost more than a step per character and state is refused when a
configuration is read (look-around, back-references), and so is what would have no meaning here: anchors, and lazy
quantifiers, as the longest match always wins. `\\b` may stand at either end. `\\d` and `\\w` are ASCII.
"""

from typing import NamedTuple

from heddle.guards.charset import ANY, DIGITS, EMPTY, NOT_NEWLINE, SPACE, WORD, CharSet

MAX_REPEAT = 1_000
MAX_DEPTH = 40
_CLASSES = {"d": DIGITS, "w": WORD, "s": SPACE}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_REFUSED_GROUPS = {"?=": "look-ahead", "?!": "look-ahead", "?<": "look-behind or a named group", "?P": "a named group"}


class Chars(NamedTuple):
    """One character of a set."""

    chars: CharSet


class Sequence(NamedTuple):
    """One after the other."""

    items: "tuple[Node, ...]"


class Choice(NamedTuple):
    """Any one of several."""

    items: "tuple[Node, ...]"


class Repeat(NamedTuple):
    """`least` to `most` times; None is without end."""

    item: "Node"
    least: int
    most: int | None


Node = Chars | Sequence | Choice | Repeat


class Expression(NamedTuple):
    """A pattern that was read."""

    node: Node
    before: CharSet
    """Characters that may not stand in front of a match."""
    after: CharSet
    """Characters that may not follow one."""


class PatternError(ValueError):
    """A pattern that is not accepted; the message says what to write instead."""


def lengths(node: Node) -> tuple[int, int | None]:
    """Shortest and longest text of a language, in characters; None when there is no longest."""
    if isinstance(node, Chars):
        return 1, 1
    if isinstance(node, Repeat):
        least, most = lengths(node.item)
        return least * node.least, None if most is None or node.most is None else most * node.most
    parts = [lengths(item) for item in node.items]
    mosts = [most for _, most in parts if most is not None]
    endless = len(mosts) < len(parts)
    if isinstance(node, Sequence):
        return sum(least for least, _ in parts), None if endless else sum(mosts)
    return min(least for least, _ in parts), None if endless else max(mosts)


def literal(text: str) -> Node:
    """Exactly `text`."""
    return Sequence(tuple(Chars(CharSet.of(char)) for char in text))


def parse(pattern: str) -> Expression:
    """The language of `pattern`. Raises PatternError, which names the position."""
    ignore_case = pattern.startswith("(?i)")
    text = pattern[4:] if ignore_case else pattern
    before = after = EMPTY
    if text.startswith("\\b"):
        before, text = WORD, text[2:]
    if text.endswith("\\b") and not text.endswith("\\\\b"):
        after, text = WORD, text[:-2]
    if not text:
        raise PatternError("is empty")
    reader = _Reader(text, ignore_case, len(pattern) - len(text) if not after else len(pattern) - len(text) - 2)
    node = reader.choice(0)
    if reader.at < len(text):
        raise reader.error("has a `)` without its `(`")
    if lengths(node)[0] == 0:
        raise PatternError("matches the empty text, which is everywhere; make a part of it required")
    return Expression(node, before, after)


class _Reader:
    """A recursive descent over one pattern."""

    def __init__(self, text: str, ignore_case: bool, offset: int) -> None:
        self._text = text
        self._ignore_case = ignore_case
        self._offset = offset
        self.at = 0

    def error(self, message: str) -> PatternError:
        return PatternError(f"{message} (at character {self.at + self._offset + 1})")

    def _peek(self) -> str:
        return self._text[self.at : self.at + 1]

    def _next(self) -> str:
        char = self._peek()
        if not char:
            raise self.error("ends too early")
        self.at += 1
        return char

    def choice(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.error(f"is nested more than {MAX_DEPTH} deep")
        items = [self._sequence(depth)]
        while self._peek() == "|":
            self.at += 1
            items.append(self._sequence(depth))
        return items[0] if len(items) == 1 else Choice(tuple(items))

    def _sequence(self, depth: int) -> Node:
        items: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            items.append(self._quantified(self._atom(depth)))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def _quantified(self, item: Node) -> Node:
        sign = self._peek()
        bounds: tuple[int, int | None]
        if sign == "{":
            bounds = self._bounds()
        elif sign in ("?", "*", "+"):
            self.at += 1
            bounds = (1 if sign == "+" else 0, 1 if sign == "?" else None)
        else:
            return item
        if self._peek() in ("?", "+", "*", "{"):
            raise self.error("has a quantifier after a quantifier; the longest match always wins, so none can be lazy")
        return Repeat(item, *bounds)

    def _bounds(self) -> tuple[int, int | None]:
        end = self._text.find("}", self.at)
        least, comma, most = self._text[self.at + 1 : end].partition(",")
        if end < 0 or not (least.isascii() and least.isdigit() and (not most or most.isdigit())):
            raise self.error("has a `{` that is no `{n}`, `{n,}` or `{n,m}`; write `\\{` for the character")
        low = int(least)
        high: int | None = int(most) if most else None if comma else low
        if max(low, high or 0) > MAX_REPEAT or (high is not None and (high < low or not high)):
            raise self.error(f"has a repetition that is not 1 to {MAX_REPEAT} times")
        self.at = end + 1
        return low, high

    def _atom(self, depth: int) -> Node:
        char = self._next()
        if char == "(":
            return self._group(depth)
        if char == "[":
            return self._chars(self._set())
        if char == "\\":
            return self._chars(self._escape())
        if char == ".":
            return Chars(NOT_NEWLINE)
        if char in "*+?{":
            raise self.error(f"repeats nothing with `{char}`; write `\\{char}` for the character")
        if char in "^$":
            raise self.error(f"has an anchor; a text is searched from end to end, write `\\{char}` for the character")
        return self._chars(CharSet.of(char))

    def _chars(self, chars: CharSet) -> Node:
        return Chars(chars.folded() if self._ignore_case else chars)

    def _group(self, depth: int) -> Node:
        sign = self._text[self.at : self.at + 2]
        if sign == "?:":
            self.at += 2
        elif sign[:1] == "?":
            raise self.error(f"has {_REFUSED_GROUPS.get(sign, 'a group with options')}, which is not accepted")
        node = self.choice(depth + 1)
        if self._peek() != ")":
            raise self.error("has a `(` without its `)`")
        self.at += 1
        return node

    def _escape(self) -> CharSet:
        char = self._next()
        if char.lower() in _CLASSES:
            chars = _CLASSES[char.lower()]
            return chars if char.islower() else chars.negated()
        if char in _CONTROLS:
            return CharSet.of(_CONTROLS[char])
        if char in "xu":
            size = 2 if char == "x" else 4
            digits = self._text[self.at : self.at + size]
            if len(digits) < size or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
                raise self.error(f"needs {size} hexadecimal digits after `\\{char}`")
            self.at += size
            return CharSet.of(chr(int(digits, 16)))
        if char.isalnum():
            what = "a back-reference" if char.isdigit() else "an escape"
            raise self.error(f"has {what} that is not accepted, `\\{char}`")
        return CharSet.of(char)

    def _set(self) -> CharSet:
        negated = self._peek() == "^"
        self.at += negated
        chars = EMPTY
        first = True
        while first or self._peek() != "]":
            first = False
            low = self._member()
            if self._peek() == "-" and self._text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                chars |= self._range(low, self._member())
            else:
                chars |= low
        self.at += 1
        if self._ignore_case:
            chars = chars.folded()
        chars = chars.negated() if negated else chars
        if not chars:
            raise self.error("has a set without characters")
        return chars

    def _member(self) -> CharSet:
        char = self._next()
        return self._escape() if char == "\\" else CharSet.of(char)

    def _range(self, low: CharSet, high: CharSet) -> CharSet:
        ends = [ends for one in (low, high) for ends in one.ranges]
        if len(ends) != 2 or any(first != last for first, last in ends) or ends[0][0] > ends[1][0]:
            raise self.error("has a range in a set that is none")
        return CharSet([(ends[0][0], ends[1][0])])


__all__ = ["ANY", "Chars", "Choice", "Expression", "Node", "PatternError", "Repeat", "Sequence", "lengths", "literal",
           "parse"]  # fmt: skip
