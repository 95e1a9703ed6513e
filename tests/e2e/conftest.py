"""Fixtures of the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.running import CONFIG, RunningMesh, free_ports


@pytest.fixture
def new_mesh(tmp_path: Path) -> Iterator[object]:
    """Make meshes; every one is ended at the end of the test."""
    made: list[RunningMesh] = []

    def make(text: str = CONFIG, **settings: object) -> RunningMesh:
        port, admin_port = free_ports(2)
        folder = tmp_path / f"mesh{len(made)}"
        folder.mkdir()
        config = folder / "heddle.yaml"
        config.write_text(text.format(port=port, admin_port=admin_port))
        mesh = RunningMesh(config, folder / "state", port, admin_port, **settings)  # type: ignore[arg-type]
        made.append(mesh)
        return mesh

    yield make
    for mesh in made:
        mesh.kill()
