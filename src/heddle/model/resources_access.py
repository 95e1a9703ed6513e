"""rbac.authorization.k8s.io/v1: Role, RoleBinding, ClusterRole and ClusterRoleBinding: who may do what with resources.

Owns the fields; `controlplane.access` decides by them.
*Source:* Kubernetes rbac.authorization.k8s.io/v1.
"""

from typing import Annotated, Any, ClassVar, Literal

from heddle.model.config_base import Part
from heddle.model.kube import AGE, ATOMIC, OPEN, Served, column, rule, rules
from heddle.model.meta import ObjectMeta

_Version = Literal["rbac.authorization.k8s.io/v1"]
RBAC_VERSION: _Version = "rbac.authorization.k8s.io/v1"
RBAC_GROUP = "rbac.authorization.k8s.io"
_FIXED = rules(rule("self == oldSelf", "cannot change roleRef"))


class PolicyRule(Part, frozen=True, kw_only=True):
    """What may be done: verbs, with either resources or paths."""

    verbs: Annotated[tuple[str, ...], ATOMIC]
    """`get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, others that are checked by
    name (`use`, `bind`, `escalate`), or `*`."""
    api_groups: Annotated[tuple[str, ...], ATOMIC] = ()
    """Groups of the resources; empty text is the core group, `*` is all."""
    resources: Annotated[tuple[str, ...], ATOMIC] = ()
    """Plurals, with a subresource as in `agents/status`; `*` is all."""
    resource_names: Annotated[tuple[str, ...], ATOMIC] = ()
    """Names of the objects; none is all. Nothing can be created by name."""
    non_resource_urls: Annotated[tuple[str, ...], ATOMIC] = ()
    """Paths that are no resources, `*` at the end; for cluster roles only."""


class RoleRef(Part, frozen=True, kw_only=True):
    """The role that is given."""

    SAID: ClassVar = {"x-kubernetes-map-type": "atomic"}
    api_group: str = RBAC_GROUP
    """Its group."""
    kind: Literal["ClusterRole", "Role"]
    """Its kind."""
    name: str
    """Its name."""


class Subject(Part, frozen=True, kw_only=True):
    """Whom it is given to."""

    SAID: ClassVar = {"x-kubernetes-map-type": "atomic"}
    kind: Literal["Group", "ServiceAccount", "User"]
    """What it is."""
    api_group: str = ""
    """Group of the kind; unset is the right one."""
    name: str
    """Its name."""
    namespace: str = ""
    """Namespace of a service account."""


class AggregationRule(Part, frozen=True, kw_only=True):
    """Rules that are taken over from other cluster roles."""

    cluster_role_selectors: Annotated[tuple[Annotated[dict[str, Any], OPEN], ...], ATOMIC] = ()
    """Label selectors; the rules of every cluster role that one of them finds are added."""


class Role(Part, frozen=True, kw_only=True):
    """What may be done in one namespace."""

    SERVED: ClassVar = Served("roles", columns=(column("Created At", ".metadata.creationTimestamp"),), builtin=True)
    api_version: _Version
    """API group and version."""
    kind: Literal["Role"]
    """Kind."""
    metadata: ObjectMeta
    """Who the resource is."""
    rules: Annotated[tuple[PolicyRule, ...], ATOMIC] = ()
    """What may be done; anything that one of them allows."""


class ClusterRole(Part, frozen=True, kw_only=True):
    """What may be done in every namespace, or in those where a RoleBinding gives it."""

    SERVED: ClassVar = Served(
        "clusterroles",
        columns=(column("Created At", ".metadata.creationTimestamp"),),
        namespaced=False,
        builtin=True,
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["ClusterRole"]
    """Kind."""
    metadata: ObjectMeta
    """Who the resource is."""
    rules: Annotated[tuple[PolicyRule, ...], ATOMIC] = ()
    """What may be done; anything that one of them allows."""
    aggregation_rule: AggregationRule | None = None
    """Where further rules come from."""


class RoleBinding(Part, frozen=True, kw_only=True):
    """Gives a role to subjects, in its namespace."""

    SERVED: ClassVar = Served(
        "rolebindings",
        columns=(
            column("Role", ".roleRef.name"),
            AGE,
            column("Subjects", ".subjects[*].name", priority=1),
        ),
        builtin=True,
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["RoleBinding"]
    """Kind."""
    metadata: ObjectMeta
    """Who the resource is."""
    subjects: Annotated[tuple[Subject, ...], ATOMIC] = ()
    """Whom the role is given to."""
    role_ref: Annotated[RoleRef, _FIXED]
    """The role: a Role of this namespace, or a ClusterRole. Cannot be changed."""


class ClusterRoleBinding(Part, frozen=True, kw_only=True):
    """Gives a cluster role to subjects, in every namespace."""

    SERVED: ClassVar = Served(
        "clusterrolebindings",
        columns=(
            column("Role", ".roleRef.name"),
            AGE,
            column("Subjects", ".subjects[*].name", priority=1),
        ),
        namespaced=False,
        builtin=True,
    )
    api_version: _Version
    """API group and version."""
    kind: Literal["ClusterRoleBinding"]
    """Kind."""
    metadata: ObjectMeta
    """Who the resource is."""
    subjects: Annotated[tuple[Subject, ...], ATOMIC] = ()
    """Whom the role is given to."""
    role_ref: Annotated[RoleRef, _FIXED]
    """The cluster role. Cannot be changed."""
