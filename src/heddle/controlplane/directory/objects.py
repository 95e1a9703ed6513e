"""What becomes of an object of the directory, from what it is and what gateways say: no store, no clock, no order.

Owns the names, labels, texts and conditions of these objects. One gateway speaks for an object: the first that found
it, for as long as it is connected and says so. What others say counts for whether it is available; when they describe
it otherwise the object says that they do, and stays as it is. What nobody finds is kept and says why, and goes when
the object that declared it is gone and some time has passed.

Refuses: text that cannot be seen, schemas that are no objects or nested beyond reason, labels that are none.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from heddle.controlplane.directory.claims import WITHHELD
from heddle.directory.visible import visible
from heddle.drivers.documents import Key
from heddle.model.meta import resource_name
from heddle.model.resources_directory import DIRECTORY_VERSION
from heddle.wire.found import Entry, FoundModel, FoundServer, FoundTool, part_of

Object = dict[str, Any]
GROUP = "directory.heddle.dev"
TOOLS, SERVERS, MODELS = f"tools.{GROUP}", f"discoveredservers.{GROUP}", f"discoveredmodels.{GROUP}"
AGENTS = f"discoveredagents.{GROUP}"
RESOURCES = (TOOLS, SERVERS, MODELS, AGENTS)
PART = f"{GROUP}/part"
"""Annotation: the part of the configuration behind which it was found, such as `target/time`."""
MAX_DEPTH = 40
"""Of a schema."""
MAX_SLUG_CHARS = 150
MAX_DISPUTES = 5
_KINDS = {
    FoundServer: (SERVERS, "DiscoveredServer"),
    FoundTool: (TOOLS, "Tool"),
    FoundModel: (MODELS, "DiscoveredModel"),
}
_DOTTED = re.compile(r"[a-z0-9]+(?:-+[a-z0-9]+|\.[a-z0-9]+)*\Z")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")


class Verdict(NamedTuple):
    """Whether it is available, and why."""

    available: bool
    reason: str
    message: str = ""


class Around(NamedTuple):
    """What is known besides the object and what is said of it."""

    now: str
    """As objects write times."""
    declared: bool
    """The object that led to it is there."""
    present: Callable[[str], bool]
    """Whether a gateway is connected, to whichever replica."""
    server: Callable[[str], FoundServer | None]
    """What a gateway says of the server it is behind; None where it is behind none, or nothing is said."""
    whole: Callable[[str], bool]
    """Whether a gateway that is connected here has said everything it found."""
    waited: bool
    """It has been without its source for so long that it is to go."""


def resource_of(entry: Entry) -> str:
    """Where its object stands."""
    return _KINDS[type(entry)][0]


def base_of(part: str, namespace: str) -> str:
    """What people call the server or provider of a part: its name in the mesh, without the namespace it stands in."""
    return part.partition("/")[2].removesuffix(f".{namespace}")


def names_of(entry: Entry, namespace: str) -> tuple[str, str]:
    """What its object is called in a namespace, and what instead where that name is another's."""
    source = resource_name(base_of(part_of(entry), namespace))
    if isinstance(entry, FoundServer):
        return source, f"{source}-{_digest(entry.target)}"
    said = entry.model if isinstance(entry, FoundModel) else entry.name
    slug = re.sub(r"[^a-z0-9.]+", "-", said.lower()).strip("-.")[:MAX_SLUG_CHARS].rstrip("-.")
    if not _DOTTED.match(slug):
        slug = re.sub(r"[^a-z0-9]+", "-", slug)
    unique = f"{source}.{slug}-{_digest(said)}" if slug else f"{source}.{_digest(said)}"
    # Only what is read as it was written has the plain name: `get_time` has, `Get Time!` has not.
    return (f"{source}.{slug}" if slug and slug == said.replace("_", "-") else unique), unique


def judge(stored: Object | None, claims: Mapping[str, Entry], around: Around) -> Object | None:
    """The object as it should be, without names where it is new; None when it is to go, or not to come.

    The same object comes back when nothing about it is to change.
    """
    speaker = str(((stored or {}).get("status") or {}).get("source", ""))
    if stored is not None and not around.declared:
        return None if around.waited else _kept(stored, Verdict(False, "SourceGone", _gone(stored)), around)
    if claims and (stored is None or speaker not in claims) and _is_free(speaker, around):
        speaker = next(iter(claims))
    if speaker in claims and around.declared:
        return _merged(stored, speaker, claims, around)
    if stored is None:
        return None
    if claims:
        return stored
    return _kept(stored, _absence(stored, speaker, around), around)


