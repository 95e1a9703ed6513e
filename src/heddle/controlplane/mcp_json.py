"""The `mcpServers` JSON that editors and desktop clients keep, as a configuration in the short form.

Owns the dialects of that file: `mcpServers` or `servers`, `type` or what the fields tell, `${VAR}`, `${env:VAR}` and
`${VAR:-default}`, comments and commas at the end. Every server becomes a target; a listener and a virtual server are
added where the rest of the configuration has none. Names that clients would not take are changed, and it is said.
*Source:* the settings of Claude Desktop and Claude Code (`mcpServers`), Cursor (`${env:VAR}`), VS Code (`servers`).
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from heddle.controlplane.read import Document, read_text
from heddle.controlplane.yamldoc import read_documents
from heddle.model.formats import complaint
from heddle.model.problem import Place, Report, Source, child
from heddle.wire.errors import ProtocolError
from heddle.wire.json import parse_strict

PORT = 8081
"""Where tools are served when no listener of protocol MCP is configured."""
_TEXT_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TEXT_OR_COMMA = re.compile(r'("(?:\\.|[^"\\\n])*")|,(?=\s*[}\]])')
_REFERENCE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_EDITORS_OWN = re.compile(r"\$\{([A-Za-z]{1,32}):[^}]*\}")
_TYPES = {
    "stdio": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamable_http": "http",
    "streamableHttp": "http",
    "sse": "sse",
}
_URLS = ("url", "serverUrl", "httpUrl")
_KNOWN = frozenset({"type", "transport", "command", "args", "env", "cwd", "headers", "disabled", "name", *_URLS})
_PREFIXES = ("file:", "secret:", "configmap:", "text:")


class Around(NamedTuple):
    """What the rest of the configuration has."""

    listeners: frozenset[str]
    """Names of all of them."""
    served: bool
    """One of them is of protocol MCP."""
    targets: frozenset[str]
    servers: frozenset[str]


def read_mcp_json(path: Path, environ: Mapping[str, str], around: Around, report: Report) -> Document | None:
    """The file as a document of the short form; None, after reporting why, when it is none at all."""
    text = read_text(path, report)
    if text is None:
        return None
    plain = _plain(text)
    source = Source(str(path), {"": 1}, folder=str(path.parent))
    try:
        value = parse_strict(plain.encode())
    except ProtocolError as exc:
        report.error(Place(source, ""), exc.detail.replace("The request body", "The file").rstrip("."))
        return None
    section, servers = _servers(value)
    if servers is None:
        report.error(Place(source, ""), "expected a mapping with `mcpServers`, or `servers`, from names to servers")
        return None
    lines = _lines(plain)
    reading = _Reading(environ, around.targets, report)
    targets: list[dict[str, Any]] = []
    for name, entry in servers.items():
        at = f"mcp.targets[{len(targets)}]"
        source.lines[at] = lines.get(child(section, name), 1)
        target = reading.target(name, entry, Place(source, at))
        if target is not None:
            targets.append(target)
    return Document(_config(targets, around), source, path.stem)


def _config(targets: list[dict[str, Any]], around: Around) -> dict[str, Any]:
    """The short form: a server of their own where there are others, so that these keep offering what they offer."""
    mcp: dict[str, Any] = {"targets": targets}
    if around.servers:
        name = _free("imported" if "default" in around.servers else "default", around.servers)
        mcp["servers"] = [{"name": name, "targets": [target["name"] for target in targets]}]
    config: dict[str, Any] = {"mcp": mcp}
    if not around.served:
        name = _free("mcp", around.listeners)
        config["listeners"] = [{"name": name, "address": "127.0.0.1", "port": PORT, "protocol": "MCP"}]
    return config


def _plain(text: str) -> str:
    """JSON without what editors allow in it, every line where it was."""
    bare = _TEXT_OR_COMMENT.sub(lambda found: found[1] or "\n" * found[0].count("\n"), text)
    return _TEXT_OR_COMMA.sub(lambda found: found[1] or "", bare)


def _lines(text: str) -> dict[str, int]:
    """Line of each path, as far as it can be told: JSON is YAML, but for tabs."""
    documents, _ = read_documents(text.replace("\t", " "))
    return documents[0].lines if documents else {}


def _servers(value: Any) -> tuple[str, dict[str, Any] | None]:
    """The path and the value of the mapping of servers."""
    nested = value.get("mcp") if isinstance(value, dict) else None
    for section, holder in (("mcpServers", value), ("servers", value), ("mcp.servers", nested)):
        found = holder.get(section.rpartition(".")[2]) if isinstance(holder, dict) else None
        if isinstance(found, dict):
            return section, found
    return "", None


def _free(wanted: str, taken: Iterable[str]) -> str:
    """`wanted`, or with the first number that makes it new."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    return name


