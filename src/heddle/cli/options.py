"""Options that several commands take, so that they are called and explained alike."""

from pathlib import Path

import click

MCP_CONFIG = click.option(
    "--mcp-config",
    "mcp_json",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Tool servers as editors keep them (`mcpServers` JSON), beside the configuration.",
)
