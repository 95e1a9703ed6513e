"""Rules that no call can meet are errors where they are written."""

from pathlib import Path

import pytest

from heddle.controlplane.load import load

HEAD = """
listeners: [{name: tools, port: 8081, protocol: MCP}]
security: {authentication: {type: none}}
"""


def problems(folder: Path, rule: str, at: str = "policies") -> list[str]:
    """What is said of a rule that stands among global policies, in a server, or in a target."""
    scoped = {key: f"authorization: [{rule}]" if key == at else "" for key in ("servers", "targets")}
    policies = rule.replace("{", "{name: x, ", 1) if at == "policies" else "{name: all, action: allow}"
    path = folder / "heddle.yaml"
    path.write_text(
        f"""{HEAD}
authorization: {{policies: [{policies}]}}
mcp:
  targets:
    - name: files
      http: {{url: "http://127.0.0.1:9301/mcp"}}
      {scoped["targets"]}
  servers:
    - name: default
      targets: [files]
      {scoped["servers"]}
"""
    )
    return [problem.line_text() for problem in load([path], environ={}).problems if problem.severity == "error"]


@pytest.mark.parametrize(
    "rule",
    [
        "{resources: ['tool:x'], when: 'call.model == \"x\"', action: deny}",
        "{resources: ['tool:x'], when: 'call.prompt == \"x\"', action: deny}",
        "{match: {model: x}, resources: ['tool:x'], action: allow}",
        "{match: {tool: x}, resources: ['resource:x'], action: deny}",
    ],
)
def test_a_rule_that_no_call_can_meet(tmp_path: Path, rule: str) -> None:
    assert any("no call can meet it" in message for message in problems(tmp_path, rule))


@pytest.mark.parametrize("at", ["servers", "targets"])
def test_no_call_to_a_model_comes_to_a_server(tmp_path: Path, at: str) -> None:
    (message,) = problems(tmp_path, "{when: 'call.model == \"x\"', action: deny}", at)
    assert "no call can meet it" in message
    assert not problems(tmp_path, "{when: 'call.tool == \"x\"', action: deny}", at)


def test_two_kinds_in_one_expression_are_said_once(tmp_path: Path) -> None:
    (message,) = problems(tmp_path, '{when: \'call.tool == "x" || call.prompt == "y"\', action: deny}')
    assert "write one rule for each kind" in message


@pytest.mark.parametrize(
    "rule",
    [
        "{action: allow}",
        "{resources: ['tool:x', 'model:y'], action: allow}",
        "{resources: ['server:x'], when: 'call.tool == \"x\"', action: allow}",
        "{match: {model: x}, when: 'call.stream', action: allow}",
    ],
)
def test_others_are_left_alone(tmp_path: Path, rule: str) -> None:
    assert not problems(tmp_path, rule)
