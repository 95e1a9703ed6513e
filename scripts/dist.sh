#!/bin/sh
# Builds sdist and wheel into dist/, and where there is a C compiler a second wheel whose hot path is compiled (ADR 17);
# installs each into a clean environment and starts it there, then builds the container when there is an engine for it.
set -eu
cd "$(dirname "$0")/.."
python="${VENV:-.venv}/bin/python"
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT

"$python" -m pip install --quiet --disable-pip-version-check build
rm -rf dist
"$python" -m build --outdir dist . >"$clean/build.log" 2>&1 || { cat "$clean/build.log" >&2; exit 1; }
headers="import pathlib, sys, sysconfig; sys.exit(not (pathlib.Path(sysconfig.get_path('include')) / 'Python.h').exists())"
if command -v "${CC:-cc}" >/dev/null && "$python" -c "$headers"; then
    HEDDLE_COMPILE=1 "$python" -m build --wheel --outdir dist . >"$clean/build.log" 2>&1 || { tail -40 "$clean/build.log" >&2; exit 1; }
else
    echo "dist: no C compiler or no headers of Python here, so there is no compiled wheel"
fi

for wheel in dist/*.whl; do
    rm -rf "$clean/venv"
    "$python" -m venv "$clean/venv"
    "$clean/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
    # From another folder: the checkout's own src must not be what answers.
    (cd "$clean" && venv/bin/heddle --help >/dev/null && WHEEL=$wheel venv/bin/python - <<'PYTHON')
import os
from importlib.resources import files
from heddle.net import serving
assert (files("heddle") / "py.typed").is_file(), "the wheel lacks py.typed"
assert serving.__file__.endswith(".py") == os.environ["WHEEL"].endswith("none-any.whl"), serving.__file__
PYTHON
    echo "dist: $wheel installs into a clean environment and starts"
done

for engine in podman docker; do
    if command -v "$engine" >/dev/null && "$engine" info >/dev/null 2>&1; then
        "$engine" build --quiet --tag heddle-mesh:local --file Containerfile . >/dev/null
        "$engine" run --rm heddle-mesh:local --help >/dev/null
        echo "dist: image heddle-mesh:local built with $engine and starts"
        exit 0
    fi
done
echo "dist: no container engine here, so Containerfile was not built"
