#!/bin/sh
# Builds sdist and wheel into dist/, installs the wheel into a clean environment and starts it there, then builds the
# container when there is an engine for it.
set -eu
cd "$(dirname "$0")/.."
python="${VENV:-.venv}/bin/python"
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT

"$python" -m pip install --quiet --disable-pip-version-check build
rm -rf dist
"$python" -m build --outdir dist . >"$clean/build.log" 2>&1 || { cat "$clean/build.log" >&2; exit 1; }
wheel=$(ls dist/*.whl)

"$python" -m venv "$clean/venv"
"$clean/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
# From another folder: the checkout's own src must not be what answers.
(cd "$clean" && venv/bin/heddle --help >/dev/null && venv/bin/python - <<'PYTHON')
from importlib.resources import files
package = files("heddle")
assert (package / "py.typed").is_file(), "the wheel lacks py.typed"
PYTHON
echo "dist: $wheel installs into a clean environment and starts"

for engine in podman docker; do
    if command -v "$engine" >/dev/null && "$engine" info >/dev/null 2>&1; then
        "$engine" build --quiet --tag heddle-mesh:local --file Containerfile . >/dev/null
        "$engine" run --rm heddle-mesh:local --help >/dev/null
        echo "dist: image heddle-mesh:local built with $engine and starts"
        exit 0
    fi
done
echo "dist: no container engine here, so Containerfile was not built"
