"""Everything that is known of one tool, prompt or resource: what it says, whose it is, what was decided, who may.

Owns what `heddle mcp inspect` tells. The checks are made here, on the definition as callers see it; what it would be
found to be beside other servers' tools is for the gateway and `heddle tools check`.
"""

import difflib
from typing import Any

from heddle.backends.mcp.catalogue import Catalogue
from heddle.cli.mcp_places import OWN, Served
from heddle.cli.mcp_shown import KINDS, pretty
from heddle.directory.definitions import Kind, define
from heddle.directory.poisoning import check
from heddle.directory.visible import clipped
from heddle.wire.errors import ProtocolError

Facts = dict[str, Any]


def facts(kind: str, name: str, definition: dict[str, Any], served: Served | None) -> Facts:
    """What is known; of a server that is given by its URL only what it says, and the findings."""
    found: Facts = {"kind": kind, "name": name, "definition": definition, "findings": _findings(kind, definition)}
    if served is None:
        return found
    stable = found["stable_name"] = served.stable_name(kind, name)
    row = served.row(kind, stable) if stable and not stable.startswith(f"{OWN}/") else None
    found["pin"] = None
    if row is not None and row.get("approved"):
        version = next(one for one in served.history(kind, stable) if one["digest"] == row["approved"])
        found["pin"] = {field: version.get(field) for field in ("digest", "decided", "decided_by")}
    found["waiting"] = row["pending"] if row is not None and row["state"] == "pending" else None
    found["policies"] = served.policies(kind, name, stable)
    return found


def _findings(kind: str, definition: dict[str, Any]) -> list[str]:
    try:
        one = define(_KINDS[kind], definition)
    except ProtocolError as exc:
        return [f"no definition: {exc.detail}"]
    return [str(finding) for finding in check(one, {}, "")]


_DOES = {"allow": "allows", "deny": "denies"}
_KINDS: dict[str, Kind] = {"tool": "tool", "prompt": "prompt", "resource": "resource", "template": "template"}


def written(found: Facts) -> str:
    """The same for people."""
    lines = [(found["kind"], clipped(found["name"], 300))]
    if "stable_name" in found:
        stable = found["stable_name"]
        lines.append(("target", clipped(stable.partition("/")[0] or "unknown", 80)))
        lines.append(("stable name", clipped(stable or "unknown", 300)))
        lines.append(("pin", _pin(found)))
    lines += [("finding", one) for one in found["findings"]] or [("findings", "none")]
    lines += [("policy", _policy(one)) for one in found.get("policies", ())]
    if "policies" in found and not found["policies"]:
        lines.append(("policies", "none speaks of it"))
    told = "\n".join(f"{label:<12} {text}" for label, text in lines)
    return f"{told}\ndefinition\n{pretty(found['definition'])}"


def _pin(found: Facts) -> str:
    pin = found["pin"]
    told = "none" if pin is None else f"approved {pin['decided']} by {clipped(pin['decided_by'], 80)}, {pin['digest']}"
    return told + ("; another version waits, see `heddle tools diff`" if found["waiting"] else "")


def _policy(policy: dict[str, Any]) -> str:
    """One policy in a line: what it does, to whom, under which condition."""
    who = [
        f"{field}={','.join(values)}"
        for field, values in policy["match"].items()
        if isinstance(values, list) and values
    ]
    what = f" {', '.join(policy['resources'])}" if policy["resources"] else ""
    when = f" when {policy['when']}" if policy["when"] else ""
    audit = " (audit only)" if policy["mode"] == "audit" else ""
    does = f"{_DOES[policy['action']]} {' '.join(who) or 'everybody'}"
    told = f"{policy['name']} ({policy['level']}): {does}{what}{when}{audit}"
    return clipped(told, 400)


def missing(name: str, catalogue: Catalogue, served: Served | None) -> str:
    """Why a name is not in the lists, as far as can be told."""
    for kind in KINDS if served is not None else ():
        assert served is not None
        row = served.row(kind, served.stable_name(kind, name))
        if row is not None and row["state"] == "pending":
            notes = f": {clipped('; '.join(row['notes'][:2]), 300)}" if row["notes"] else ""
            stable = clipped(f"{row['target']}/{row['name']}", 300)
            return f"{clipped(name)} is withheld ({row['reason']}){notes}; see `heddle tools diff {stable}`"
    known = [one for kind in KINDS for one in catalogue.of(kind)]
    close = [one for one in known if one.endswith((f"__{name}", f"+{name}"))][:3]
    close = close or difflib.get_close_matches(name[:200], known[:5000], 3)
    hint = f"; did you mean {', '.join(clipped(one, 80) for one in close)}?" if close else ""
    return f"there is no {clipped(name)} that this key may see{hint}"
