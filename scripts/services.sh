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

# The store of resources is tested on a PostgreSQL of its own (Debian's package keeps the server off the PATH).
if ! command -v postgres >/dev/null && ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
    echo "services: no PostgreSQL here (apt-get install postgresql); its tests are skipped" >&2
fi
