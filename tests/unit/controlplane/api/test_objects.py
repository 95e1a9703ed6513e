"""What becomes of objects by writes: kinds of Kubernetes itself, forms of answers, what nobody may write."""

import asyncio
import base64
import gzip
from typing import Any

import pytest
from tests.unit.controlplane.api.rig import AGENTS, CONFIG_MAPS, Rig

SECRETS = "/api/v1/namespaces/default/secrets"
MODELS = "/apis/kagent.dev/v1alpha2/namespaces/default/modelconfigs"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"


def config_map(name: str, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"a": "b"}} | fields


def model(name: str, **meta: Any) -> dict[str, Any]:
    spec = {"provider": "OpenAI", "model": "gpt-4o"}
    return {
        "apiVersion": "kagent.dev/v1alpha2",
        "kind": "ModelConfig",
        "metadata": {"name": name, **meta},
        "spec": spec,
    }


async def test_built_in_kinds_need_not_say_what_they_are(rig: Rig):
    made = (await rig.call("POST", CONFIG_MAPS, config_map("a"))).json
    assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")
    assert "generation" not in made["metadata"]
    assert made["metadata"]["creationTimestamp"] == "2025-10-09T08:53:20Z"


async def test_text_of_a_secret_becomes_data_and_is_told_to_nobody(rig: Rig):
    secret = {"metadata": {"name": "s"}, "stringData": {"key": "hunter2"}, "data": {"old": "eA=="}}
    made = (await rig.call("POST", SECRETS, secret)).json
    assert made["data"] == {"key": base64.b64encode(b"hunter2").decode(), "old": "eA=="}
    assert "stringData" not in made
    assert made["type"] == "Opaque"
    bad = await rig.call("POST", SECRETS, {"metadata": {"name": "t"}, "data": {"key": "hunter2!"}})
    assert bad.status == 422
    assert b"hunter2" not in bad.body
    broken = await rig.call("POST", SECRETS, b'{"stringData":{"key":"hunter2"')
    assert (broken.status, b"hunter2" in broken.body) == (400, False)
    wrong = await rig.call("POST", SECRETS, {"metadata": {"name": "t"}, "data": {"key": 12345678}})
    assert wrong.status == 422
    assert b"12345678" not in wrong.body


async def test_what_is_immutable_stays(rig: Rig):
    await rig.call("POST", CONFIG_MAPS, config_map("a", immutable=True))
    for patch in ({"data": {"a": "c"}}, {"immutable": False}, {"immutable": None}):
        refused = await rig.call("PATCH", f"{CONFIG_MAPS}/a", patch, content_type="application/merge-patch+json")
        assert refused.status == 422, patch
        assert "immutable" in refused.json["message"]
    labelled = {"metadata": {"labels": {"x": "y"}}}
    assert (
        await rig.call("PATCH", f"{CONFIG_MAPS}/a", labelled, content_type="application/merge-patch+json")
    ).status == 200


async def test_the_type_of_a_secret_stays(rig: Rig):
    await rig.call("POST", SECRETS, {"metadata": {"name": "s"}})
    refused = await rig.call("PATCH", f"{SECRETS}/s", {"type": "x"}, content_type="application/merge-patch+json")
    assert refused.status == 422
    tls = await rig.call("POST", SECRETS, {"metadata": {"name": "t"}, "type": "kubernetes.io/tls"})
    assert {one["field"] for one in tls.json["details"]["causes"]} == {"data[tls.crt]", "data[tls.key]"}


async def test_a_put_without_a_version_is_for_built_in_kinds(rig: Rig):
    await rig.call("POST", CONFIG_MAPS, config_map("a"))
    assert (await rig.call("PUT", f"{CONFIG_MAPS}/a", config_map("a", data={"a": "c"}))).json["data"] == {"a": "c"}
    await rig.call("POST", MODELS, model("m"))
    assert (await rig.call("PUT", f"{MODELS}/m", model("m"))).status == 422


async def test_strategic_patches_merge_lists_by_their_keys(rig: Rig):
    services = "/api/v1/namespaces/default/services"
    ports = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    await rig.call("POST", services, {"metadata": {"name": "s"}, "spec": {"ports": ports}})
    patch = {"spec": {"ports": [{"name": "c", "port": 2}]}}
    media = "application/strategic-merge-patch+json"
    found = (await rig.call("PATCH", f"{services}/s", patch, content_type=media)).json
    assert sorted((one["name"], one["port"]) for one in found["spec"]["ports"]) == [("a", 1), ("c", 2)]


