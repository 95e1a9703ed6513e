"""What `heddle up` makes of a branch or a cluster, before anything is started."""

from pathlib import Path
from typing import Any

import click
import pytest

from heddle.cli.source_options import SOURCES, source_arguments


def given(*arguments: str) -> tuple[str, ...]:
    """What the control-plane process would be told."""
    told: list[tuple[str, ...]] = []

    @click.command()
    @SOURCES
    def command(**options: Any) -> None:
        told.append(source_arguments(options))
        assert options == {}, "every option is taken out"

    command.main(list(arguments), standalone_mode=False)
    return told[0]


def test_nothing_is_nothing():
    assert given() == ()


def test_a_branch(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("hunter2")
    told = given(
        "--git", "git@host.example:team/mesh.git#main:prod", "--git-interval", "30", "--git-token-file", str(token)
    )
    assert told == (
        "--git=ssh://git@host.example/team/mesh.git#main:prod",
        "--git-interval=30",
        f"--git-token-file={token}",
    )
    assert "hunter2" not in "".join(told)


def test_a_cluster(tmp_path: Path):
    file = tmp_path / "kubeconfig"
    file.write_text("")
    assert given("--kubeconfig", str(file), "--context", "prod") == ("--kubeconfig", str(file), "--context", "prod")
    assert given("--in-cluster") == ("--in-cluster",)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--git", "--upload-pack=x"), "expected a repository as"),
        (("--git", "ext::sh -c id"), "expected a repository as"),
        (("--git", "https://u:hunter2@h/x"), "given in files"),
        (("--git", "https://h/x", "--in-cluster"), "not from both"),
        (("--git", "https://h/x", "--git-interval", "1"), "x>=5"),
        (("--git-user", "bot"), "are for a branch"),
        (("--context", "x"), "--kubeconfig FILE"),
        (("--kubeconfig", "/nowhere"), "does not exist"),
        (("--git", "https://h/x", "--git-token-file", "/nowhere"), "does not exist"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], says: str):
    with pytest.raises(click.UsageError) as refused:
        given(*arguments)
    assert says in refused.value.format_message()
    assert "hunter2" not in refused.value.format_message()
