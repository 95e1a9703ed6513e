"""Server-side applies as a kube-apiserver 1.36 answered them, replayed against the pure functions alone.

What is answered otherwise on purpose stands in `differences-apply.json`, each with its reason. Around the functions
stands as little of a server as the recordings need.
"""

import copy
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from heddle.wire.kube.apply import Edit, apply, track
from heddle.wire.kube.patch import merge_patch
from heddle.wire.kube.schema import Structure, default, drop_empty_metadata, prune, validate
from heddle.wire.kube.status import ApiError, Cause, bad_request, conflict, invalid, not_found
from heddle.wire.kube.values import same

HERE = Path(__file__).parent
GROUP, VERSION = "kagent.dev", "kagent.dev/v1alpha2"
RANDOM = sorted(path.name for path in HERE.glob("apply-random-*.jsonl"))


def structures():
    documents = yaml.safe_load_all((HERE / "crds.yaml").read_text())
    return {
        doc["spec"]["names"]["plural"]: Structure(doc["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
        for doc in documents
    }


STRUCTURES = structures()


def steps(name):
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


class Objects:
    """The objects of one namespace, and what a write makes of them."""

    def __init__(self):
        self.held = {}
        self.clock = 0
        self.version = 100

    def answer(self, step):
        url = urlsplit(step["path"])
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        plural, name, subresource = [*url.path.split("/")[6:], ""][:3]
        self.clock += 1
        live = self.held.get(name)
        try:
            if step["method"] == "DELETE":
                return self.delete(plural, name)
            edit = self.edit(step, query, subresource)
            write = self.applied if edit.operation == "Apply" else self.merged
            return self.store(write(live, step["body"], edit, (plural, name, query)), live, (plural, name, query))
        except ApiError as error:
            return error.code, error.status()

    def edit(self, step, query, subresource):
        operation = "Apply" if "apply" in step["headers"]["Content-Type"] else "Update"
        if operation == "Apply" and "fieldManager" not in query:
            cause = Cause("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
            raise invalid("meta.k8s.io", "PatchOptions", "", [cause])
        at = f"2026-11-21T{self.clock // 3600:02}:{self.clock // 60 % 60:02}:{self.clock % 60:02}Z"
        return Edit(query.get("fieldManager", "probe"), operation, VERSION, subresource, at)

    def delete(self, plural, name):
        if name not in self.held:
            raise not_found(GROUP, plural, name)
        del self.held[name]
        details = {"name": name, "group": GROUP, "kind": plural}
        return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def applied(self, live, config, edit, about):
        plural, name, query = about
        metadata = config.get("metadata", {})
        if config.get("kind") and metadata.get("name", name) != name:
            raise bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        if live is None and edit.subresource:
            raise not_found(GROUP, plural, name)
        if (
            live is not None
            and metadata.get("resourceVersion", live["metadata"]["resourceVersion"])
            != (live["metadata"]["resourceVersion"])
        ):
            raise conflict(GROUP, plural, name)
        return apply(live, config, edit, STRUCTURES[plural], force=query.get("force") == "true")

    def merged(self, live, patch, edit, about):
        plural, name, _ = about
        if live is None:
            raise not_found(GROUP, plural, name)
        asked = merge_patch(live, patch)
        kept, taken = (asked, live) if not edit.subresource else (live, asked)
        new = copy.deepcopy({field: value for field, value in kept.items() if field != "status"})
        if "status" in taken:
            new["status"] = copy.deepcopy(taken["status"])
        structure = STRUCTURES[plural]
        prune(new, structure)
        default(new, structure)
        entries = track(live, new, edit, structure)
        new["metadata"]["managedFields"] = entries
        drop_empty_metadata(new)
        return new

    def store(self, new, live, about):
        plural, name, query = about
        if new is live:
            return 200, live
        causes = validate(new, STRUCTURES[plural])
        if causes:
            raise invalid(GROUP, new["kind"], name, causes)
        new["metadata"].update(name=name, namespace="default", generation=1)
        if live is not None:
            spec = [{k: v for k, v in one.items() if k not in {"metadata", "status"}} for one in (new, live)]
            new["metadata"]["generation"] = live["metadata"]["generation"] + (not same(*spec))
        if "dryRun" not in query:
            self.version += 1
            new["metadata"]["resourceVersion"] = str(self.version)
            self.held[name] = new
        return (200 if live else 201), new


def masked(answer):
    """An answer without what differs from run to run, and without orders that do not matter."""
    answer = json.loads(json.dumps(answer))
    if answer.get("kind") == "Status":
        details = answer.get("details", {})
        details.pop("uid", None)
        details.get("causes", []).sort(key=json.dumps)
        return answer
    metadata = answer["metadata"]
    for name in ("uid", "resourceVersion", "creationTimestamp"):
        metadata.pop(name, None)
    for entry in metadata.get("managedFields", []):
        entry.pop("time", None)
    metadata.get("managedFields", []).sort(
        key=lambda one: (one["manager"], one["operation"], one.get("subresource") or "")
    )
    return answer


def expected(step, differences):
    code, answer = step["status"], masked(step["answer"])
    difference = differences.get(step["step"])
    if difference is not None:
        code = answer["code"] = difference["code"]
        answer["reason"] = difference["reason"]
    return code, answer


def test_every_recorded_apply_is_answered_as_recorded():
    differences = json.loads((HERE / "differences-apply.json").read_text())
    objects = Objects()
    recorded = steps("server-side-apply.jsonl")
    assert set(differences) <= {step["step"] for step in recorded}
    assert all(difference["why"] for difference in differences.values())
    for step in recorded:
        code, answer = objects.answer(step)
        assert (code, masked(answer)) == expected(step, differences), step["step"]


def test_a_difference_is_one():
    """What is listed as different would fail without its entry."""
    differences = json.loads((HERE / "differences-apply.json").read_text())
    objects = Objects()
    for step in steps("server-side-apply.jsonl"):
        code, answer = objects.answer(step)
        as_recorded = (code, masked(answer)) == expected(step, {})
        assert as_recorded == (step["step"] not in differences), step["step"]


@pytest.mark.parametrize("name", RANDOM)
def test_random_writes_by_six_writers(name, capsys):
    objects = Objects()
    recorded = steps(name)
    different = [step["step"] for step in recorded if differs(objects, step)]
    with capsys.disabled():
        print(f" {name}: {len(recorded) - len(different)} of {len(recorded)} as recorded", end="")
    assert len(recorded) == 300
    assert not different


def differs(objects, step):
    code, answer = objects.answer(step)
    return (code, masked(answer)) != expected(step, {})


def test_all_of_the_recordings_are_there():
    assert len(RANDOM) == 8
