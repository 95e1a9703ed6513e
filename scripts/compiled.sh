#!/bin/sh
# Builds the package with its hot path compiled (ADR 9) into .compiled/, beside the sources, which stay what runs
# otherwise: `scripts/compiled.sh` builds, `scripts/compiled.sh test` also runs the end-to-end and property tests on it.
set -eu
cd "$(dirname "$0")/.."
python="${VENV:-.venv}/bin/python"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
rm -rf .compiled build
HEDDLE_COMPILE=1 "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target .compiled . \
    >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
export PYTHONPATH="$PWD/.compiled"
"$python" - <<'PYTHON'
from heddle.net import serving
assert serving.__file__.endswith(".so"), f"{serving.__file__} is not compiled"
PYTHON
echo "compiled: .compiled/heddle"

if [ "${1:-}" = test ]; then
    exec "$python" -m pytest -n 2 --dist loadfile tests/e2e tests/property
fi
