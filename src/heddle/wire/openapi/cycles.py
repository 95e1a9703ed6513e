"""Which references of a document lead back to themselves.

Owns the graph of its schemas' references, explored as far as it is asked about. What is in no cycle can be written in
place of its reference, whatever the reference stands in; what is in one needs a name.

*Source:* Tarjan, "Depth-first search and linear graph algorithms" (1972), strongly connected components.
"""

from collections.abc import Iterator
from typing import Any

from heddle.wire.errors import ProtocolError
from heddle.wire.openapi.reading import Document


class _Visit:
    """A reference on the path that is being explored."""

    __slots__ = ("edges", "low", "order", "reference")

    def __init__(self, reference: str, order: int, edges: Iterator[str]) -> None:
        self.reference = reference
        self.order = order
        self.low = order
        self.edges = edges


class Cycles:
    """Answers whether a reference is part of a cycle; each one is looked at once."""

    __slots__ = ("_cyclic", "_document", "_open", "_order", "_stack")

    def __init__(self, document: Document) -> None:
        self._document = document
        self._cyclic: dict[str, bool] = {}
        self._order: dict[str, int] = {}
        self._open: set[str] = set()
        self._stack: list[str] = []

    def has(self, reference: str) -> bool:
        """Whether what `reference` points to refers, by any way, to itself."""
        if reference not in self._cyclic:
            self._explore(reference)
        return self._cyclic[reference]

    def _explore(self, root: str) -> None:
        """Without recursion: a chain of references may be longer than Python's stack."""
        path = [self._enter(root)]
        while path:
            visit = path[-1]
            for edge in visit.edges:
                if edge == visit.reference:
                    self._cyclic[edge] = True
                elif edge not in self._order:
                    path.append(self._enter(edge))
                    break
                elif edge in self._open:
                    visit.low = min(visit.low, self._order[edge])
            else:
                path.pop()
                if path:
                    path[-1].low = min(path[-1].low, visit.low)
                if visit.low == visit.order:
                    self._close(visit.reference)

    def _enter(self, reference: str) -> _Visit:
        order = self._order[reference] = len(self._order)
        self._stack.append(reference)
        self._open.add(reference)
        return _Visit(reference, order, iter(self._edges(reference)))

    def _close(self, reference: str) -> None:
        """Everything above `reference` on the stack is in one component with it."""
        component = [self._stack.pop()]
        while component[-1] != reference:
            component.append(self._stack.pop())
        for member in component:
            self._open.discard(member)
            self._cyclic[member] = len(component) > 1 or self._cyclic.get(member, False)

    def _edges(self, reference: str) -> list[str]:
        try:
            target, at = self._document.target(reference, reference)
        except ProtocolError:
            # Said when the reference is followed; it may stand in an example, where it is none.
            return []
        found: dict[str, None] = {}
        waiting: list[Any] = [target]
        while waiting:
            value = waiting.pop()
            self._document.account.spend(1, at)
            if isinstance(value, dict):
                inner = value.get("$ref")
                if isinstance(inner, str):
                    found[inner] = None
                waiting.extend(value.values())
            elif isinstance(value, list):
                waiting.extend(value)
        return list(found)
