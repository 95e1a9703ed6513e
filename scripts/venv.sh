#!/bin/sh
# Makes the virtual environment and installs what is missing: `scripts/venv.sh run|dev`.
# Nothing is installed again until pyproject.toml, or the interpreter, changes.
set -eu
cd "$(dirname "$0")/.."
kind=${1:-run}
venv=${VENV:-.venv}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

interpreter() {
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3; do
        if new_enough "$candidate"; then echo "$candidate"; return; fi
    done
    echo "Python 3.11 or newer is needed; set PYTHON to one." >&2
    exit 1
}

if ! [ -x "$venv/bin/python" ]; then
    python=$(interpreter)
    # Debian ships venv apart from python3; without it half an environment would stay behind.
    "$python" -m venv "$venv" || { rm -rf "$venv"; echo "$python has no venv (on Debian: apt-get install python3-venv)" >&2; exit 1; }
fi

# Two terminals may run make at once: the second waits, then finds the stamp.
if [ -z "${HEDDLE_VENV_LOCKED:-}" ] && command -v flock >/dev/null; then
    HEDDLE_VENV_LOCKED=1 exec flock "$venv/.lock" "$0" "$kind"
fi

stamp="$venv/.installed-$kind"
want=$("$venv/bin/python" scripts/requirements.py stamp)
if [ "$(cat "$stamp" 2>/dev/null || true)" = "$want" ]; then exit 0; fi

echo "installing heddle ($kind) into $venv ..." >&2
# pip learned --group in 25.1; a fresh Debian has 23.2, so the group is read here.
"$venv/bin/python" scripts/requirements.py "$kind" > "$venv/requirements-$kind.txt"
"$venv/bin/pip" install --quiet --disable-pip-version-check --editable . -r "$venv/requirements-$kind.txt"
echo "$want" > "$stamp"
