#!/bin/sh
# The package with its hot path compiled (ADR 17), in .compiled/ beside the sources, which stay what runs otherwise.
#
#   scripts/compiled.sh         build it, unless what is there is of these sources and this Python
#   scripts/compiled.sh path    the folder to import heddle from: .compiled if it is current, else src
#   scripts/compiled.sh test    build it, then run the end-to-end and property tests on it
set -eu
cd "$(dirname "$0")/.."
python="${VENV:-.venv}/bin/python"
stamp=.compiled/.made-of

made_of() {
    # Data files too: what is imported from .compiled reads those that lie beside it.
    { find src/heddle setup.py pyproject.toml -type f ! -name '*.pyc' | LC_ALL=C sort | xargs sha256sum; "$python" -VV; } | sha256sum
}

current() { [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(made_of)" ]; }

build() {
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    command -v "${CC:-cc}" >/dev/null || { echo "compiled: a C compiler is needed (on Debian: apt-get install gcc python3-dev)" >&2; exit 1; }
    "$python" -c 'import pathlib, sys, sysconfig; sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())' \
        || { echo "compiled: the headers of Python are needed (on Debian: apt-get install python3-dev)" >&2; exit 1; }
    "$python" -c 'import mypyc' 2>/dev/null || "$python" -m pip install --quiet --disable-pip-version-check 'mypy>=2' types-PyYAML
    echo "compiling the hot path (about two minutes) ..." >&2
    rm -rf .compiled.new build
    HEDDLE_COMPILE=1 "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target .compiled.new . \
        >"$log" 2>&1 || { tail -40 "$log" >&2; rm -rf .compiled.new; exit 1; }
    PYTHONPATH="$PWD/.compiled.new" "$python" - <<'PYTHON'
from heddle.net import serving
assert serving.__file__.endswith(".so"), f"{serving.__file__} is not compiled"
PYTHON
    # A mesh may run from the old one: it is replaced, not built over.
    rm -rf .compiled
    mv .compiled.new .compiled
    made_of >"$stamp"
    echo "compiled: .compiled/heddle" >&2
}

case "${1:-}" in
    path) if current; then echo "$PWD/.compiled"; else echo "$PWD/src"; fi ;;
    test)
        current || build
        PYTHONPATH="$PWD/.compiled" exec "$python" -m pytest -n 2 --dist loadfile tests/e2e tests/property ;;
    "") if current; then echo "compiled: .compiled/heddle is current" >&2; else build; fi ;;
    *) echo "usage: scripts/compiled.sh [path|test]" >&2; exit 2 ;;
esac