class _Reading:
    """The reading of one file."""

    def __init__(self, environ: Mapping[str, str], taken: Iterable[str], report: Report) -> None:
        self._environ = environ
        self._taken = set(taken)
        self._report = report

    def target(self, name: str, entry: Any, place: Place) -> dict[str, Any] | None:
        """A server as a target; None, after reporting why, when it is left out."""
        if not isinstance(entry, dict):
            self._report.error(place, f"`{name}`: expected a mapping with `command` or `url`")
            return None
        if entry.get("disabled") is True:
            self._report.warning(place, f"`{name}` is disabled, and left out")
            return None
        for field in sorted(entry.keys() - _KNOWN):
            self._report.warning(place, f"`{name}`: `{field[:40]}` is not used")
        kind = self._kind(name, entry, place)
        if kind is None:
            return None
        fitting = self._fitting(name, place)
        if kind == "stdio":
            return {"name": fitting, "stdio": self._stdio(entry, place)}
        url = self._url(name, next((entry[field] for field in _URLS if field in entry), ""), place)
        return {"name": fitting, kind: {"url": url, **self._values("headers", entry, place)}}

    def _url(self, name: str, given: Any, place: Place) -> Any:
        """The URL. One that variables made wrong is refused here, where it is not shown: they may be secrets."""
        url = self._expanded(given, place)
        if url != given and complaint("url", url):
            wrong = complaint("url", url)
            self._report.error(place, f"`{name}`: {wrong}, got something else when its variables are filled in")
            self._report.mark_broken(place)
        return url

    def _kind(self, name: str, entry: dict[str, Any], place: Place) -> str | None:
        stated = entry.get("type", entry.get("transport"))
        if stated is not None:
            if not isinstance(stated, str) or stated not in _TYPES:
                self._report.error(place, f"`{name}`: expected `type` to be one of {', '.join(_TYPES)}")
                return None
            return _TYPES[stated]
        if "command" in entry:
            return "stdio"
        url = next((entry[field] for field in _URLS if field in entry), None)
        if isinstance(url, str):
            return "sse" if url.rstrip("/").endswith("/sse") and "httpUrl" not in entry else "http"
        self._report.error(place, f"`{name}`: expected `command` or `url`")
        return None

    def _fitting(self, name: str, place: Place) -> str:
        """A name that can stand before names of tools."""
        bare = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:30].strip("-_") or "server"
        fitting = _free(bare, self._taken)
        self._taken.add(fitting)
        if fitting != name:
            self._report.warning(place, f"`{name[:80]}` is called `{fitting}` here")
        return fitting

    def _stdio(self, entry: dict[str, Any], place: Place) -> dict[str, Any]:
        args = entry.get("args", [])
        words = args if isinstance(args, list) else [args]
        made = {"command": self._expanded(entry.get("command", ""), place)}
        made |= {"args": [self._expanded(word, place) for word in words]} if words else {}
        made |= {"cwd": self._expanded(entry["cwd"], place)} if entry.get("cwd") else {}
        if isinstance(made["command"], str) and made["command"]:
            # One word, spaces or not: here a text is never more than the program.
            made["command"] = [made["command"]]
        return made | self._values("env", entry, place)

    def _values(self, field: str, entry: dict[str, Any], place: Place) -> dict[str, Any]:
        """Headers or variables: references stay references, so that values are looked up where secrets are."""
        given = entry.get(field)
        if not given:
            return {}
        if not isinstance(given, dict):
            return {field: given}  # refused with the rest of the document
        return {field: {name: self._referring(value, place) for name, value in given.items()}}

    def _referring(self, value: Any, place: Place) -> Any:
        if isinstance(value, bool | int | float):
            return str(value).lower() if isinstance(value, bool) else str(value)
        if not isinstance(value, str):
            return value
        self._check_editors_own(value, place)
        if not _REFERENCE.search(value):
            # What this file calls a text must not become the name of a file.
            return f"text:{value}" if value.startswith(_PREFIXES) or "${" in value else value
        return _REFERENCE.sub(
            lambda found: found[2] if found[2] is not None and not self._environ.get(found[1]) else f"${{{found[1]}}}",
            value,
        )

    def _expanded(self, value: Any, place: Place) -> Any:
        """A text with its references replaced; values of other kinds are refused with the rest of the document."""
        if not isinstance(value, str):
            return value

        def one(found: re.Match[str]) -> str:
            known = self._environ.get(found[1]) or found[2]
            if known is None:
                self._report.error(place, f"environment variable {found[1]} is not set")
                self._report.mark_broken(place)
            return known or ""

        self._check_editors_own(value, place)
        return _REFERENCE.sub(one, value)

    def _check_editors_own(self, value: str, place: Place) -> None:
        found = _EDITORS_OWN.search(_REFERENCE.sub("", value))
        if found is not None:
            message = f"`${{{found[1]}:...}}` refers to something that only an editor knows"
            self._report.error(place, message, "write the value, or `${VARIABLE}`")
