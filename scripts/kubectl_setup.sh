#!/bin/sh
# Unpacks Debian's kubectl (package kubernetes-client) under .bench/kubectl, beside whatever kubectl is installed: the
# oldest that people still have is tried together with the newest that is here. What is there already is left alone.
# Without apt, or when the package cannot be had, it says so and changes nothing: other versions are tried all the same.
set -u
cd "$(dirname "$0")/.."
[ -x .bench/kubectl/usr/bin/kubectl ] && exit 0
command -v apt-get >/dev/null && command -v dpkg >/dev/null || { echo "kubectl: no apt here; Debian's is not tried" >&2; exit 0; }
mkdir -p .bench/kubectl
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download kubernetes-client && dpkg -x kubernetes-client_*.deb unpacked) >.bench/kubectl.log 2>&1 \
    && cp -r "$work/unpacked/." .bench/kubectl/ \
    || { tail -2 .bench/kubectl.log >&2; echo "kubectl: Debian's kubernetes-client cannot be had; it is not tried" >&2; }
