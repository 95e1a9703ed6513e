"""What a virtual server offers: the lists of its targets under the names that callers see.

Owns names and the way back from them: which target is meant by a tool, a prompt, a URI. Built anew, in one go, when a
list changes; never changed afterwards. Two things under one name are never both offered: the first target in order
has it.
*Source:* Model Context Protocol, "Tools", "Resources", "Prompts"; issue texts of gateways on collisions and on URIs.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from heddle.backends.mcp.catalogue import Catalogue, Offer
from heddle.backends.mcp.unconnected import is_unconnected
from heddle.backends.mcp.upstream import Upstream
from heddle.dataplane.mcp.rewriting import app_in
from heddle.dataplane.mcp.shaping import Shaping, shape
from heddle.identity.subjects import readings
from heddle.model.match import Globs, glob_match
from heddle.model.snapshot_mcp import McpServerSpec, ServerTargetSpec, ToolSpec, VersionedToolSpec, VersionSpec
from heddle.wire.mcp import params
from heddle.wire.mcp.names import exposed, exposed_uri, split_uri
from heddle.wire.mcp.params import Marked, marked

_log = logging.getLogger("heddle.mcp")

MARK = params.MARK.encode()
_URI_VARIABLE = re.compile(r"\{[^{}]*\}")


class Part(NamedTuple):
    """A target's part in the server, and what is known of it."""

    spec: ServerTargetSpec
    upstream: Upstream
    catalogue: Catalogue | None
    fallbacks: tuple[Upstream, ...] = ()

    @property
    def every(self) -> tuple[Upstream, ...]:
        """The target and those that stand in for it."""
        return self.upstream, *self.fallbacks


class Entry(NamedTuple):
    """One thing that callers see."""

    kind: str
    name: str
    """As callers see it."""
    upstream: Upstream
    key: str
    """What the target calls it."""
    raw: bytes
    """Its definition as callers see it."""
    shaping: Shaping | None = None
    """What becomes of its arguments; None changes nothing."""
    fallbacks: tuple[Upstream, ...] = ()
    spec: ToolSpec | None = None
    prefix: str = ""
    marks: Marked = MappingProxyType({})
    """Arguments that are repeated as HTTP fields."""