def _is_free(speaker: str, around: Around) -> bool:
    """Whether somebody else may speak for it: its speaker has left, or does not find it any more."""
    return not speaker or not around.present(speaker) or around.whole(speaker)


def _absence(stored: Object, speaker: str, around: Around) -> Verdict | None:
    """Why nobody finds it; None when that is not known yet."""
    if not around.present(speaker):
        return Verdict(False, "GatewayAway", f"gateway {speaker} is not connected")
    if not around.whole(speaker):
        return None
    if stored["kind"] != "Tool":
        return Verdict(False, "NotOffered", f"gateway {speaker} does not find it any more")
    server = around.server(speaker)
    if server is None:
        return None
    if server.listed:
        return Verdict(False, "NotOffered", "its server does not list it any more")
    return Verdict(False, "ServerAway", server.why) if not server.well else None


def _merged(stored: Object | None, speaker: str, claims: Mapping[str, Entry], around: Around) -> Object:
    entry = claims[speaker]
    kind = _KINDS[type(entry)][1]
    before = (stored or {}).get("status") or {}
    verdict = _availability(speaker, claims, around)
    status: Object = {
        "available": verdict.available,
        "firstSeen": before.get("firstSeen", around.now),
        "lastSeen": around.now if verdict.available or before.get("available", True) else before["lastSeen"],
        "source": speaker,
    }
    if isinstance(entry, FoundTool):
        status |= {"approval": entry.approval} | ({"digest": entry.digest} if entry.digest else {})
    if verdict.message:
        status["message"] = verdict.message
    told = [_condition("Available", verdict.available, verdict.reason, verdict.message)]
    told += _of_tool(entry, claims)
    status["conditions"] = _conditions(told, before, around.now)
    metadata = dict((stored or {}).get("metadata") or {})
    labels = {**(metadata.get("labels") or {}), **_labels(entry, kind, speaker)}
    made: Object = {"apiVersion": DIRECTORY_VERSION, "kind": kind, "metadata": {**metadata, "labels": labels}}
    made |= {"spec": _spec(entry), "status": status}
    if stored is not None and "source" in (stored.get("spec") or {}):
        made["spec"] = {"source": stored["spec"]["source"], **made["spec"]} | _sourced(stored["spec"])
    return _unless_same(stored, made)


def _sourced(spec: Object) -> Object:
    """What of a spec is named after the object that declares it."""
    return {name: spec[name] for name in ("server", "provider") if name in spec}


def _kept(stored: Object, verdict: Verdict | None, around: Around) -> Object:
    if verdict is None:
        return stored
    before = stored["status"]
    status = {**before, "available": False, "message": verdict.message}
    if before.get("available"):
        status["lastSeen"] = around.now
    told = [_condition("Available", False, verdict.reason, verdict.message)]
    told += [one for one in before.get("conditions", ()) if one["type"] != "Available"]
    status["conditions"] = _conditions(told, before, around.now)
    return _unless_same(stored, {**stored, "status": status})


def _unless_same(stored: Object | None, made: Object) -> Object:
    """The object as it was, where only the moment that it was seen differs: that alone is written by nobody."""
    if stored is None:
        return made
    seen = {**made["status"], "lastSeen": (stored.get("status") or {}).get("lastSeen")}
    return stored if {**made, "status": seen} == stored else made


def _availability(speaker: str, claims: Mapping[str, Entry], around: Around) -> Verdict:
    verdicts = {gateway: _well(gateway, entry, around) for gateway, entry in claims.items()}
    return next((one for one in verdicts.values() if one.available), verdicts[speaker])


def _well(gateway: str, entry: Entry, around: Around) -> Verdict:
    """How one gateway finds it."""
    server = entry if isinstance(entry, FoundServer) else around.server(gateway)
    if server is None:
        return Verdict(True, "Configured" if isinstance(entry, FoundModel) else "Found")
    if not server.well:
        return Verdict(False, "ServerAway", server.why or "its server does not answer")
    return Verdict(True, "Found", server.why if isinstance(entry, FoundServer) else "")


