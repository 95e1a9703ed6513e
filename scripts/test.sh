#!/bin/sh
# Runs the tests: the quick ones on two processes (a file stays on one, so that its server starts once), the slow ones,
# which measure time and hold many sockets, alone.
# Ends with one plain line of counts. With arguments, they go to pytest in one run.
set -u
cd "$(dirname "$0")/.."
. scripts/services.sh
python="${VENV:-.venv}/bin/python"
out=${TEST_RESULTS:-.pytest_cache/results}
mkdir -p "$out"
rm -f "$out"/*.xml

if [ $# -gt 0 ]; then
    exec "$python" -m pytest "$@"
fi

status=0
"$python" -m pytest -n 2 --dist loadfile -m "not slow" --junitxml="$out/quick.xml" </dev/null || status=1
"$python" -m pytest -m slow --junitxml="$out/slow.xml" </dev/null
code=$?
# 5: nothing is marked slow
if [ $code -ne 0 ] && [ $code -ne 5 ]; then status=1; fi
"$python" scripts/counts.py "$out" || status=1
exit $status
