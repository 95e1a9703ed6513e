"""The page that is shown is the one that the tests are about."""

from tests.eras.page import page
from tests.mcp_servers.running import ROOT


def test_the_page_is_what_is_declared() -> None:
    written = (ROOT / "docs" / "reference" / "mcp-eras.md").read_text()
    assert written == page(), "write it with `make test-eras`"
