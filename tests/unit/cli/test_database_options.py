"""What a control plane is told of where it keeps resources: no secret on any command line."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from heddle.cli.control_plane import control_plane
from heddle.cli.database_options import DEFAULTS, database_arguments, kept_in
from heddle.cli.plane import Beside
from heddle.cli.plane_options import elsewhere
from heddle.cli.up import gateway, up
from heddle.controlplane.replicas.database import DATABASE, KEY

NOTHING: dict[str, Any] = {
    "database": "",
    "database_file": None,
    "key_file": None,
    "keep_revisions": 100,
    "keep_deletions": 10_000,
    "keep_changes": 100_000,
    "keep_changes_for": "1h",
}
URL = "postgresql://heddle@db/mesh"


def test_nothing_said_is_what_the_process_does_anyway():
    given = dict(NOTHING)
    found = database_arguments(given, {})
    assert (found.arguments, found.environ, found.is_shared, given) == (DEFAULTS, {}, False, {})


def test_the_address_and_the_key_go_by_the_environment():
    environ = {KEY: "k" * 32, DATABASE: "postgresql://other/x", "HOME": "/"}
    found = database_arguments({**NOTHING, "database": URL}, environ)
    assert found.environ == {DATABASE: URL, KEY: "k" * 32}
    assert environ == {"HOME": "/"}
    assert found.is_shared
    assert not any(URL in one or "kkk" in one for one in found.arguments)
    assert "kkk" not in repr(found)


def test_files_go_by_their_names():
    found = database_arguments({**NOTHING, "database_file": Path("/u"), "key_file": Path("/k")}, {})
    assert found.arguments == ("--database-file=/u", "--key-file=/k", *DEFAULTS)


def test_a_control_plane_is_told_all_of_it_once():
    database = database_arguments({**NOTHING, "database": URL}, {})
    made = kept_in(database, Beside([], environ={"A": "b"}, sources=("--git=x", *database.arguments)))
    assert made is not None
    assert (made.sources, made.shared) == (("--git=x", *DEFAULTS), True)
    assert made.environ == {"A": "b", DATABASE: URL}


@pytest.mark.parametrize("change", [{"database": URL}, {"keep_revisions": 5}])
def test_without_a_control_plane_there_is_nothing_to_keep(change: dict[str, Any]):
    with pytest.raises(click.UsageError, match="are for a control plane"):
        kept_in(database_arguments({**NOTHING, **change}, {}), None)
    assert kept_in(database_arguments(dict(NOTHING), {}), None) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--database", "postgresql://u:hunter2@db/mesh"], "could read the password"),
        (["--database", "postgresql://u@db/mesh?password=hunter2"], "could read the password"),
        (["--database", "sqlite:///hunter2"], "expected postgresql://"),
        (["--key-file", "KEY"], "share a --database"),
        (["--database", URL, "--database-file", "KEY"], "not by both"),
        (["--database", URL, "--in-cluster"], "not in both"),
        (["--keep-changes-for", "soon"], "expected a duration"),
        (["--keep-revisions", "0"], "not in the range"),
    ],
)
@pytest.mark.parametrize("command", [up, control_plane])
def test_mistakes_are_told_without_the_secret(command: Any, arguments: list[str], said: str, tmp_path: Path):
    file = tmp_path / "KEY"
    file.write_text("k" * 40)
    given = [str(file) if one == "KEY" else one for one in arguments]
    result = CliRunner().invoke(command, ["--state", str(tmp_path / "state"), *given])
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert "hunter2" not in result.output
    assert not (tmp_path / "state").exists()


def test_a_key_is_made_once(tmp_path: Path):
    path = tmp_path / "replicas.key"
    for code, said in ((0, str(path)), (1, "must not be replaced")):
        result = CliRunner().invoke(control_plane, ["--make-key", str(path)])
        assert result.exit_code == code
        assert said in result.output
        assert path.read_text().strip() not in result.output


def test_several_control_planes_are_replicas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found: list[object] = []
    monkeypatch.setattr("heddle.cli.up._run", lambda settings: found.append(settings.plane))
    arguments = ["--control-plane", "one, two:9000,[::1]", "--control-plane", "one", "--state", str(tmp_path)]
    assert CliRunner().invoke(gateway, arguments).exit_code == 0
    places = (("one", 9444), ("two", 9000), ("::1", 9444))
    assert found == [elsewhere(tmp_path, (), places=places, token="", identity=None)]
