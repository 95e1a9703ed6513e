"""What clients ask before anything else: which groups, versions and kinds there are, and what they look like.

Owns `/version`, `/api`, `/apis` in all their forms, and `/openapi`. Everything is made once, as bytes with an ETag.
*Source:* Kubernetes API concepts, "API discovery"; apidiscovery.k8s.io/v2; OpenAPI 2.0 and 3.0.
"""

import hashlib
import sys
from typing import Any

from heddle import __version__
from heddle.controlplane.api.answer import Answer, encode
from heddle.controlplane.api.negotiation import aggregated_discovery
from heddle.controlplane.api.parts import OpenApi
from heddle.controlplane.api.request import Request
from heddle.model.kinds import Kind, Kinds

KUBERNETES = ("1", "36")
"""The version of Kubernetes whose behaviour is served; clients compare it with theirs."""
_STATUS_VERBS = ["get", "patch", "update"]
_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_ASKED_PROTOBUF = ("proto-openapi.spec.v2@v1.0+protobuf", "proto-openapi.spec.v2.v1.0+protobuf")
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"


class Discovery:
    """Answers about what is served."""

    def __init__(self, kinds: Kinds, openapi: OpenApi | None) -> None:
        self._kinds = kinds
        self._openapi = openapi
        self._answers = self._made()

    def answer(self, parts: list[str], request: Request) -> Answer | None:
        """The answer to a GET of a path of discovery; None when it is none."""
        if parts[0] == "openapi":
            return self._described(parts[1:], request)
        path = "/".join(parts)
        if path in {"api", "apis"}:
            version = aggregated_discovery(request.headers.get("accept", ""))
            path = f"{path}?{version}" if version else path
        found = self._answers.get(path)
        return None if found is None else _unless_known(found, request)

    def _described(self, rest: list[str], request: Request) -> Answer | None:
        if self._openapi is None or not rest:
            return None
        if rest == ["v2"]:
            accept = request.headers.get("accept", "")
            if any(one in accept for one in _ASKED_PROTOBUF):
                return _unless_known(Answer(200, self._openapi.v2_protobuf(), _V2_PROTOBUF), request)
            return _unless_known(Answer(200, self._openapi.v2()), request)
        if rest[0] != "v3":
            return None
        body = self._openapi.v3("/".join(rest[1:])) if len(rest) > 1 else self._openapi.v3_index()
        return None if body is None else _unless_known(Answer(200, body), request)

    def _made(self) -> dict[str, Answer]:
        made = {"version": _json(_version())}
        made["api"] = _json(
            {
                "kind": "APIVersions",
                "versions": list(self._kinds.versions().get("", ())),
                "serverAddressByClientCIDRs": [],
            }
        )
        groups = [_group(name, versions) for name, versions in self._kinds.versions().items() if name]
        made["apis"] = _json({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        for one in groups:
            made[f"apis/{one['name']}"] = _json({"kind": "APIGroup", "apiVersion": "v1", **one})
        for name, versions in self._kinds.versions().items():
            for version in versions:
                made[f"apis/{name}/{version}" if name else f"api/{version}"] = _json(self._resources(name, version))
        for version in ("v2", "v2beta1"):
            content_type = _AGGREGATED.format(version=version)
            for path, core in (("api", True), ("apis", False)):
                made[f"{path}?{version}"] = Answer(200, encode(self._aggregated(version, core)), content_type)
        return made

    def _of(self, group: str, version: str) -> list[Kind]:
        return [kind for kind in self._kinds if (kind.group, kind.version) == (group, version)]

    def _resources(self, group: str, version: str) -> dict[str, Any]:
        listed: list[dict[str, Any]] = []
        for kind in self._of(group, version):
            one = {"name": kind.plural, "singularName": _singular(kind), "namespaced": kind.namespaced}
            one |= {"kind": kind.kind, "verbs": list(kind.verbs)}
            if kind.short_names:
                one["shortNames"] = list(kind.short_names)
            if kind.categories:
                one["categories"] = list(kind.categories)
            one["storageVersionHash"] = hashlib.sha256(kind.resource.encode()).hexdigest()[:12]
            listed.append(one)
            if kind.has_status:
                status = {"name": f"{kind.plural}/status", "singularName": "", "namespaced": kind.namespaced}
                listed.append(status | {"kind": kind.kind, "verbs": _STATUS_VERBS})
        named = f"{group}/{version}" if group else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": named, "resources": listed}

    def _aggregated(self, discovery: str, core: bool) -> dict[str, Any]:
        items = []
        for group, versions in self._kinds.versions().items():
            if bool(group) is core:
                continue
            served = [
                {
                    "version": one,
                    "freshness": "Current",
                    "resources": [_discovered(kind) for kind in self._of(group, one)],
                }
                for one in versions
            ]
            meta = {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None}
            items.append({"metadata": meta, "versions": served})
        api_version = f"apidiscovery.k8s.io/{discovery}"
        return {"kind": "APIGroupDiscoveryList", "apiVersion": api_version, "metadata": {}, "items": items}


def _json(value: Any) -> Answer:
    return Answer(200, encode(value))


def _singular(kind: Kind) -> str:
    return kind.singular or kind.kind.lower()


def _group(name: str, versions: tuple[str, ...]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _discovered(kind: Kind) -> dict[str, Any]:
    response = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    made: dict[str, Any] = {"resource": kind.plural, "responseKind": response}
    made |= {"scope": "Namespaced" if kind.namespaced else "Cluster", "singularResource": _singular(kind)}
    made["verbs"] = list(kind.verbs)
    if kind.short_names:
        made["shortNames"] = list(kind.short_names)
    if kind.categories:
        made["categories"] = list(kind.categories)
    if kind.has_status:
        made["subresources"] = [{"subresource": "status", "responseKind": response, "verbs": _STATUS_VERBS}]
    return made


def _version() -> dict[str, str]:
    major, minor = KUBERNETES
    known = {"major": major, "minor": minor, "gitVersion": f"v{major}.{minor}.0+heddle.{__version__}"}
    python = ".".join(str(part) for part in sys.version_info[:3])
    return known | {"platform": sys.platform, "compiler": "cpython", "goVersion": f"python{python}"}


def _unless_known(answer: Answer, request: Request) -> Answer:
    tag = '"' + hashlib.sha256(answer.body).hexdigest()[:32].upper() + '"'
    headers = ((b"etag", tag.encode()), (b"vary", b"accept"))
    if tag in request.headers.get("if-none-match", ""):
        return Answer(304, b"", answer.content_type, headers=headers)
    return answer._replace(headers=headers)