def _of_tool(entry: Entry, claims: Mapping[str, Entry]) -> list[Object]:
    if not isinstance(entry, FoundTool):
        return []
    found = []
    if entry.approval == "approved":
        found.append(_condition("Approved", True, "Approved", ""))
    elif entry.approval in WITHHELD:
        message = f"callers do not see it: `heddle tools diff {entry.target} {entry.name}` shows why"
        found.append(_condition("Approved", False, entry.approval.capitalize(), message))
    others = [gateway for gateway, one in claims.items() if isinstance(one, FoundTool) and one.digest != entry.digest]
    if others:
        named = ", ".join(others[:MAX_DISPUTES]) + (" and others" if len(others) > MAX_DISPUTES else "")
        found.append(_condition("Agreed", False, "OtherDefinition", f"described otherwise by {named}"))
    return found


def _condition(type_: str, is_so: bool, reason: str, message: str) -> Object:
    return {"type": type_, "status": "True" if is_so else "False", "reason": reason, "message": message[:1024]}


def _conditions(told: list[Object], before: Object, now: str) -> list[Object]:
    """With the time since when each is so."""
    since = {(one["type"], one["status"]): one["lastTransitionTime"] for one in before.get("conditions", ())}
    return [{**one, "lastTransitionTime": since.get((one["type"], one["status"]), now)} for one in told]


def _labels(entry: Entry, kind: str, speaker: str) -> dict[str, str]:
    named = {"kind": kind.lower().removeprefix("discovered"), "gateway": speaker}
    named |= {"provider": entry.provider} if isinstance(entry, FoundModel) else {"target": entry.target}
    if isinstance(entry, FoundServer) and entry.transport:
        named["transport"] = entry.transport
    if isinstance(entry, FoundTool):
        named["approval"] = entry.approval
    return {f"{GROUP}/{name}": label(value) for name, value in named.items()}


def label(text: str) -> str:
    """A text as the value of a label; itself where it can be."""
    if _LABEL.match(text):
        return text
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:50].strip("._-")
    return f"{slug}-{_digest(text)}" if slug else _digest(text)


def _spec(entry: Entry) -> Object:
    if isinstance(entry, FoundModel):
        return {"model": entry.model}
    if isinstance(entry, FoundServer):
        spec: Object = {"tools": entry.tools, "resources": entry.resources, "prompts": entry.prompts}
        texts = {"title": entry.title, "version": entry.version, "protocolVersion": entry.protocol_version}
        texts |= {"transport": entry.transport, "instructions": entry.instructions}
        return spec | {name: text for name, text in texts.items() if text}
    texts = {"name": entry.name, "title": entry.title, "description": entry.description}
    spec = {name: text for name, text in texts.items() if text}
    parts = {"inputSchema": entry.input_schema, "outputSchema": entry.output_schema, "annotations": entry.annotations}
    return spec | {name: made for name, text in parts.items() if (made := _schema(text))}


def _schema(text: str) -> Object:
    """An object out of JSON, all of whose texts can be seen; empty when it is none."""
    try:
        value = msgspec.json.decode(text) if text else None
    except (msgspec.DecodeError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    try:
        made: Object = _visible(value, MAX_DEPTH)
    except ValueError:
        return {}
    return made


def _visible(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return visible(value, keep="\n")
    if isinstance(value, dict | list) and not depth:
        raise ValueError("nested beyond reason")
    if isinstance(value, list):
        return [_visible(one, depth - 1) for one in value]
    if isinstance(value, dict):
        return {visible(name): _visible(one, depth - 1) for name, one in value.items()}
    return value


def _gone(stored: Object) -> str:
    source = (stored.get("spec") or {}).get("source") or {}
    return f"{source.get('kind', '')} {source.get('namespace', '')}/{source.get('name', '')} is gone"


def named(made: Object, key: Key, part: str, source: Object, uid: str) -> Object:
    """A new object with its name, where it is from, and what a server keeps of it."""
    metadata: Object = {"name": key.name, "namespace": key.namespace, "uid": uid, "annotations": {PART: part}}
    metadata |= {"creationTimestamp": made["status"]["firstSeen"], "labels": made["metadata"]["labels"]}
    base = base_of(part, key.namespace)
    after = {"Tool": {"server": base}, "DiscoveredModel": {"provider": base}}.get(made["kind"], {})
    metadata["labels"] |= {f"{GROUP}/server": label(base)} if made["kind"] != "DiscoveredModel" else {}
    return {**made, "metadata": metadata, "spec": {"source": source, **after, **made["spec"]}}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
