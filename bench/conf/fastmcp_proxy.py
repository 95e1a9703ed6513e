"""FastMCP's proxy as its documentation starts one: `fastmcp_proxy.py PORT URL`."""

import sys

from fastmcp.server import create_proxy

create_proxy(sys.argv[2], name="proxy").run(
    transport="http", host="127.0.0.1", port=int(sys.argv[1]), log_level="ERROR", show_banner=False
)
