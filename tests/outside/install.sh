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

# Without what they recommend: a web server beside nginx.
sites=()
command -v mariadbd >/dev/null || sites+=(mariadb-server)
compgen -G "/usr/sbin/php-fpm*" >/dev/null || sites+=(php-fpm)
[ -f /usr/share/wordpress/wp-login.php ] || sites+=(wordpress)
[ -d /usr/share/wordpress/wp-content/themes/twentytwentythree ] || sites+=(wordpress-theme-twentytwentythree)

export DEBIAN_FRONTEND=noninteractive
if [ "$((${#missing[@]} + ${#sites[@]}))" -gt 0 ]; then
    apt-get update -qq
    apt-get install -qq -y "${missing[@]}" >/dev/null
    apt-get install -qq -y --no-install-recommends "${sites[@]}" >/dev/null
fi
