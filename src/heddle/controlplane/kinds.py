"""All kinds that the resource API serves, as data, made of their structs.

Events of both groups, and the versions of a kind, are one set of objects each; `api/views.py` translates.
"""

from functools import cache

from heddle.model.crd import kind_of
from heddle.model.kinds import Kinds
from heddle.model.served import OWN, SERVED


@cache
def served_kinds() -> Kinds:
    """Everything that is served; made once."""
    return Kinds(kind_of(one, defaults=one not in OWN) for one in SERVED)