class Surface:
    """What one kind of caller sees of a virtual server."""

    def __init__(self, spec: McpServerSpec, parts: Sequence[Part]) -> None:
        self.spec = spec
        self.parts = tuple(parts)
        self.generation = tuple(part.upstream.generation for part in parts)
        self.entries: dict[str, dict[str, Entry]] = {"tool": {}, "prompt": {}, "resource": {}, "template": {}}
        self._versions: dict[str, tuple[VersionedToolSpec, dict[str, Entry]]] = {}
        self.prefixes = {part.spec.target: prefix_of(spec, part.spec) for part in self.parts}
        self._by_prefix = {prefix: part for part in self.parts if (prefix := self.prefixes[part.spec.target])}
        for part in self.parts:
            if part.catalogue is not None:
                self._add(part, part.catalogue)
        for versioned in spec.versions:
            self._add_versions(versioned)

    @property
    def complete(self) -> bool:
        """Every target has said what it offers."""
        return all(part.catalogue is not None for part in self.parts)

    def shows(self, catalogues: Sequence[Catalogue | None]) -> bool:
        """Whether it was made of these."""
        return all(part.catalogue is other for part, other in zip(self.parts, catalogues, strict=True))

    def _add(self, part: Part, catalogue: Catalogue) -> None:
        spec, prefix = part.spec, self.prefixes[part.spec.target]
        hidden = Globs(spec.hide)
        for offer in catalogue.of("tool").values():
            tool = _chosen(spec.tools, offer.key)
            listed = spec.tools is None or tool is not None or is_unconnected(catalogue)
            if hidden.match(offer.key) or not listed:
                continue
            name = exposed((tool.alias if tool is not None else "") or offer.key, prefix)
            raw, shaping = shape(offer, name, tool)
            raw = app_in(raw, prefix)
            marks = marked(offer.value.get("inputSchema")) if MARK in offer.raw else {}
            self._put(Entry("tool", name, part.upstream, offer.key, raw, shaping, part.fallbacks, tool, prefix, marks))
        for offer in _allowed(catalogue, "prompt", spec.prompts):
            name = exposed(offer.key, prefix)
            self._put(Entry("prompt", name, part.upstream, offer.key, _renamed(offer, "name", name), None,
                            part.fallbacks, None, prefix))  # fmt: skip
        for kind, member in (("resource", "uri"), ("template", "uriTemplate")):
            for offer in _allowed(catalogue, kind, spec.resources):
                uri = exposed_uri(offer.key, prefix)
                self._put(Entry(kind, uri, part.upstream, offer.key, _renamed(offer, member, uri), None,
                                part.fallbacks, None, prefix))  # fmt: skip

    def _put(self, entry: Entry) -> None:
        entries = self.entries[entry.kind]
        first = entries.get(entry.name)
        if first is not None:
            _log.warning(
                "server %s: %s %.80r of %s is not offered: %s has that name",
                *(self.spec.name, entry.kind, entry.name, entry.upstream.name, first.upstream.name),
            )
            return
        entries[entry.name] = entry

    def _add_versions(self, versioned: VersionedToolSpec) -> None:
        """A tool of several versions: each is found by `name@version`, one of them lends the list its definition."""
        found: dict[str, Entry] = {}
        for version in versioned.versions:
            part = next((part for part in self.parts if part.spec.target == version.target), None)
            offer = part.catalogue.of("tool").get(version.tool) if part is not None and part.catalogue else None
            if part is None or offer is None:
                continue
            tool = _chosen(part.spec.tools, offer.key)
            raw, shaping = shape(offer, versioned.name, tool)
            marks = marked(offer.value.get("inputSchema")) if MARK in offer.raw else {}
            found[version.version] = Entry(
                "tool",
                versioned.name,
                part.upstream,
                offer.key,
                raw,
                shaping,
                part.fallbacks,
                tool,
                self.prefixes[version.target],
                marks,
            )
        if found:
            self._versions[versioned.name] = versioned, found
            shown = max((v for v in versioned.versions if v.version in found), key=lambda v: v.weight)
            self.entries["tool"][versioned.name] = found[shown.version]

    def tool(self, name: str, who: str) -> Entry | None:
        """The tool that a name means to a caller; `who` tells callers apart, so that each stays with one version."""
        versions = self._versions
        if versions:
            plain, at, version = name.partition("@")
            known = versions.get(plain)
            if known is not None:
                return known[1].get(version) if at else _drawn(*known, who)
        return self.entries["tool"].get(name)

    def resource(self, uri: str) -> Entry | None:
        """Where a URI leads: to the one that lists it, to a template that it fits, or to the target of its prefix."""
        entry = self.entries["resource"].get(uri)
        if entry is not None:
            return entry
        prefix, original = split_uri(uri)
        part = self._by_prefix.get(prefix)
        if part is not None:
            return self._unlisted(part, uri, original, prefix)
        for template in self.entries["template"].values():
            if not template.prefix and all(_fits(template.key, form) for form in readings(uri) or ("",)):
                return template._replace(kind="resource", name=uri, key=uri)
        bare = [part for part in self.parts if not self.prefixes[part.spec.target]]
        reading = [part for part in bare if part.catalogue and "resources" in part.catalogue.described.capabilities]
        # One server that may know it is asked; of several, none can be told to be meant.
        return self._unlisted(reading[0], uri, uri, "") if len(reading) == 1 else None

    def _unlisted(self, part: Part, uri: str, original: str, prefix: str) -> Entry | None:
        allowed = part.spec.resources
        if allowed is not None:
            # A server may read what it is asked for in more than one way: all of them must be allowed.
            forms, globs = readings(original), Globs(allowed)
            if not forms or not all(globs.match(form) for form in forms):
                return None
        return Entry("resource", uri, part.upstream, original, b"", None, part.fallbacks, None, prefix)

    def capabilities(self) -> dict[str, Any]:
        """The union of what the targets can do."""
        union: dict[str, Any] = {}
        for part in self.parts:
            if part.catalogue is None:
                continue
            for name, said in part.catalogue.described.capabilities.items():
                if name == "experimental" or not isinstance(said, dict):
                    continue
                known = union.setdefault(name, {})
                known.update({key: value for key, value in said.items() if value or key not in known})
        return union

    def instructions(self) -> str:
        """Those of the targets, each under its name where there are several."""
        if self.spec.instructions is not None:
            return self.spec.instructions
        said = [(part.spec.target, part.catalogue.described.instructions) for part in self.parts if part.catalogue]
        said = [(name, text) for name, text in said if text]
        if len(self.parts) == 1:
            return said[0][1] if said else ""
        return "\n\n".join(f"# {name}\n\n{text}" for name, text in said)