async def test_a_table_has_cells_and_metadata(rig: Rig):
    await rig.call("POST", MODELS, model("m"))
    rig.clock.now_s += 312
    table = (await rig.call("GET", MODELS, accept=TABLE)).json
    assert [one["name"] for one in table["columnDefinitions"]] == ["Name", "Provider", "Model"]
    assert table["rows"][0]["cells"] == ["m", "OpenAI", "gpt-4o"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = (await rig.call("GET", f"{MODELS}/m?includeObject=Object", accept=TABLE)).json
    assert whole["rows"][0]["object"]["spec"]["model"] == "gpt-4o"
    maps = (await rig.call("GET", CONFIG_MAPS, accept=TABLE)).json
    assert maps["rows"] == []
    assert (await rig.call("GET", f"{MODELS}?includeObject=Nope", accept=TABLE)).status == 400


async def test_ages_are_written_as_kubectl_writes_them(rig: Rig):
    await rig.call("POST", CONFIG_MAPS, config_map("a", binaryData={"b": "eA=="}))
    rig.clock.now_s += 312
    assert (await rig.call("GET", CONFIG_MAPS, accept=TABLE)).json["rows"][0]["cells"] == ["a", 2, "5m12s"]


async def test_metadata_alone(rig: Rig):
    await rig.call("POST", MODELS, model("m"))
    one = (await rig.call("GET", f"{MODELS}/m", accept=PARTIAL)).json
    assert (one["kind"], sorted(one)) == ("PartialObjectMetadata", ["apiVersion", "kind", "metadata"])
    many = (await rig.call("GET", MODELS, accept=PARTIAL.replace("Metadata;", "MetadataList;"))).json
    assert (many["kind"], many["items"][0]["metadata"]["name"]) == ("PartialObjectMetadataList", "m")


async def test_large_answers_are_zipped_for_who_can_read_that(rig: Rig):
    for number in range(3):
        await rig.call("POST", CONFIG_MAPS, config_map(f"a{number}", data={"a": "x" * 60_000}))
    plain = await rig.call("GET", CONFIG_MAPS)
    zipped = await rig.call("GET", CONFIG_MAPS, accept_encoding="gzip")
    assert zipped.header("content-encoding") == "gzip"
    assert gzip.decompress(zipped.body) == plain.body
    assert (await rig.call("GET", f"{CONFIG_MAPS}/a1", accept_encoding="gzip")).header("content-encoding") is None


async def test_pretty_and_head(rig: Rig):
    await rig.call("POST", CONFIG_MAPS, config_map("a"))
    assert b'\n  "metadata": {' in (await rig.call("GET", f"{CONFIG_MAPS}/a?pretty=true")).body
    head = await rig.call("HEAD", f"{CONFIG_MAPS}/a")
    assert (head.status, head.body) == (200, b"")


async def test_events_of_both_groups_are_one_store(rig: Rig):
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "eventTime": "2025-10-09T08:53:20.000000Z",
        "action": "Started",
        "reason": "Ready",
        "note": "it began",
        "type": "Normal",
        "reportingController": "x.dev/c",
        "reportingInstance": "c-1",
        "regarding": {"kind": "Agent", "name": "a", "namespace": "default", "uid": "u"},
    }
    newer = "/apis/events.k8s.io/v1/namespaces/default/events"
    assert (await rig.call("POST", newer, event)).json["note"] == "it began"
    old = (await rig.call("GET", "/api/v1/namespaces/default/events/e")).json
    assert (old["apiVersion"], old["message"], old["involvedObject"]["name"]) == ("v1", "it began", "a")
    assert "note" not in old
    selected = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Da,involvedObject.uid%3Du"
    assert len((await rig.call("GET", selected)).json["items"]) == 1
    media = "application/merge-patch+json"
    again = (await rig.call("PATCH", f"{newer}/e", {"deprecatedCount": 2}, content_type=media)).json
    assert (again["deprecatedCount"], again["kind"]) == (2, "Event")
    assert (await rig.call("GET", "/api/v1/namespaces/default/events/e")).json["count"] == 2


async def test_one_kind_in_two_versions_is_one_store(rig: Rig):
    grant = {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "g"},
        "spec": {
            "from": [{"group": "kagent.dev", "kind": "Agent", "namespace": "a"}],
            "to": [{"group": "kagent.dev", "kind": "ModelConfig"}],
        },
    }
    group = "/apis/gateway.networking.k8s.io"
    made = await rig.call("POST", f"{group}/v1beta1/namespaces/default/referencegrants", grant)
    assert (made.status, made.json["apiVersion"]) == (201, "gateway.networking.k8s.io/v1beta1")
    found = (await rig.call("GET", f"{group}/v1/namespaces/default/referencegrants/g")).json
    assert found["apiVersion"] == "gateway.networking.k8s.io/v1"
    listed = (await rig.call("GET", f"{group}/v1beta1/referencegrants")).json["items"]
    assert [one["apiVersion"] for one in listed] == ["gateway.networking.k8s.io/v1beta1"]


