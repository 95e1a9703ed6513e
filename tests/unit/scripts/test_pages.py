"""What is written down: pages that the code generates are what it generates now, and links lead somewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from heddle.cli.main import main

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def test_the_command_line_page_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails: `make docs`."""
    monkeypatch.setenv("COLUMNS", "60")
    # In a process of its own: a command that another test ran by itself remembers its help without `-h`.
    command = [sys.executable, str(ROOT / "scripts" / "cli_reference.py")]
    page = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert (REFERENCE / "cli.md").read_text() == page


def test_the_schema_is_up_to_date() -> None:
    """When this fails: `make docs`."""
    printed = CliRunner().invoke(main, ["schema"]).output
    assert json.loads((REFERENCE / "config.schema.json").read_text()) == json.loads(printed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in links if not (page.parent / link).exists()] == []
