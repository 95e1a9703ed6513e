#!/bin/sh
# The public MCP conformance suite against the gateway in front of an everything-server; the score goes to
# docs/conformance. Exit 1 when a point is lost. With arguments (`--url URL`, `--server stdio`), nothing is written.
set -eu
cd "$(dirname "$0")/.."
scripts/node_setup.sh
python="${VENV:-.venv}/bin/python"
export PYTHONWARNINGS=ignore
if [ $# -gt 0 ]; then
    exec "$python" -m tests.conformance.mcp.run "$@"
fi
exec "$python" -m tests.conformance.mcp.run --save
