"""What the control-plane process is told of sources, and what it refuses to be told."""

import argparse
from pathlib import Path

import pytest

from heddle.controlplane.sources.git_command import parse_place
from heddle.controlplane.sources.options import add_arguments, name_of, reach_of, specs_of
from heddle.controlplane.sources.run import build


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def secret(folder: Path, content: bytes) -> str:
    (folder / "secret").write_bytes(content)
    return str(folder / "secret")


def test_folders_and_branches(tmp_path: Path):
    hook = secret(tmp_path, b"a secret of webhooks \xc3\xbc\n")
    given = parsed(
        "--folder", str(tmp_path), "--git", "https://h/team/mesh.git#main:prod", "--git-webhook-secret", hook
    )
    specs = specs_of(given)
    names = [source.name for source in build(specs, tmp_path, lambda: None)]  # type: ignore[arg-type, return-value]
    assert names[0].startswith("folder:")
    assert names[1:] == ["git:mesh-prod"]
    assert specs.hook_secret == "a secret of webhooks \u00fc"
    assert "secret of webhooks" not in repr(specs)
    assert reach_of(given) is None


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/mesh", "mesh"),
        ("https://h/team/mesh.git#main:prod/eu", "mesh-prod-eu"),
        ("git@h:mesh.git", "mesh"),
        ("/srv/conf.git#x", "conf"),
    ],
)
def test_names_of_branches(url: str, name: str):
    assert name_of(parse_place(url)) == name


def test_two_of_one_name(tmp_path: Path):
    specs = specs_of(parsed("--git", "https://a/mesh", "--git", "https://b/mesh"))
    with pytest.raises(ValueError, match="two sources are called git:mesh"):
        build(specs, tmp_path, lambda: None)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("content", [b"", b"short", b"a" * 40, b"\xff" * 40])
def test_secrets_that_anybody_could_guess(tmp_path: Path, content: bytes):
    with pytest.raises(ValueError, match="secret"):
        specs_of(parsed("--git-webhook-secret", secret(tmp_path, content)))


def test_what_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="at least 5 seconds"):
        specs_of(parsed("--git-interval", "1"))
    with pytest.raises(OSError, match="nowhere"):
        specs_of(parsed("--git-ssh-key", str(tmp_path / "nowhere")))