def prefix_of(server: McpServerSpec, target: ServerTargetSpec) -> str:
    """What stands before the names of a target."""
    if target.prefix is not None:
        return target.prefix
    several = server.prefix == "always" or (server.prefix == "auto" and len(server.targets) > 1)
    return target.target if several else ""


def _chosen(tools: tuple[ToolSpec, ...] | None, name: str) -> ToolSpec | None:
    """What is said of a tool: under its own name first, then by the first pattern that fits."""
    patterned = None
    for tool in tools or ():
        if tool.name == name:
            return tool
        if patterned is None and glob_match(tool.name, name):
            patterned = tool
    return patterned


def _allowed(catalogue: Catalogue, kind: str, patterns: tuple[str, ...] | None) -> list[Offer]:
    offers: Mapping[str, Offer] = catalogue.of(kind)
    if patterns is None:
        return list(offers.values())
    globs = Globs(patterns)
    return [offer for offer in offers.values() if globs.match(offer.key)]


_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _renamed(offer: Offer, member: str, name: str) -> bytes:
    """A definition under another name, everything else as it was written."""
    if name == offer.key:
        return offer.raw
    members = _decode_members(offer.raw)
    members[member] = msgspec.Raw(msgspec.json.encode(name))
    return msgspec.json.encode(members)


def _drawn(versioned: VersionedToolSpec, found: dict[str, Entry], who: str) -> Entry | None:
    """The version of a caller: shares by weight, and the same one each time.

    While its server is not well, or was never there, the others share its callers, and keep their own.
    """
    weighted = [version for version in versioned.versions if version.weight]
    own = found.get(_share(weighted, versioned.name, who))
    if own is not None and _well(own):
        return own
    there = [version for version in weighted if version.version in found]
    well = [version for version in there if _well(found[version.version])]
    if own is not None and not well:
        return own
    return found.get(_share(well or there, versioned.name, who))


def _share(weighted: Sequence[VersionSpec], tool: str, who: str) -> str:
    """The version whose share a caller falls into; empty when there is none."""
    total = sum(version.weight for version in weighted)
    point = int.from_bytes(sha256(f"{tool}\0{who}".encode()).digest()[:8], "big") % total if total else 0
    for version in weighted:
        point -= version.weight
        if point < 0:
            return version.version
    return ""


def _well(entry: Entry) -> bool:
    """Whether somebody is there to serve it."""
    return entry.upstream.healthy or any(upstream.healthy for upstream in entry.fallbacks)


def _fits(template: str, uri: str) -> bool:
    """Whether a URI may come of a template: its fixed parts occur in their order, from the beginning to the end."""
    parts = _URI_VARIABLE.split(template)
    if len(parts) == 1:
        return template == uri
    return glob_match("*".join(part.replace("*", "") for part in parts), uri)
