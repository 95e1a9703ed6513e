"""What `heddle validate`, `schema` and `explain` print, and that the reference page is what the code says."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from heddle.cli.config_commands import explain, schema, validate
from heddle.cli.reference import reference

ROOT = Path(__file__).parents[3]


def run(command: object, *args: str) -> Result:
    return CliRunner().invoke(command, list(args))  # type: ignore[arg-type]


def test_validate_as_json(tmp_path: Path):
    path = tmp_path / "c.yaml"
    path.write_text("listeners: [{name: llm, prot: 1}]\n")
    result = run(validate, "-f", str(path), "--format", "json")
    shown = json.loads(result.output)
    assert result.exit_code == 1
    assert (shown["valid"], shown["version"]) == (False, None)
    assert shown["problems"][0] == {
        "severity": "error",
        "file": str(path),
        "line": 1,
        "path": "listeners[0].prot",
        "message": "unknown field",
        "hint": "did you mean `port`?",
    }


def test_validate_takes_several_files(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("listeners: [{name: llm, port: 0}]\nsecurity: {authentication: {type: none}}\n")
    (tmp_path / "b.yaml").write_text("llm: {providers: [{name: p, type: scripted}]}\n")
    result = run(validate, "-f", str(tmp_path / "a.yaml"), "-f", str(tmp_path / "b.yaml"))
    assert result.exit_code == 0
    assert result.output.startswith("valid: 0 errors, 0 warnings; version ")


def test_validate_takes_the_tool_servers_of_an_editor(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("security: {authentication: {type: none}}\n")
    (tmp_path / "mcp.json").write_text('{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}')
    result = run(validate, "-f", str(tmp_path / "a.yaml"), "--mcp-config", str(tmp_path / "mcp.json"))
    assert result.exit_code == 0
    assert "1 virtual server of 1 target" in result.output


def test_the_reference_example_is_what_users_already_write():
    result = run(validate, "-f", str(ROOT / "examples" / "reference" / "gateway.yaml"))
    assert result.exit_code == 0
    assert "listener a2a (A2A), a2a" in result.output.partition("not active yet: ")[2]


def test_schema():
    shown = json.loads(run(schema).output)
    assert shown["properties"]["rate_limiting"]["items"] == {"$ref": "#/$defs/NamedRateLimit"}
    assert json.loads(run(schema, "--kind", "Policy").output)["properties"]["kind"]["enum"] == ["Policy"]
    wrong = run(schema, "--kind", "Polcy")
    assert wrong.exit_code == 2
    assert "Policy" in wrong.output


def test_explain():
    text = run(explain, "rate_limiting.limit_by").output
    assert "allowed: requests, tokens" in text
    assert "default: requests" in text
    assert "required" in run(explain, "rate_limiting.window").output
    assert "type: jwt" in run(explain, "security.authentication").output
    assert "listeners" in run(explain).output
    wrong = run(explain, "rate_limit")
    assert wrong.exit_code == 1
    assert "did you mean `rate_limiting`?" in wrong.output


@pytest.mark.parametrize("command", [validate, schema, explain])
def test_help_shows_examples(command: object):
    assert "heddle " in run(command, "--help").output


def test_the_reference_page_is_up_to_date():
    """When this fails: `python -m heddle.cli.reference > docs/reference/config.md`."""
    assert (ROOT / "docs" / "reference" / "config.md").read_text() == reference()
