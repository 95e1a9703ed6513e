"""The roles and bindings that are there from the first start.

Owns what each of them gives. At a start, what is missing is made, and what newer versions give in addition is added to
roles and bindings that still say `autoupdate: "true"`; nothing is ever taken away, and where that annotation says
anything else, the object is its owner's. So an administrator who locks everybody out gets back in by a restart.

*Source:* Kubernetes "Using RBAC Authorization", "Default roles and role bindings", "Auto-reconciliation".
"""

import logging
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from heddle.controlplane.access.caller import ADMINS, AUTHENTICATED, CONTROL_PLANE, EDITORS, GATEWAYS, VIEWERS
from heddle.controlplane.access.rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, GROUP
from heddle.controlplane.access.rules import missing, rules_of
from heddle.drivers.documents import Author, ConflictError, Key, Write
from heddle.model.kinds import Kind, Kinds

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
_ATTEMPTS = 5
FOLDERS = "system:sources:folder"
"""Group of sources that whoever started this process chose: as much as that person."""
GITS = "system:sources:git"
"""Group of sources that anybody with a push to a repository writes through."""

_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_PATHS = (
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/openapi",
    "/openapi/*",
    "/healthz",
    "/livez",
    "/readyz",
    "/version",
    "/version/",
)
_UNSEEN = frozenset({"secrets"})
"""What `view` leaves out."""

_log = logging.getLogger("heddle.controlplane")
Object = dict[str, Any]


class Found(Protocol):
    """An object as it is kept."""

    @property
    def version(self) -> int:
        """Its version."""
        ...

    @property
    def object(self) -> Object:
        """As JSON."""
        ...


class Store(Protocol):
    """What is needed of the store."""

    def get(self, key: Key) -> Any:
        """A `Found`, or None."""
        ...

    async def write(self, writes: Sequence[Write]) -> Sequence[Any]:
        """All or none. Raises ConflictError, UnavailableError."""
        ...

    async def fresh(self) -> int:
        """See what others wrote. Raises UnavailableError."""
        ...


async def install(store: Store, kinds: Kinds, now_s: float) -> None:
    """Have the defaults, in one write. Several control planes may do so at once. Raises UnavailableError."""
    for attempt in range(_ATTEMPTS):
        writes = [one for made in defaults(kinds) if (one := _write(store, made, now_s)) is not None]
        if not writes:
            return
        try:
            await store.write(writes)
        except ConflictError:
            if attempt == _ATTEMPTS - 1:
                raise
            await store.fresh()
        else:
            return


def defaults(kinds: Kinds) -> list[Object]:
    """Every default object, without what the server knows."""
    return [*_roles(kinds), *_bindings()]


def _roles(kinds: Kinds) -> Iterable[Object]:
    yield _role("cluster-admin", [_rule(["*"], ["*"], ["*"]), {"verbs": ["*"], "nonResourceURLs": ["*"]}])
    view, edit = _view(kinds), _edit(kinds)
    in_namespace = [
        _rule((*_READ, *_WRITE), [GROUP], ["rolebindings", "roles"]),
        _rule(["create"], [""], ["serviceaccounts/token"]),
        _rule(["create"], ["authorization.k8s.io"], ["localsubjectaccessreviews"]),
    ]
    yield _role("admin", [*view, *edit, *in_namespace], gathers=("admin", "edit", "view"))
    yield _role("edit", [*view, *edit], gathers=("edit", "view"))
    yield _role("view", view, gathers=("view",))
    yield _role("system:discovery", [{"verbs": ["get", "head"], "nonResourceURLs": list(_PATHS)}])
    own = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
    reviews = [_rule(["create"], ["authorization.k8s.io"], own)]
    reviews.append(_rule(["create"], ["authentication.k8s.io"], ["selfsubjectreviews"]))
    yield _role("system:basic-user", reviews)
    yield _role("system:gateways", [_rule(["create", "patch"], ["", "events.k8s.io"], ["events"])])
    yield _role("system:sources:git", [*view, *edit, *_edit_cluster(kinds)])


def _bindings() -> Iterable[Object]:
    yield _bound("cluster-admin", "cluster-admin", ADMINS)
    yield _bound("heddle:editors", "edit", EDITORS)
    yield _bound("heddle:viewers", "view", VIEWERS)
    yield _bound("system:discovery", "system:discovery", AUTHENTICATED)
    yield _bound("system:basic-user", "system:basic-user", AUTHENTICATED)
    yield _bound("system:gateways", "system:gateways", GATEWAYS)
    yield _bound("system:sources:folder", "cluster-admin", FOLDERS)
    yield _bound("system:sources:git", "system:sources:git", GITS)


