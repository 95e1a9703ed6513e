"""What an MCP call is about, in every form that a rule may name it by.

Owns how patterns are compared with names. A tool or prompt has the name that callers see and a stable one,
`target/name`; a tool of several versions is also meant by its name alone. A resource has the URI that callers see and
its target's own, each as it is written and as a reader may take it. An allow reads narrowly and a deny widely: where
forms disagree, the call is refused.

*Source:* RFC 3986 sections 2.1, 3.1, 3.2.2, 5.2.4 (what of a URI is the same); RFC 6570 section 1.2 (templates);
CVE-2021-31920 (a path that policy and target read differently).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from heddle.model.match import Globs, glob_match, globs_overlap
from heddle.model.mcp import McpCall

MAX_DECODINGS = 3
"""A URI that is still encoded after as many is taken for hostile."""
MAX_TEMPLATE_CHARS = 1024
"""Longer templates are compared as plain text: comparing patterns takes the product of their lengths."""

_EXPRESSION = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Subject:
    """One call, or what a list offers, as patterns see it."""

    kind: str
    server: str
    target: str
    seen: tuple[str, ...] = ()
    """Forms of the name that callers use."""
    stable: tuple[str, ...] = ()
    """Forms of the target's own."""
    unclear: bool = False
    """Nobody can say what the URI means."""
    template: bool = False
    """The forms are patterns: a list offers everything that they stand for."""

    def texts(self) -> tuple[str, ...]:
        """All forms, as a deny compares them."""
        forms = self.seen + self.stable
        return forms if self.kind != "resource" else tuple(dict.fromkeys((*forms, *map(folded, forms))))


def subject_of(call: McpCall, versioned: Iterable[tuple[str, str]] = (), *, listing: bool = False) -> Subject:
    """The subject of `call`. `versioned` holds (server, tool) of tools with versions. With `listing`, a resource's name
    may be a URI template."""
    kind, name = call.kind, call.name
    where = (kind, call.server, call.target)
    if kind == "server":
        return Subject(*where)
    if kind != "resource":
        base = name.partition("@")[0]
        named = (name, base) if base != name and (call.server, base) in versioned else (name,)
        return Subject(*where, named, (call.stable_name,) if call.stable_name else ())
    if listing and "{" in name and len(name) <= MAX_TEMPLATE_CHARS and len(call.target_name) <= MAX_TEMPLATE_CHARS:
        own = (_EXPRESSION.sub("*", call.target_name),) if call.target_name else ()
        return Subject(*where, (_EXPRESSION.sub("*", name),), own, template=True)
    seen, stable = readings(name), readings(call.target_name)
    return Subject(*where, seen, stable, unclear=not seen or bool(call.target_name and not stable))


def readings(uri: str) -> tuple[str, ...]:
    """What readers may take a URI for, itself first; empty when it is encoded too often to say."""
    if not uri:
        return ()
    forms = {uri: None}
    decoded = uri
    for _ in range(MAX_DECODINGS):
        if "%" not in decoded:
            break
        decoded = unquote(decoded, errors="surrogateescape")
        forms[decoded] = None
    if "%" in decoded and unquote(decoded, errors="surrogateescape") != decoded:
        return ()
    for form in tuple(forms):
        for spelt in (form, form.replace("\\", "/")):
            scheme, mark, host, path = _split(spelt)
            # RFC 3986 counts empty segments, file systems do not; a query is a path to some readers.
            forms[f"{scheme}{mark}{host}{_without_dots(path, empty=True)}"] = None
            forms[f"{scheme}{mark}{host}{_without_dots(path, empty=False)}"] = None
    return tuple(forms)


def folded(uri: str) -> str:
    """A URI, or a pattern for some, with its scheme and host in lower case: whoever answers may not tell them apart."""
    scheme, mark, host, rest = _split(uri)
    return f"{scheme.lower()}{mark}{host.lower()}{rest}"


def _split(uri: str) -> tuple[str, str, str, str]:
    mark = "://" if "://" in uri else ":"
    scheme, found, rest = uri.partition(mark)
    if not found:
        return "", "", "", uri
    if mark == ":":
        return scheme, mark, "", rest
    host, slash, path = rest.partition("/")
    return scheme, mark, host, slash + path


def _without_dots(path: str, *, empty: bool) -> str:
    segments = path.split("/")
    if "." not in segments and ".." not in segments:
        return path
    root = segments[:1] if path.startswith("/") else []
    kept: list[str] = []
    for segment in segments[len(root) :]:
        if segment == "..":
            del kept[-1:]
        elif segment != "." and (segment or empty):
            kept.append(segment)
    return "/".join(root + kept)


class Names:
    """Patterns for names of one kind of call."""

    __slots__ = ("_everything", "_seen", "_stable", "_wide", "patterns")

    def __init__(self, kind: str, patterns: tuple[str, ...], *, wide: bool) -> None:
        """`wide` for a deny. In an allow for tools or prompts, a pattern with a slash is a stable name and any other is
        the one that callers see: no target can offer a tool under the stable name of another."""
        if wide and kind == "resource":
            patterns = tuple(dict.fromkeys((*patterns, *map(folded, patterns))))
        self.patterns, self._wide = patterns, wide
        self._everything = "*" in patterns
        apart = not wide and kind != "resource"
        self._seen = Globs(p for p in patterns if not (apart and "/" in p))
        self._stable = Globs(p for p in patterns if not apart or "/" in p)

    def match(self, subject: Subject) -> bool:
        """Whether the patterns are about `subject`; for a template, about all (a deny) or some of it (an allow)."""
        if subject.template:
            compare = glob_match if self._wide else globs_overlap
            return any(compare(pattern, text) for pattern in self.patterns for text in subject.texts())
        if subject.unclear:
            return self._wide or self._everything
        if subject.kind == "resource":
            if self._wide:
                return any(map(self._seen.match, subject.texts()))
            return _all(self._seen, subject.seen) or _all(self._stable, subject.stable)
        return any(map(self._seen.match, subject.seen)) or any(map(self._stable.match, subject.stable))


def _all(globs: Globs, texts: tuple[str, ...]) -> bool:
    return bool(texts) and all(map(globs.match, texts))
