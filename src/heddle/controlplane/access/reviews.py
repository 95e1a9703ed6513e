"""Access reviews: what a caller may, asked by themselves or by others; who a token is of.

Owns the answers. They are computed and never stored; who may ask about others is for the API server to have
authorized, as the right to `create` the review.

*Source:* authorization.k8s.io/v1, authentication.k8s.io/v1; Kubernetes API reference, "Access Authority Resources".
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec

from heddle.controlplane.access.caller import AUTHENTICATED, Attributes, Caller, Decision
from heddle.controlplane.access.rules import Rule, as_policy_rule
from heddle.controlplane.access.tokens import AUDIENCE
from heddle.wire.kube.status import Cause, bad_request, invalid

AUTHORIZATION = "authorization.k8s.io"
AUTHENTICATION = "authentication.k8s.io"

Object = dict[str, Any]
Review = Callable[[Caller, Object, str], Awaitable[Object]]
"""(caller, body, namespace) -> the answer. Raises ApiError 400 and 422."""


class _Resource(msgspec.Struct, frozen=True):
    verb: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    version: str = ""


class _Path(msgspec.Struct, frozen=True):
    verb: str = ""
    path: str = ""


class _About(msgspec.Struct, frozen=True, rename="camel"):
    resource_attributes: _Resource | None = None
    non_resource_attributes: _Path | None = None
    user: str = ""
    groups: list[str] | None = None
    uid: str = ""
    namespace: str = ""
    token: str = ""
    audiences: list[str] | None = None


class Judge(Protocol):
    """Who knows the answers: `Access`."""

    def authorize(self, caller: Caller, asked: Attributes) -> Decision:
        """Whether a caller may."""
        ...

    def rules_for(self, caller: Caller, namespace: str) -> list[Rule]:
        """All that a caller may in a namespace."""
        ...

    async def review_token(self, token: str) -> Caller | None:
        """Who a token is of; None when it proves nothing."""
        ...

    def token_for(self, namespace: str, name: str, body: Object) -> Object:
        """A TokenRequest for a ServiceAccount, answered."""
        ...


def reviews(judge: Judge) -> Mapping[str, Review]:
    """Every review by its resource (`plural.group`, or `plural/subresource`)."""
    made = _Reviews(judge)
    return {
        f"selfsubjectaccessreviews.{AUTHORIZATION}": made.own_access,
        f"selfsubjectrulesreviews.{AUTHORIZATION}": made.own_rules,
        f"subjectaccessreviews.{AUTHORIZATION}": made.access,
        f"localsubjectaccessreviews.{AUTHORIZATION}": made.local_access,
        f"selfsubjectreviews.{AUTHENTICATION}": made.own_name,
        f"tokenreviews.{AUTHENTICATION}": made.token,
        "serviceaccounts/token": made.account_token,
    }


class _Reviews:
    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    async def own_access(self, caller: Caller, body: Object, namespace: str) -> Object:
        """SelfSubjectAccessReview."""
        del namespace
        return self._access(body, "SelfSubjectAccessReview", caller, _about(body))

    async def access(self, caller: Caller, body: Object, namespace: str) -> Object:
        """SubjectAccessReview."""
        del caller, namespace
        about = _about(body)
        return self._access(body, "SubjectAccessReview", _subject(body, about), about)

    async def local_access(self, caller: Caller, body: Object, namespace: str) -> Object:
        """LocalSubjectAccessReview: as the former, about one namespace only."""
        del caller
        about = _about(body)
        resource = about.resource_attributes
        if resource is None or resource.namespace != namespace:
            raise _unfit(body, "spec.resourceAttributes.namespace", f"must be the namespace of the review, {namespace}")
        return self._access(body, "LocalSubjectAccessReview", _subject(body, about), about)

    async def own_rules(self, caller: Caller, body: Object, namespace: str) -> Object:
        """SelfSubjectRulesReview, which `kubectl auth can-i --list` shows."""
        del namespace
        about = _about(body)
        if not about.namespace:
            raise bad_request("no namespace on request")
        rules = [as_policy_rule(rule) for rule in self._judge.rules_for(caller, about.namespace)]
        status = {
            "resourceRules": [rule for rule in rules if "nonResourceURLs" not in rule],
            "nonResourceRules": [rule for rule in rules if "nonResourceURLs" in rule],
            "incomplete": False,
        }
        return _answer(body, "SelfSubjectRulesReview", AUTHORIZATION, status)

    async def own_name(self, caller: Caller, body: Object, namespace: str) -> Object:
        """SelfSubjectReview, which `kubectl auth whoami` shows."""
        del namespace
        return _answer(body, "SelfSubjectReview", AUTHENTICATION, {"userInfo": _user(caller)})

    async def token(self, caller: Caller, body: Object, namespace: str) -> Object:
        """TokenReview. The token is not repeated."""
        del caller, namespace
        about = _about(body)
        if not about.token:
            raise _unfit(body, "spec.token", "is required")
        status: Object = {"authenticated": False, "user": {}}
        fitting = not about.audiences or AUDIENCE in about.audiences
        found = await self._judge.review_token(about.token) if fitting else None
        if found is not None:
            status = {"authenticated": True, "user": _user(found)}
            if about.audiences:
                status["audiences"] = [AUDIENCE]
        kept = {name: value for name, value in (body.get("spec") or {}).items() if name != "token"}
        return _answer({**body, "spec": kept}, "TokenReview", AUTHENTICATION, status)

    async def account_token(self, caller: Caller, body: Object, namespace: str) -> Object:
        """TokenRequest, asked of the ServiceAccount that `metadata.name` names."""
        del caller
        return self._judge.token_for(namespace, body["metadata"]["name"], body)

    def _access(self, body: Object, kind: str, caller: Caller, about: _About) -> Object:
        resource, path = about.resource_attributes, about.non_resource_attributes
        if (resource is None) == (path is None):
            raise _unfit(body, "spec", "exactly one of resourceAttributes and nonResourceAttributes is needed")
        if path is not None:
            asked = Attributes(path.verb, path=path.path)
        else:
            assert resource is not None
            whole, name = (resource.group, resource.resource, resource.subresource), resource.name
            asked = Attributes(resource.verb, *whole, resource.namespace, name)
        decision = self._judge.authorize(caller, asked)
        status: Object = {"allowed": decision.allowed}
        if decision.reason:
            status["reason"] = decision.reason
        return _answer(body, kind, AUTHORIZATION, status)


def _about(body: Object) -> _About:
    try:
        about = msgspec.convert(body.get("spec") or {}, _About)
    except msgspec.ValidationError as exc:
        raise bad_request(f"the review cannot be read: {str(exc).replace('$', 'spec')}") from exc
    return about


def _subject(body: Object, about: _About) -> Caller:
    if not about.user and not about.groups:
        raise _unfit(body, "spec.user", "a user or groups are needed")
    groups = about.groups or []
    # Whoever is asked about is authenticated once they call; for a group alone that is not said.
    named = (*groups, AUTHENTICATED) if about.user else tuple(groups)
    return Caller(about.user, tuple(dict.fromkeys(named)), about.uid)


def _unfit(body: Object, field: str, message: str) -> Exception:
    return invalid("", str(body.get("kind") or "Review"), "", [Cause("FieldValueInvalid", message, field)])


def _user(caller: Caller) -> Object:
    made: Object = {"username": caller.name, "groups": list(caller.groups)}
    if caller.uid:
        made["uid"] = caller.uid
    return made | {"extra": {name: list(values) for name, values in caller.extra.items()}} if caller.extra else made


def _answer(body: Object, kind: str, group: str, status: Object) -> Object:
    made: Object = {"kind": kind, "apiVersion": f"{group}/v1", "metadata": {"creationTimestamp": None}}
    if "spec" in body:
        made["spec"] = body["spec"]
    return made | {"status": status}
