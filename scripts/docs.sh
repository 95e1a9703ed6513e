#!/bin/sh
# Writes the pages that are generated from the code: the configuration's JSON Schema and reference, the command line's
# reference, and what crosses between formats; pages, CustomResourceDefinitions and JSON Schemas of the kinds.
set -eu
cd "$(dirname "$0")/.."
bin="${VENV:-.venv}/bin"
out=docs/reference
mkdir -p "$out"
"$bin/heddle" schema > "$out/config.schema.json"
"$bin/python" -m heddle.cli.reference > "$out/config.md"
"$bin/python" scripts/cli_reference.py > "$out/cli.md"
"$bin/python" scripts/translation.py > "$out/translation.md"
"$bin/python" -m heddle.cli.kind_files . > /dev/null
echo "docs: $out/config.schema.json, $out/config.md, $out/cli.md, $out/translation.md, $out/kinds, deploy/crds, deploy/schemas"