def _view(kinds: Kinds) -> list[Object]:
    """Reading all kinds but Secrets and roles."""
    seen = (one for one in kinds if "get" in one.verbs and one.group != GROUP and one.resource not in _UNSEEN)
    return _by_group(_READ, seen, status=True)


def _edit(kinds: Kinds) -> list[Object]:
    """Writing what stands in a namespace, and its Secrets."""
    written = (one for one in kinds if "update" in one.verbs and one.namespaced and not one.generated)
    ours = (one for one in written if one.group != GROUP)
    return [_rule(_READ, [""], sorted(_UNSEEN)), *_by_group(_WRITE, ours, status=False)]


def _edit_cluster(kinds: Kinds) -> list[Object]:
    """Writing what stands in no namespace, but for roles."""
    written = (one for one in kinds if "update" in one.verbs and not one.namespaced and not one.generated)
    return _by_group(_WRITE, (one for one in written if one.group != GROUP), status=False)


def _by_group(verbs: Iterable[str], kinds: Iterable[Kind], *, status: bool) -> list[Object]:
    named: dict[str, list[str]] = {}
    for one in kinds:
        resources = named.setdefault(one.group, [])
        resources.append(one.plural)
        if status and one.has_status:
            resources.append(f"{one.plural}/status")
    return [_rule(verbs, [group], sorted(resources)) for group, resources in named.items()]


def _rule(verbs: Iterable[str], groups: Iterable[str], resources: Iterable[str]) -> Object:
    return {"verbs": sorted(verbs), "apiGroups": list(groups), "resources": list(resources)}


def _role(name: str, rules: list[Object], gathers: tuple[str, ...] = ()) -> Object:
    made = {**_object("ClusterRole", name), "rules": rules}
    if gathers:
        # What somebody adds for kinds of their own: a ClusterRole with the label of the least role that shall have it.
        selectors = [{"matchLabels": {f"{_AGGREGATE}{one}": "true"}} for one in gathers]
        made["aggregationRule"] = {"clusterRoleSelectors": selectors}
    return made


def _bound(name: str, role: str, group: str) -> Object:
    ref = {"apiGroup": GROUP, "kind": "ClusterRole", "name": role}
    subjects = [{"apiGroup": GROUP, "kind": "Group", "name": group}]
    return {**_object("ClusterRoleBinding", name), "roleRef": ref, "subjects": subjects}


def _object(kind: str, name: str) -> Object:
    metadata = {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {AUTOUPDATE: "true"},
    }
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata}


def _write(store: Store, made: Object, now_s: float) -> Write | None:
    """What has to be written for a default object to be as it should; None when it is."""
    resource = CLUSTER_ROLES if made["kind"] == "ClusterRole" else CLUSTER_ROLE_BINDINGS
    key = Key(resource, "", made["metadata"]["name"])
    found = store.get(key)
    if found is None:
        created = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        meta = {**made["metadata"], "uid": str(uuid.uuid4()), "creationTimestamp": created}
        return _as_write(key, {**made, "metadata": meta}, 0, now_s)
    grown = _grown(found.object, made)
    return None if grown is None else _as_write(key, grown, found.version, now_s)


def _grown(found: Object, made: Object) -> Object | None:
    """The object with what it lacks of the default; None when it lacks nothing, or is not ours to change."""
    annotations = found["metadata"].get("annotations") or {}
    if annotations.get(AUTOUPDATE) != "true":
        return None
    if made["kind"] == "ClusterRole":
        held = rules_of(found)
        lacking = [one for one in made["rules"] if missing(rules_of({"kind": "ClusterRole", "rules": [one]}), held)]
        return {**found, "rules": [*(found.get("rules") or []), *lacking]} if lacking else None
    if found.get("roleRef") != made["roleRef"]:
        _log.warning(
            "ClusterRoleBinding %s binds another role than the default, and is left so", found["metadata"]["name"]
        )
        return None
    subjects = found.get("subjects") or []
    lacking = [one for one in made["subjects"] if one not in subjects]
    return {**found, "subjects": [*subjects, *lacking]} if lacking else None


def _as_write(key: Key, value: Object, expected: int, now_s: float) -> Write:
    meta = {name: one for name, one in value["metadata"].items() if name != "resourceVersion"}
    body = msgspec.json.encode({**value, "metadata": meta})
    author = Author(CONTROL_PLANE.name, "heddle", "update" if expected else "create", "default roles")
    return Write(key, body, expected, author, now_s)
