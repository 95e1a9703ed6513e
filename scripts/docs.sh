#!/bin/sh
# Writes the pages that are generated from the code: the configuration's JSON Schema and the command line's reference.
set -eu
cd "$(dirname "$0")/.."
bin="${VENV:-.venv}/bin"
mkdir -p docs/reference
"$bin/heddle" schema > docs/reference/config.schema.json
"$bin/python" scripts/cli_reference.py > docs/reference/cli.md
echo "docs: docs/reference/config.schema.json, docs/reference/cli.md"
