"""Names of kinds as people write them: `agents`, `agent`, `ag`, `Agent`, `agents.kagent.dev`, `agent/name`.

Owns their resolution against what a server says it serves, and the hint when there is no such kind.
*Source:* Kubernetes aggregated discovery, `apidiscovery.k8s.io/v2` APIGroupDiscoveryList.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click

from heddle.cli.resources_asking import Server
from heddle.model.kinds import Kind
from heddle.model.problem import did_you_mean
from heddle.wire.kube.status import ApiError

_ACCEPT = ", ".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)


class Named(NamedTuple):
    """An object that the command line names."""

    kind: Kind
    name: str


class Served:
    """What a server serves, in its own order."""

    def __init__(self, server: Server) -> None:
        """Ask it. Raises click.ClickException."""
        self.kinds: list[Kind] = []
        for root in ("/api", "/apis"):
            try:
                found = server.get(root, accept=_ACCEPT)
            except ApiError as exc:
                raise click.ClickException(f"the server does not say what it serves: {exc.message}") from exc
            if not isinstance(found, dict) or found.get("kind") != "APIGroupDiscoveryList":
                raise click.ClickException("the server is too old to say what it serves (Kubernetes 1.27 is enough)")
            for group in found.get("items", ()):
                self.kinds += _of_group(group)

    def find(self, text: str) -> list[Kind]:
        """The kinds of a list of names, comma separated; a category stands for several. Raises click.BadParameter."""
        found: list[Kind] = []
        for word in text.split(","):
            if word:
                found += self._one(word)
        if not found:
            raise click.BadParameter("name a kind, such as `agents`; `heddle get --help` shows examples")
        return list({one.resource: one for one in found}.values())

    def only(self, text: str) -> Kind:
        """The one kind of a name. Raises click.BadParameter."""
        kinds = self.find(text)
        if len(kinds) != 1:
            raise click.BadParameter(f"name one kind, not {text!r}")
        return kinds[0]

    def named(self, words: Sequence[str]) -> tuple[list[Kind], list[Named]]:
        """`KINDS`, `KIND NAME...` or `KIND/NAME...`: kinds when all of them are meant, else objects."""
        if any("/" in word for word in words):
            pairs = [word.partition("/") for word in words]
            if not all(kind and name for kind, _, name in pairs):
                raise click.BadParameter("write either `KIND NAME...` or `KIND/NAME...` for all")
            return [], [Named(self.only(kind), name) for kind, _, name in pairs]
        kinds = self.find(words[0])
        return (kinds, []) if len(words) == 1 else ([], [Named(kind, name) for kind in kinds for name in words[1:]])

    def of(self, api_version: str, kind: str) -> Kind | None:
        """The kind of a document."""
        return next((one for one in self.kinds if (one.api_version, one.kind) == (api_version, kind)), None)

    def hint(self, kind: str, api_version: str = "") -> str:
        """What may have been meant."""
        same = [one.api_version for one in self.kinds if one.kind == kind]
        if same and api_version:
            return f"did you mean apiVersion {same[0]}?"
        return did_you_mean(kind, [one.kind for one in self.kinds] + [one.plural for one in self.kinds])

    def _one(self, word: str) -> list[Kind]:
        name, _, group = word.lower().partition(".")
        within = [one for one in self.kinds if not group or group in (one.group, f"{one.version}.{one.group}")]
        for one in within:
            if name in (one.plural, one.singular, one.kind.lower(), *one.short_names):
                return [one]
        several = [one for one in self.kinds if not group and name in one.categories]
        if several:
            return several
        hint = self.hint(name) or f"known: {', '.join(sorted(one.plural for one in self.kinds)[:40])}"
        raise click.BadParameter(f"the server serves no {word!r} ({hint})")


def _of_group(group: Any) -> Iterator[Kind]:
    name = group.get("metadata", {}).get("name", "")
    seen: set[str] = set()
    # The first version is the preferred one; what it does not have is in a later one.
    for version in group.get("versions", ()):
        for one in version.get("resources", ()):
            if one["resource"] not in seen:
                seen.add(one["resource"])
                yield _kind(name, version["version"], one)


def _kind(group: str, version: str, one: Any) -> Kind:
    return Kind(
        group=group,
        version=version,
        kind=(one.get("responseKind") or {}).get("kind", ""),
        plural=one["resource"],
        singular=one.get("singularResource", ""),
        short_names=tuple(one.get("shortNames", ())),
        categories=tuple(one.get("categories", ())),
        namespaced=one.get("scope") == "Namespaced",
        schema={},
        has_status=any(sub.get("subresource") == "status" for sub in one.get("subresources", ())),
        verbs=tuple(one.get("verbs", ())),
    )


def shown(kind: Kind, name: str) -> str:
    """An object as messages name it: `agent.kagent.dev/support`."""
    singular = kind.singular or kind.kind.lower()
    return f"{singular}.{kind.group}/{name}" if kind.group else f"{singular}/{name}"
