"""Protobuf bodies: what clients write in Go, read as the JSON that they mean."""

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.controlplane.api.rig import Rig

from heddle.controlplane.api import protobuf
from heddle.controlplane.api.protobuf_fields import MESSAGES
from heddle.controlplane.kinds import served_kinds
from heddle.wire.kube.status import ApiError


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


def field(number: int, value: Any) -> bytes:
    """A field: numbers as varints, everything else with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def body(api_version: str, kind: str, *fields: bytes) -> bytes:
    about = field(1, api_version) + field(2, kind)
    return protobuf.MAGIC + field(1, about) + field(2, b"".join(fields)) + field(3, "") + field(4, "")


def entry(key: str, value: str | bytes) -> bytes:
    return field(1, key) + field(2, value)


META = field(1, "name") + field(2, "") + field(3, "ns") + field(7, 0) + field(8, b"") + field(11, entry("a", "b"))


def test_a_secret():
    raw = body(
        "v1",
        "Secret",
        field(1, META),
        field(2, entry("k", b"\x00\xff")),
        field(2, entry("empty", b"")),
        field(3, "Opaque"),
    )
    assert protobuf.decode(raw) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "name", "namespace": "ns", "labels": {"a": "b"}},
        "data": {"k": base64.b64encode(b"\x00\xff").decode(), "empty": ""},
        "type": "Opaque",
    }


def test_zeros_are_absent_but_where_they_mean_something():
    owner = field(1, "Agent") + field(3, "a") + field(4, "u") + field(5, "v1") + field(6, 0) + field(7, 1)
    found = protobuf.decode(body("v1", "ConfigMap", field(1, field(1, "n") + field(13, owner)), field(4, 0)))
    assert found["immutable"] is False
    reference = {"apiVersion": "v1", "kind": "Agent", "name": "a", "uid": "u"}
    assert found["metadata"]["ownerReferences"] == [reference | {"controller": False, "blockOwnerDeletion": True}]


def test_times():
    micro = field(1, 1_760_000_000) + field(2, 123_456_789)
    spec = field(1, "me") + field(2, 15) + field(3, micro)
    found = protobuf.decode(body("coordination.k8s.io/v1", "Lease", field(1, META), field(2, spec)))
    assert found["spec"] == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "acquireTime": "2025-10-09T08:53:20.123456Z",
    }
    event = body("v1", "Event", field(1, META), field(6, field(1, 1_760_000_000)), field(8, 3))
    assert protobuf.decode(event)["firstTimestamp"] == "2025-10-09T08:53:20Z"


def test_a_port_is_a_number_or_a_name():
    ports = [field(3, 80) + field(4, field(1, kind) + field(2, 8080) + field(3, "http")) for kind in (0, 1)]
    spec = b"".join(field(1, port) for port in ports)
    found = protobuf.decode(body("v1", "Service", field(1, META), field(2, spec)))
    assert [one["targetPort"] for one in found["spec"]["ports"]] == [8080, "http"]


def test_events_of_the_two_groups_have_their_own_numbers():
    found = protobuf.decode(body("events.k8s.io/v1", "Event", field(1, META), field(10, "said"), field(7, "Because")))
    assert (found["note"], found["reason"]) == ("said", "Because")


def test_negative_numbers_and_unknown_fields():
    options = body(
        "v1", "DeleteOptions", field(1, -1), field(99, "new"), field(5, "All"), varint(98 << 3 | 5) + b"abcd"
    )
    assert protobuf.decode(options) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": -1,
        "dryRun": ["All"],
    }


def test_a_kind_without_numbers_is_another_media_type():
    with pytest.raises(ApiError) as refused:
        protobuf.decode(body("kagent.dev/v1alpha2", "Agent"))
    assert refused.value.code == 415


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"k8s",
        b"{}",
        protobuf.MAGIC + b"\xff" * 20,
        protobuf.MAGIC + b"\x0a\xff\xff\xff\xff\x0f",
        body("v1", "Secret", b"\x0b"),
        body("v1", "Secret", field(1, 5)),
        body("v1", "Secret", field(1, field(1, b"\xff"))),
        body("v1", "Event", field(6, field(1, 1 << 62))),
        body("v1", "Secret", field(1, field(17, field(7, field(1, b"{"))))),
    ],
)
def test_broken_bodies_are_the_callers_mistake(raw: bytes):
    with pytest.raises(ApiError) as refused:
        protobuf.decode(raw)
    assert refused.value.code in {400, 415}


@given(st.binary(max_size=300), st.sampled_from(sorted(MESSAGES)))
@settings(max_examples=400, deadline=None)
def test_garbage_is_refused_or_read_but_nothing_else(raw: bytes, name: str):
    group, _, kind = name.rpartition(".")
    try:
        assert isinstance(protobuf.decode(body(f"{group}/v1" if group else "v1", kind, raw)), dict)
    except ApiError as refused:
        assert refused.code in {400, 415}  # noqa: PT017 - what it is when it is refused


def test_every_form_in_the_table_is_known():
    for name in MESSAGES:
        for one in protobuf._fields(name).values():
            assert one.form in {*"sibyT"} or one.form in MESSAGES or one.form in protobuf._SPECIAL, (name, one)


def test_every_built_in_kind_that_go_clients_write_has_numbers():
    kinds = [kind for kind in served_kinds() if kind.builtin and not kind.generated]
    missing = {kind.kind for kind in kinds if kind.kind not in MESSAGES}
    assert not missing


def test_the_fields_are_those_of_the_schemas():
    """A misspelt field would be pruned in silence."""
    for kind in served_kinds():
        if not kind.builtin or kind.generated:
            continue
        name = f"{kind.group}.{kind.kind}" if f"{kind.group}.{kind.kind}" in MESSAGES else kind.kind
        known = set(kind.schema["properties"])
        assert {one.name for one in protobuf._fields(name).values()} <= known | {"related", "stringData"}, kind.kind


async def test_a_body_is_read_where_the_kind_is_built_in(rig: Rig):
    media = "application/vnd.kubernetes.protobuf"
    raw = body("v1", "ConfigMap", field(1, field(1, "a")), field(2, entry("k", "v")))
    made = await rig.call("POST", "/api/v1/namespaces/default/configmaps", raw, content_type=media)
    assert (made.status, made.json["data"]) == (201, {"k": "v"})
    options = body("v1", "DeleteOptions", field(2, field(1, "other")))
    kept = await rig.call("DELETE", "/api/v1/namespaces/default/configmaps/a", options, content_type=media)
    assert kept.status == 409
    agents = "/apis/kagent.dev/v1alpha2/namespaces/default/agents"
    assert (await rig.call("POST", agents, raw, content_type=media)).status == 415
