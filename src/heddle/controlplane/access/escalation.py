"""Nobody gives what they do not have: what a write of a role or binding needs besides the right to write it.

Owns the check of every new state of a role or binding, however it came about: by create, update, patch or apply. Who
may `escalate` a role, or `bind` it, is trusted to give more. A role that takes in others by their labels gives rights
that are not written yet, so its writer must hold all there are.

*Source:* Kubernetes "Using RBAC Authorization", "Privilege escalation prevention and bootstrapping".
"""

from collections.abc import Callable, Sequence
from typing import Any

from heddle.controlplane.access.caller import MASTERS, Attributes, Caller, Decision
from heddle.controlplane.access.rbac import GROUP, Place, Rbac, role_of
from heddle.controlplane.access.rules import EVERYTHING, Rule, TooBroadError, missing, rules_of, said
from heddle.wire.kube.status import Cause, forbidden, invalid

_SHOWN = 5
"""Missing rights that a refusal lists."""

Object = dict[str, Any]
Authorize = Callable[[Caller, Attributes], Decision]


class Escalation:
    """The check."""

    def __init__(self, rbac: Rbac, authorize: Authorize) -> None:
        self._rbac, self._authorize = rbac, authorize

    def check(self, caller: Caller, asked: Attributes, old: Object | None, new: Object | None) -> None:
        """Let a write of `new` in place of `old` pass, or raise ApiError 403 or 422. Deleting gives nobody anything."""
        if asked.group != GROUP or new is None:
            return
        if asked.resource in {"roles", "clusterroles"}:
            self._check_role(caller, asked, old, new)
        elif asked.resource in {"rolebindings", "clusterrolebindings"}:
            self._check_binding(caller, asked, old, new)

    def _check_role(self, caller: Caller, asked: Attributes, old: Object | None, new: Object) -> None:
        if old is not None and _gives(old) == _gives(new):
            return
        name = _name(asked, new)
        if self._authorize(caller, asked._replace(verb="escalate", subresource="", name=name)).allowed:
            return
        granted: Sequence[Rule] = rules_of(new)
        if new.get("aggregationRule") is not None:
            granted = (*granted, *EVERYTHING)
        self._check_held(caller, asked, name, granted)

    def _check_binding(self, caller: Caller, asked: Attributes, old: Object | None, new: Object) -> None:
        name = _name(asked, new)
        if old is not None and old.get("roleRef") != new.get("roleRef"):
            kind = "RoleBinding" if asked.namespace else "ClusterRoleBinding"
            cause = Cause("FieldValueInvalid", "Invalid value: cannot change roleRef", "roleRef")
            raise invalid(GROUP, kind, name, [cause])
        if _names_masters(new):
            raise forbidden(
                GROUP, asked.resource, name, f'the group "{MASTERS}" means nothing here and is given nothing'
            )
        if old is not None and old.get("subjects") == new.get("subjects"):
            return
        role = role_of(new, asked.namespace)
        if role is None:
            raise forbidden(GROUP, asked.resource, name, "roleRef does not name a role that can be bound here")
        if self._may_bind(caller, asked, role):
            return
        if not self._rbac.known(role):
            kind = "Role" if role[0] else "ClusterRole"
            raise forbidden(
                GROUP, asked.resource, name, f'{_who(caller)} cannot bind {kind} "{role[1]}", which is not there'
            )
        granted = self._rbac.rules(role)
        if asked.namespace:
            # Bound in a namespace, rules about paths hold nowhere.
            granted = tuple(rule for rule in granted if not rule.paths)
        self._check_held(caller, asked, name, granted)

    def _may_bind(self, caller: Caller, asked: Attributes, role: Place) -> bool:
        resource = "roles" if role[0] else "clusterroles"
        bind = asked._replace(verb="bind", resource=resource, subresource="", name=role[1])
        return self._authorize(caller, bind).allowed

    def _check_held(self, caller: Caller, asked: Attributes, name: str, granted: Sequence[Rule]) -> None:
        try:
            lacking = missing(granted, self._rbac.held(caller, asked.namespace))
        except TooBroadError as exc:
            raise forbidden(GROUP, asked.resource, name, str(exc)) from exc
        if lacking:
            listed = "; ".join(said(one) for one in lacking[:_SHOWN])
            more = " and more" if len(lacking) > _SHOWN else ""
            why = f"{_who(caller)} is attempting to grant permissions not currently held: {listed}{more}"
            raise forbidden(GROUP, asked.resource, name, why)


def _gives(role: Object) -> tuple[Any, Any, Any]:
    """What of a role decides what it gives, and to which roles that take it in."""
    return role.get("rules") or [], role.get("aggregationRule"), (role.get("metadata") or {}).get("labels") or {}


def _name(asked: Attributes, new: Object) -> str:
    return asked.name or str((new.get("metadata") or {}).get("name") or "")


def _who(caller: Caller) -> str:
    return f'user "{caller.name}" (groups={list(caller.groups)})'


def _names_masters(binding: Object) -> bool:
    subjects = binding.get("subjects")
    if not isinstance(subjects, list):
        return False
    return any(isinstance(one, dict) and one.get("kind") == "Group" and one.get("name") == MASTERS for one in subjects)
