# Sourced, not run: what the tests need of the machine, checked before they start rather than failing inside one of them.
# Servers are fakes in the tests' own process, on ephemeral loopback ports, or started by the tests that need them, so
# nothing is started here; what is not installed is said, for its tests are skipped.

# A test holds 1,000 slow connections, each with two ends in this process.
files=$(ulimit -n)
if [ "$files" != unlimited ] && [ "$files" -lt 8192 ]; then
    ulimit -n 8192 2>/dev/null || echo "services: only $files open files allowed; tests with 1,000 connections need 8192" >&2
fi

# The counters are a file mapped by every worker.
"${VENV:-.venv}/bin/python" - <<'PYTHON'
import mmap, socket, tempfile
with tempfile.TemporaryFile() as file:
    file.truncate(4096)
    mmap.mmap(file.fileno(), 4096).close()
socket.create_server(("127.0.0.1", 0)).close()
PYTHON

# Servers and programs that tests start themselves come from the distribution; as root on Debian they are installed.
missing=
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v git >/dev/null || missing="$missing git"
command -v kubectl >/dev/null || missing="$missing kubernetes-client"
# Debian's package keeps PostgreSQL's server off the PATH.
command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "services: installing$missing ..." >&2
    # shellcheck disable=SC2086
    if DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null 2>&1 \
        || { apt-get -qq update >/dev/null 2>&1 \
            && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null 2>&1; }; then
        missing=
    fi
fi
[ -z "$missing" ] || echo "services: not here, and tests that need it are skipped or fail (apt-get install$missing)" >&2
scripts/kubectl_setup.sh
