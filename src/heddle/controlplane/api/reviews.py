"""Kinds that are asked and not kept: reviews of access and of tokens, as discovery lists them.

Owns their descriptions; `access.reviews` answers them.
*Source:* authorization.k8s.io/v1, authentication.k8s.io/v1.
"""

from collections.abc import Iterable

from heddle.model.kinds import Kind

_AUTHORIZATION, _AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"
_ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_SCHEMA = {
    "type": "object",
    "description": "A question that is answered and not kept.",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {**_ANYTHING, "description": "What is asked."},
        "status": {**_ANYTHING, "description": "The answer."},
    },
}


def _kind(group: str, name: str, *, namespaced: bool = False) -> Kind:
    return Kind(
        group=group,
        version="v1",
        kind=name,
        plural=f"{name.lower()}s",
        singular=name.lower(),
        namespaced=namespaced,
        schema=_SCHEMA,
        builtin=True,
        verbs=("create",),
    )


def review_kinds() -> Iterable[Kind]:
    """All of them."""
    return (
        _kind(_AUTHORIZATION, "SelfSubjectAccessReview"),
        _kind(_AUTHORIZATION, "SelfSubjectRulesReview"),
        _kind(_AUTHORIZATION, "SubjectAccessReview"),
        _kind(_AUTHORIZATION, "LocalSubjectAccessReview", namespaced=True),
        _kind(_AUTHENTICATION, "SelfSubjectReview"),
        _kind(_AUTHENTICATION, "TokenReview"),
    )
