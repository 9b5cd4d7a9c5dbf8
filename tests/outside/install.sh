#!/usr/bin/env bash
# The programs that the suites in this folder and in tests/conformance need, by name, from Debian and PyPI.
set -euo pipefail
missing=()
command -v nginx >/dev/null || missing+=(nginx-light)
command -v wrk >/dev/null || missing+=(wrk)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v pgbench >/dev/null || missing+=(postgresql)
command -v valgrind >/dev/null || missing+=(valgrind)
command -v pebble >/dev/null || missing+=(pebble)
command -v openssl >/dev/null || missing+=(openssl)
command -v npm >/dev/null || missing+=(nodejs npm)
command -v curl >/dev/null || missing+=(curl)
python3 -c "import ensurepip, venv" 2>/dev/null || missing+=(python3-venv)

# Without what they recommend: a web server beside nginx, a fleet of containers, a desktop.
sites=()
command -v promtool >/dev/null || sites+=(prometheus)
command -v systemd-analyze >/dev/null || sites+=(systemd)
command -v mariadbd >/dev/null || sites+=(mariadb-server)
compgen -G "/usr/sbin/php-fpm*" >/dev/null || sites+=(php-fpm)
[ -f /usr/share/wordpress/wp-login.php ] || sites+=(wordpress)
[ -d /usr/share/wordpress/wp-content/themes/twentytwentythree ] || sites+=(wordpress-theme-twentytwentythree)
command -v apt-ftparchive >/dev/null || sites+=(apt-utils)
command -v docker-registry >/dev/null || sites+=(docker-registry)
command -v skopeo >/dev/null || sites+=(skopeo)
command -v chromium >/dev/null || sites+=(chromium)

export DEBIAN_FRONTEND=noninteractive
if [ "$((${#missing[@]} + ${#sites[@]}))" -gt 0 ]; then
    apt-get update -qq
    apt-get install -qq -y "${missing[@]}" >/dev/null
    apt-get install -qq -y --no-install-recommends "${sites[@]}" >/dev/null
fi

venv="${CARGO_TARGET_DIR:-$(dirname "$0")/../../target}/outside-venv"
if ! "$venv/bin/python" -c "import django, gunicorn, curl_cffi, sslyze, schemathesis, openapi_spec_validator" 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q "django>=5.2,<6" "gunicorn>=23" "curl_cffi>=0.17,<1" "sslyze>=6.3,<7" \
        "schemathesis>=4.32,<5" "openapi-spec-validator>=0.9,<1"
fi
