"""Which family is in which file, and finding recognisers by name.

Adding a family is one file with `RECOGNISERS` and one line here.
"""

import importlib

from heddle.guards.recogniser import Recogniser

FAMILIES: dict[str, str] = {
    "contact": "heddle.guards.contact",
    "payment": "heddle.guards.payment",
    "national_id": "heddle.guards.national",
    "network": "heddle.guards.network",
    "secret": "heddle.guards.keys",
    "injection_heuristics": "heddle.guards.injection",
}
"""Family -> module, imported when one of its recognisers is asked for by the family or by its own name."""
GROUPS: dict[str, tuple[str, ...]] = {"pii": ("contact", "payment", "national_id", "network")}
"""Names for several families."""


def family(name: str) -> tuple[Recogniser, ...]:
    """All recognisers of a family."""
    found: tuple[Recogniser, ...] = importlib.import_module(FAMILIES[name]).RECOGNISERS
    return found


def find(name: str) -> tuple[Recogniser, ...]:
    """The recognisers of a group or family, or the one that is called `name`. KeyError when there is none."""
    if name in GROUPS:
        return tuple(one for part in GROUPS[name] for one in family(part))
    if name in FAMILIES:
        return family(name)
    for known in FAMILIES:
        for one in family(known):
            if one.name == name:
                return (one,)
    raise KeyError(name)


def names() -> list[str]:
    """Everything that `find` knows."""
    return [*GROUPS, *FAMILIES, *(one.name for known in FAMILIES for one in family(known))]