@pytest.mark.parametrize(
    "path", ["/apis/heddle.dev/v1alpha1/sources", "/apis/directory.heddle.dev/v1alpha1/namespaces/default/tools"]
)
async def test_generated_kinds_are_read_only(rig: Rig, path: str):
    body = {"apiVersion": "x", "kind": "y", "metadata": {"name": "a"}}
    for method, where in (("POST", path), ("PUT", f"{path}/a"), ("DELETE", f"{path}/a"), ("DELETE", path)):
        assert (await rig.call(method, where, body if method != "DELETE" else None)).status == 405, method
    assert (await rig.call("GET", path)).status == 200


async def test_definitions_of_what_is_served_can_be_brought_along(rig: Rig):
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    found = (await rig.call("GET", f"{path}/agents.kagent.dev")).json
    assert {one["type"]: one["status"] for one in found["status"]["conditions"]}["Established"] == "True"
    found["spec"]["names"]["plural"] = "stolen"
    media = "application/apply-patch+yaml"
    applied = await rig.call("PATCH", f"{path}/agents.kagent.dev?fieldManager=helm", found, content_type=media)
    assert (applied.status, applied.json["spec"]["names"]["plural"]) == (200, "agents")
    assert "was left as it is" in str(applied.header("warning"))
    assert (await rig.call("POST", path, found)).status == 409
    found["metadata"]["name"] = "others.example.com"
    assert (await rig.call("POST", path, found)).status == 405
    assert (await rig.call("DELETE", f"{path}/agents.kagent.dev")).status == 405


async def test_who_lacks_a_right_is_told_which(rig: Rig):
    rig.access.denied.add(("list", "agents"))
    refused = (await rig.call("GET", AGENTS)).json
    assert refused["message"] == (
        'agents.kagent.dev is forbidden: User "tester" cannot list resource "agents" in API group "kagent.dev" '
        'in the namespace "default"'
    )
    assert refused["code"] == 403


async def test_an_apply_that_creates_needs_the_right_to_create(rig: Rig):
    rig.access.denied.add(("create", "modelconfigs"))
    path, media = f"{MODELS}/m?fieldManager=x", "application/apply-patch+yaml"
    assert (await rig.call("PATCH", path, model("m"), content_type=media)).status == 403
    assert (await rig.call("GET", f"{MODELS}/m")).status == 404


async def test_yaml_is_read(rig: Rig):
    text = b"apiVersion: kagent.dev/v1alpha2\nkind: ModelConfig\nmetadata: {name: m}\n"
    text += b"spec: {provider: OpenAI, model: on}\n"
    media = "application/apply-patch+yaml"
    made = await rig.call("PATCH", f"{MODELS}/m?fieldManager=x", text, content_type=media)
    assert (made.status, made.json["spec"]["model"]) == (201, "on")
    bomb = b"a: &a [x, x]\nb: &b [*a, *a]\n"
    assert (await rig.call("PATCH", f"{MODELS}/m?fieldManager=x", bomb, content_type=media)).status == 400


async def test_a_change_that_says_nothing_new_keeps_the_version(rig: Rig):
    version = (await rig.call("POST", CONFIG_MAPS, config_map("a"))).json["metadata"]["resourceVersion"]
    rig.clock.now_s += 5
    again = await rig.call("PUT", f"{CONFIG_MAPS}/a", config_map("a"))
    assert again.json["metadata"]["resourceVersion"] == version


async def test_writes_are_audited_with_what_they_made(rig: Rig):
    await rig.call("POST", CONFIG_MAPS, config_map("a"))
    asked, code, version, at = rig.audited[-1]
    assert (asked.verb, asked.name, code, version) == ("create", "a", 201, rig.store.version)
    assert at.old is None
    await rig.call("DELETE", f"{CONFIG_MAPS}/a?dryRun=All")
    asked, code, version, at = rig.audited[-1]
    assert (asked.verb, code, version, at.dry_run) == ("delete", 200, 0, True)


async def test_many_writers_of_one_object_all_win(rig: Rig):
    await rig.call("POST", CONFIG_MAPS, config_map("a"))
    media = "application/merge-patch+json"
    calls = [rig.call("PATCH", f"{CONFIG_MAPS}/a", {"data": {f"k{n}": "v"}}, content_type=media) for n in range(8)]
    assert {one.status for one in await asyncio.gather(*calls)} == {200}
    assert len((await rig.call("GET", f"{CONFIG_MAPS}/a")).json["data"]) == 9
