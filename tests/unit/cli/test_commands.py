"""Every command that is listed is there, says what it is for, and fails in words."""

import signal
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from heddle.cli import chat as chat_module
from heddle.cli.main import _COMMANDS, main


@pytest.mark.parametrize("name", _COMMANDS)
def test_each_command_loads_and_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output
    command = main.get_command(click.Context(main), name)  # type: ignore[attr-defined]
    assert command is not None
    assert command.name == name


@pytest.mark.parametrize("admin", ["localhost", "9090", ":9090", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:²"])
def test_an_admin_address_that_is_none_is_told_what_one_is(tmp_path: Path, admin: str) -> None:
    (tmp_path / "admin.token").write_text("t")
    result = CliRunner().invoke(main, ["status", "--state", str(tmp_path), "--admin", admin])
    assert result.exit_code == 2
    assert "expected HOST:PORT, such as 127.0.0.1:9090" in result.output
    assert "invalid literal" not in result.output


def test_ctrl_c_ends_a_question_as_shells_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(chat_module, "_turn", interrupted)
    result = CliRunner().invoke(main, ["chat", "--key", "k", "hello"])
    assert result.exit_code == 128 + signal.SIGINT
    assert "Aborted" not in result.output


def test_an_exporter_without_a_valid_configuration_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "heddle.yaml"
    config.write_text("listenrs: []\n")
    result = CliRunner().invoke(main, ["exporter", "-f", str(config), "--state", str(tmp_path / "state")])
    assert result.exit_code == 1
    assert "listenrs" in result.output
    assert "nothing was started" in result.output
