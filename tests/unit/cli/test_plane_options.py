"""Which control plane a gateway follows, by what was said and what was not."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from heddle.cli.gateway_token import gateway_token
from heddle.cli.mesh import Settings
from heddle.cli.plane_options import beside, elsewhere
from heddle.cli.up import gateway, up

API, STREAM = ("127.0.0.1", 9443), ("127.0.0.1", 9444)


def chosen(paths: list[Path], state: Path, wanted: bool | None = None, mcp_json: Path | None = None) -> object:
    settings = Settings(paths, state, 1, 1.0, mcp_json=mcp_json)
    return beside(settings, (), wanted=wanted, api=API, gateways=STREAM)


def test_folders_have_a_control_plane_files_have_none(tmp_path: Path):
    file = tmp_path / "heddle.yaml"
    file.touch()
    assert chosen([tmp_path], tmp_path) is not None
    assert chosen([], tmp_path) is None
    assert chosen([file], tmp_path) is None
    assert chosen([tmp_path, file], tmp_path) is None
    assert chosen([tmp_path], tmp_path, wanted=False) is None
    assert chosen([tmp_path], tmp_path, mcp_json=file) is None


def test_a_control_plane_for_files_is_refused_with_what_to_do(tmp_path: Path):
    file = tmp_path / "heddle.yaml"
    file.touch()
    for paths in ([file], [], [tmp_path, file]):
        with pytest.raises(click.UsageError, match="give each as -f DIR"):
            chosen(paths, tmp_path, wanted=True)


def test_a_gateway_runs_files_or_what_a_control_plane_says(tmp_path: Path):
    assert elsewhere(tmp_path, (), places=(), token="", identity=None) is None
    found = elsewhere(tmp_path, (), places=(STREAM,), token=" t ", identity=None)
    assert found is not None
    assert (found.places, found.token, found.identity) == ([STREAM], "t", tmp_path / "gateway.pem")
    with pytest.raises(click.UsageError, match="not both"):
        elsewhere(tmp_path, (tmp_path,), places=(STREAM,), token="", identity=None)
    with pytest.raises(click.UsageError, match="HOST:PORT"):
        elsewhere(tmp_path, (), places=(), token="t", identity=None)


@pytest.mark.parametrize("place", ["", ":1", "host:0", "host:65536", "host:x", "host:-1", "[]:1", "host:²"])
def test_what_is_no_place_is_refused(place: str):
    result = CliRunner().invoke(gateway, ["--control-plane", place])
    assert result.exit_code == 2
    assert "HOST:PORT" in result.output


def test_a_gateway_without_an_identity_says_how_to_get_one(tmp_path: Path):
    result = CliRunner().invoke(gateway, ["--control-plane", "[::1]:1", "--state", str(tmp_path / "state")])
    assert result.exit_code == 1
    assert "heddle gateway-token NAME" in result.output


def test_a_file_with_a_control_plane_does_not_start(tmp_path: Path):
    file = tmp_path / "heddle.yaml"
    file.touch()
    result = CliRunner().invoke(up, ["-f", str(file), "--control-plane", "--state", str(tmp_path / "state")])
    assert result.exit_code == 2


def test_a_token_is_made_and_is_one_line(tmp_path: Path):
    result = CliRunner().invoke(gateway_token, ["edge-1", "--gateway", "default/edge", "--state", str(tmp_path)])
    assert result.exit_code == 0, result.output
    token = result.output.strip()
    assert "\n" not in token
    assert len(token.rpartition(".")[2]) == 64
    assert "edge" not in token


@pytest.mark.parametrize(
    "arguments", [["Edge"], ["edge", "--gateway", "edge"], ["edge", "--gateway", "a/b/c"], ["e", "--minutes", "0"]]
)
def test_what_cannot_be_a_gateway_gets_no_token(tmp_path: Path, arguments: list[str]):
    result = CliRunner().invoke(gateway_token, [*arguments, "--state", str(tmp_path)])
    assert result.exit_code != 0
    assert "Traceback" not in result.output
