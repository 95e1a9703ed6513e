"""JSONPaths of columns, ages, Accept headers and paths."""

import pytest

from heddle.controlplane.api import columns, negotiation, paths
from heddle.controlplane.api.request import segments
from heddle.controlplane.kinds import served_kinds
from heddle.wire.kube.status import ApiError

OBJECT = {
    "metadata": {"name": "a", "annotations": {"x.dev/y": "z"}, "creationTimestamp": "2025-10-09T08:53:20Z"},
    "spec": {"replicas": 3, "on": True, "list": ["a", "b"], "none": None},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "kind", "shown"),
    [
        (".metadata.name", "string", "a"),
        ("{.metadata.name}", "string", "a"),
        (".metadata.annotations.x\\.dev/y", "string", "z"),
        (".metadata.annotations['x.dev/y']", "string", "z"),
        ('.status.conditions[?(@.type=="Ready")].status', "string", "True"),
        (".status.conditions[?(@.type=='Gone')].status", "string", None),
        (".status.conditions[*].type", "string", "Ready,Other"),
        (".spec.list[0]", "string", "a"),
        (".spec.list[-1]", "string", "b"),
        (".spec.list[7]", "string", None),
        (".spec.list", "string", "a,b"),
        (".spec.replicas", "integer", 3),
        (".spec.replicas", "string", "3"),
        (".spec.on", "boolean", True),
        (".spec.on", "string", "true"),
        (".spec.none", "string", None),
        (".spec.nothing.below", "string", None),
        (".metadata.creationTimestamp", "date", "10s"),
        (".metadata.name", "integer", None),
    ],
)
def test_a_cell(path: str, kind: str, shown: object):
    assert columns.cell(columns.compiled(path), kind, OBJECT, 1_760_000_010.0) == shown


def test_every_column_of_every_kind_can_be_read():
    for kind in served_kinds():
        for column in kind.columns:
            columns.compiled(column.path)


def test_a_path_outside_the_subset_is_refused():
    for path in (".a[", ".a[?(@.b>1)]", "a b", ".a..b"):
        with pytest.raises(ValueError):
            columns.compiled(path)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (201, "3m21s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (12_000, "3h20m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (800 * 86400, "2y70d"),
        (4000 * 86400, "10y"),
        (-10, "<invalid>"),
    ],
)
def test_ages(seconds: int, shown: str):
    assert columns.age("2025-10-09T08:53:20Z", 1_760_000_000.0 + seconds) == shown


def test_ages_of_nonsense():
    assert columns.age("yesterday", 0.0) == "<unknown>"


@pytest.mark.parametrize(
    ("accept", "shape"),
    [
        ("", "object"),
        ("*/*", "object"),
        ("application/json", "object"),
        ("application/vnd.kubernetes.protobuf,application/json", "object"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io", "table"),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", "object"),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", "metadata"),
        ("text/html, */*;q=0.1", "object"),
    ],
)
def test_what_is_accepted(accept: str, shape: str):
    assert negotiation.form(accept).shape == shape


@pytest.mark.parametrize("accept", ["text/html", "application/vnd.kubernetes.protobuf", "application/json;as=What"])
def test_what_is_not(accept: str):
    with pytest.raises(ApiError) as refused:
        negotiation.form(accept)
    assert refused.value.code == 406


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/api/v1/namespaces", ("namespaces", None, "", "")),
        ("/api/v1/namespaces/a", ("namespaces", None, "a", "")),
        ("/api/v1/namespaces/a/status", ("namespaces", None, "a", "status")),
        ("/api/v1/namespaces/a/secrets/", ("secrets", "a", "", "")),
        ("/api/v1/secrets", ("secrets", None, "", "")),
        ("/apis/kagent.dev/v1alpha2/namespaces/a/agents/b/status", ("agents", "a", "b", "status")),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles/system:x", ("clusterroles", None, "system:x", "")),
    ],
)
def test_where_a_path_leads(path: str, found: tuple[str, str | None, str, str]):
    target = paths.resolve(segments(path) or [], served_kinds())
    assert target is not None
    assert (target.kind.plural, target.namespace, target.name, target.subresource) == found


@pytest.mark.parametrize(
    "path", ["/api/v1", "/api/v1/secrets/a", "/apis/x/v1/agents", "/api/v1/namespaces/a/clusterroles", "/x/y/z/a"]
)
def test_where_none_leads(path: str):
    assert paths.resolve(segments(path) or [], served_kinds()) is None
