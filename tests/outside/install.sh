#!/usr/bin/env bash
# The programs that the suites in this folder and in tests/conformance need, from Debian, by name.
set -euo pipefail
missing=()
command -v nginx >/dev/null || missing+=(nginx-light)
command -v wrk >/dev/null || missing+=(wrk)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v pgbench >/dev/null || missing+=(postgresql)
command -v valgrind >/dev/null || missing+=(valgrind)
command -v npm >/dev/null || missing+=(nodejs npm)
if [ "${#missing[@]}" -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "${missing[@]}" >/dev/null
fi
