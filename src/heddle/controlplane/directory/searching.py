"""Finding what the mesh has by what it is for: one index over everything that is declared or was found.

Owns what of each kind is indexed, the form of a question and of its answer. Who asks is shown what they may list, and
nothing else counts for anything, scores included. The index follows the store change by change.

| | |
| --- | --- |
| `GET /apis/directory.heddle.dev/v1alpha1/search?q=refund+an+order` | best first, twenty |
| `&namespace=shop` | only there |
| `&kind=tools,agents` | only of these kinds |
| `&limit=50` | 1 to 100 |
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from heddle.controlplane.access.caller import Attributes, Caller, Decision
from heddle.controlplane.api.parts import Page
from heddle.controlplane.compiling.objects import mapping, text
from heddle.controlplane.directory.placing import Store
from heddle.directory.search import Fields
from heddle.directory.shelves import Shelf, find
from heddle.directory.visible import clipped
from heddle.drivers.documents import Key
from heddle.model.resources_directory import DIRECTORY_VERSION
from heddle.wire.kube.status import bad_request

PATH = "apis/directory.heddle.dev/v1alpha1/search"
MAX_QUERY_CHARS = 500
MAX_FOUND = 100
USUAL_FOUND = 20
MAX_PARAMETERS = 100
RESOURCES = (
    *("tools.directory.heddle.dev", "agents.kagent.dev", "models.heddle.dev", "discoveredservers.directory.heddle.dev"),
    *("discoveredmodels.directory.heddle.dev", "discoveredagents.directory.heddle.dev", "virtualservers.heddle.dev"),
    *("modelconfigs.kagent.dev", "remotemcpservers.kagent.dev", "mcpservers.kagent.dev"),
)
"""What is searched. No kind is among them whose objects hold secrets."""
ALSO = {
    "models": ("models.heddle.dev", "discoveredmodels.directory.heddle.dev", "modelconfigs.kagent.dev"),
    "agents": ("agents.kagent.dev", "discoveredagents.directory.heddle.dev"),
    "servers": ("discoveredservers.directory.heddle.dev", "virtualservers.heddle.dev",
                "remotemcpservers.kagent.dev", "mcpservers.kagent.dev"),
}  # fmt: skip
"""Words that people mean several kinds by."""
_OPTIONS = ("q", "namespace", "kind", "limit")
_PAST = 1_000
"""Characters of a description that are shown."""


class Question(NamedTuple):
    """What is asked."""

    text: str
    namespace: str = ""
    resources: tuple[str, ...] = RESOURCES
    limit: int = USUAL_FOUND


class Searching:
    """The index of one control plane."""

    def __init__(self, store: Store) -> None:
        """The store must have been started."""
        self._store = store
        self._shelves: dict[tuple[str, str], Shelf[Key]] = {}
        """By resource and namespace: what a role can allow to be listed."""
        for resource in RESOURCES:
            store.follow(resource, self._follow)
        self._reload()

    def answer(
        self, question: Question, caller: Caller, authorize: Callable[[Caller, Attributes], Decision]
    ) -> dict[str, Any]:
        """What there is for this caller, the best first."""
        shelves = list(self._open(question, caller, authorize))
        best = find(shelves, question.text, question.limit)
        items = [one for key, score in best if (one := self._shown(key, score)) is not None]
        return {"apiVersion": DIRECTORY_VERSION, "kind": "SearchResult", "query": question.text, "items": items}

    def _open(
        self, question: Question, caller: Caller, authorize: Callable[[Caller, Attributes], Decision]
    ) -> Iterable[Shelf[Key]]:
        """The shelves that the caller may look at."""
        asked = {one: Attributes("list", one.partition(".")[2], one.partition(".")[0]) for one in question.resources}
        everywhere = {one for one, attributes in asked.items() if authorize(caller, attributes).allowed}
        for (resource, namespace), shelf in self._shelves.items():
            if resource not in asked or question.namespace not in ("", namespace):
                continue
            here = asked[resource]._replace(namespace=namespace)
            if resource in everywhere or authorize(caller, here).allowed:
                yield shelf

    def _shown(self, key: Key, score: float) -> dict[str, Any] | None:
        stored = self._store.get(key)
        if stored is None:
            return None
        value = stored.object
        spec, status = mapping(value.get("spec")), mapping(value.get("status"))
        shown = {"score": round(score, 3), "resource": key.resource, "kind": text(value.get("kind"))}
        shown |= {"namespace": key.namespace, "name": key.name}
        fields = _fields(key, value)
        shown |= {"title": clipped(fields.title)} if fields.title else {}
        shown |= {"description": clipped(fields.description, _PAST)} if fields.description else {}
        shown |= {name: spec[name] for name in ("server", "provider") if isinstance(spec.get(name), str)}
        shown |= {"source": spec["source"]} if isinstance(spec.get("source"), dict) else {}
        if isinstance(status.get("available"), bool):
            shown["available"] = status["available"]
        return shown

    def _reload(self) -> None:
        self._shelves.clear()
        for resource in RESOURCES:
            for stored in self._store.list(resource):
                self._put(stored.key, stored.object)

    def _follow(self, event: Any) -> None:
        if event is None:
            self._reload()
        elif event.kind == "DELETED":
            self._remove(event.stored.key)
        else:
            self._put(event.stored.key, event.stored.object)

    def _put(self, key: Key, value: dict[str, Any]) -> None:
        self._shelves.setdefault((key.resource, key.namespace), Shelf()).put(key, _fields(key, value))

    def _remove(self, key: Key) -> None:
        place = (key.resource, key.namespace)
        shelf = self._shelves.get(place)
        if shelf is not None:
            shelf.remove(key)
            if not len(shelf):
                del self._shelves[place]


def page(searching: Searching, authorize: Callable[[Caller, Attributes], Decision]) -> Page:
    """What the API answers at `PATH`."""
    return lambda caller, query: searching.answer(asked(query), caller, authorize)


def asked(query: Mapping[str, Sequence[str]]) -> Question:
    """A question out of the query of a request. Raises ApiError 400."""
    unknown = sorted(set(query) - set(_OPTIONS))
    if unknown:
        raise bad_request(f"unknown option {clipped(unknown[0])!r}: search knows {', '.join(_OPTIONS)}")
    repeated = next((name for name, values in query.items() if len(values) > 1), "")
    if repeated:
        raise bad_request(f"the option {repeated!r} is given more than once")
    given = {name: values[0] for name, values in query.items()}
    said = given.get("q", "").strip()
    if not said or len(said) > MAX_QUERY_CHARS:
        raise bad_request(f"q: say what to look for, in 1 to {MAX_QUERY_CHARS} characters")
    limit = given.get("limit", str(USUAL_FOUND))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 0 < int(limit) <= MAX_FOUND):
        raise bad_request(f"limit: expected 1 to {MAX_FOUND}, got {clipped(limit, 20)!r}")
    return Question(said, given.get("namespace", ""), _resources(given.get("kind", "")), int(limit))


def _resources(kinds: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for word in filter(None, kinds.lower().split(",")):
        named = ALSO.get(word) or tuple(one for one in RESOURCES if word in (one, one.partition(".")[0]))
        if not named:
            known = ", ".join(dict.fromkeys([*ALSO, *(one.partition(".")[0] for one in RESOURCES)]))
            raise bad_request(f"kind: {clipped(word, 40)!r} is not searched; these are: {known}")
        found |= dict.fromkeys(named)
    return tuple(found) or RESOURCES


def _fields(key: Key, value: dict[str, Any]) -> Fields:
    """What of an object is looked through: its names, texts, labels, and parameters of tools."""
    meta, spec = mapping(value.get("metadata")), mapping(value.get("spec"))
    called = text(spec.get("name")) or text(spec.get("model")) or key.name
    behind = [text(spec.get(name)) for name in ("server", "provider")]
    texts = [text(spec.get(name)) for name in ("description", "instructions")]
    labels = [f"{name.rpartition('/')[2]} {text(one)}" for name, one in mapping(meta.get("labels")).items()]
    properties = list(mapping(mapping(spec.get("inputSchema")).get("properties")))
    skills = [one for one in spec.get("skills") or () if isinstance(one, str)]
    return Fields(
        name=called,
        title=text(spec.get("title")),
        description="\n".join(one for one in texts if one),
        parameters=(*behind, *properties[:MAX_PARAMETERS], *skills[:MAX_PARAMETERS], *labels[:MAX_PARAMETERS]),
    )
