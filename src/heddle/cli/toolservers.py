"""Tool servers as the workers find them: well or not, how many tools, in which protocol version.

Owns what the parent reads of it, out of the numbers that workers count in: it asks no worker and no tool server.
"""

import re
from pathlib import Path
from typing import Any

from heddle.model.snapshot import Snapshot
from heddle.telemetry import names
from heddle.telemetry.exposition import by_process

_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def target_states(state_dir: Path, snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Each target of the configuration: `workers` that keep it, `healthy` among them, `tools`, `withheld`, `version`.

    Tools are those of the worker that knows most of them; `version` is empty while nobody has asked it.
    """
    states: dict[str, dict[str, Any]] = {
        target.name: {"kind": target.connect.__struct_config__.tag, "workers": 0, "healthy": 0, "tools": 0,
                      "withheld": 0, "version": ""}
        for target in snapshot.mcp.targets
    }  # fmt: skip
    for state, value, _ in _values(state_dir, names.MCP_TARGET_HEALTHY, states):
        state["workers"] += 1
        state["healthy"] += value > 0
    for state, value, _ in _values(state_dir, names.DEFINITIONS_WITHHELD, states):
        state["withheld"] = max(state["withheld"], int(value))
    for state, value, labels in _values(state_dir, names.MCP_TOOLS, states):
        if (value, labels["version"]) > (state["tools"], state["version"]):
            state["tools"], state["version"] = int(value), labels["version"]
    return states


def _values(
    state_dir: Path, name: str, states: dict[str, dict[str, Any]]
) -> list[tuple[dict[str, Any], float, dict[str, str]]]:
    """The values of each process, with the state of the target that they are about."""
    found = []
    for values in by_process(state_dir, name):
        for text, value in values.items():
            labels = dict(_LABEL.findall(text))
            if labels.get("target") in states:
                found.append((states[labels["target"]], value, labels))
    return found
