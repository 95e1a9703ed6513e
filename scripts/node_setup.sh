#!/bin/sh
# Installs what is written for Node under .bench/node: Node 22 itself, the MCP conformance suite, the TypeScript SDK and
# the official servers, at the versions below. Needs an npm of any age. What is there already is left alone.
# Exit 1 and .bench/node.log say why when it cannot be had.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .bench/node
cat > .bench/node/wanted.json <<'JSON'
{
  "private": true,
  "dependencies": {
    "node": "22.23.3",
    "@modelcontextprotocol/client": "2.4.0",
    "@modelcontextprotocol/conformance": "0.2.0-alpha.12",
    "@modelcontextprotocol/sdk": "1.32.2",
    "@modelcontextprotocol/server-everything": "2026.8.31",
    "@modelcontextprotocol/server-filesystem": "2026.8.31",
    "@modelcontextprotocol/server-memory": "2026.8.31"
  }
}
JSON
if [ -z "${HEDDLE_NODE_LOCKED:-}" ] && command -v flock >/dev/null; then
    HEDDLE_NODE_LOCKED=1 exec flock .bench/node.lock "$0"
fi
if cmp -s .bench/node/wanted.json .bench/node/installed.json; then exit 0; fi
command -v npm >/dev/null || { echo "npm is needed (on Debian: apt-get install npm)" >&2; exit 1; }
echo "installing Node 22 and the MCP conformance suite into .bench/node ..." >&2
cp .bench/node/wanted.json .bench/node/package.json
(cd .bench/node && npm install --no-audit --no-fund) >.bench/node.log 2>&1 || { tail -5 .bench/node.log >&2; exit 1; }
cp .bench/node/wanted.json .bench/node/installed.json
