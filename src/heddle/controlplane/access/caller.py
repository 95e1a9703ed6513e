"""Who asks the resource API for what, and what it was told: the three values that everything about access is said in.

Owns the names that the control plane itself gives meaning to. Nobody from outside comes by a name that begins with
`system:`; only certificates and tokens of the local authority carry them.

*Source:* Kubernetes "Authorization", request attributes; "Authenticating", users.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

SYSTEM = "system:"
"""Beginning of the names that are ours to give."""
ADMINS = "heddle:admins"
"""Group of those who own the mesh; bound to `cluster-admin`."""
EDITORS = "heddle:editors"
VIEWERS = "heddle:viewers"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
GATEWAYS = "system:gateways"
GATEWAY = "system:gateway:"
"""A gateway's user is this and its name."""
SOURCES = "system:sources"
SOURCE = "system:source:"
"""A source's user is this and its name."""
ACCOUNTS = "system:serviceaccounts"
ACCOUNT = "system:serviceaccount:"
MASTERS = "system:masters"
"""What Kubernetes never refuses anything. Here it means nothing, and nobody is given it."""
RESERVED_GROUPS = frozenset({ADMINS, EDITORS, VIEWERS, MASTERS})
"""Groups besides `system:*` that only the local authority can prove."""

PUBLIC_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
"""What is answered to anybody, exactly as written here or with one slash behind it."""


class Caller(msgspec.Struct, frozen=True):
    """An authenticated caller of the resource API."""

    name: str
    """User name; of a program such as `system:gateway:NAME` or `system:serviceaccount:NAMESPACE:NAME`."""
    groups: tuple[str, ...] = ()
    """`system:authenticated` among them."""
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """What else was proven, such as how."""


ANONYMOUS = Caller("system:anonymous", (UNAUTHENTICATED,))
CONTROL_PLANE = Caller("system:control-plane", (SYSTEM + "control-plane", AUTHENTICATED))
"""The control plane itself, where it writes objects of its own accord."""


class Attributes(NamedTuple):
    """What a request is about, as rules see it."""

    verb: str
    """`get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; of a path the HTTP method in
    lower case. An apply that creates needs `create` too."""
    group: str = ""
    """API group; empty is the core group."""
    resource: str = ""
    """Plural, such as `agents`; empty for a request that is about a path."""
    subresource: str = ""
    namespace: str = ""
    """Empty for what stands in none, and for all namespaces at once."""
    name: str = ""
    """Empty for collections, except where a field selector names one object (`metadata.name=x`), and for `create`."""
    path: str = ""
    """The request's path, where it is about no resource. Compared as it is: what is not written in one way is not
    that path."""


class Decision(NamedTuple):
    """Whether a caller may."""

    allowed: bool
    reason: str = ""
    """Which binding allowed it. Empty when none did: a refusal says no more than that."""


def full_resource(asked: Attributes) -> str:
    """`resource` or `resource/subresource`."""
    return f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource


def public_path(path: str) -> bool:
    """Whether anybody may read it."""
    return path in PUBLIC_PATHS or (path.endswith("/") and path[:-1] in PUBLIC_PATHS)


def what_is_refused(caller: Caller, asked: Attributes) -> str:
    """The clause that a refusal says: who cannot do what."""
    who = f'User "{caller.name}" cannot {asked.verb}'
    if not asked.resource:
        return f'{who} path "{asked.path}"'
    what = f'{who} resource "{full_resource(asked)}" in API group "{asked.group}"'
    return f'{what} in the namespace "{asked.namespace}"' if asked.namespace else f"{what} at the cluster scope"
