#!/bin/sh
# Every check that reads code without running it; all of them run, so that one report names everything.
set -u
cd "$(dirname "$0")/.."
bin="${VENV:-.venv}/bin"
failed=""
step() {
    name=$1
    shift
    echo "-- $name"
    "$@" || failed="$failed $name"
}
step ruff "$bin/ruff" check .
step format "$bin/ruff" format --check .
step types "$bin/mypy"
step imports "$bin/lint-imports"
if [ -n "$failed" ]; then
    echo "lint: failed:$failed"
    exit 1
fi
echo "lint: clean"
