#!/usr/bin/env bash
# Installs the real servers, the browser and the load generator that tests and `make bench-app` start on loopback.
# Only where no service manager would start them as services, too; elsewhere those tests are skipped, and say which
# package they lack.
set -euo pipefail
packages=(chromium chromium-driver nginx-light openssl postgresql redis-server wrk)
"$(dirname "$0")/get_debian_prometheus.sh" "${XDG_CACHE_HOME:-$HOME/.cache}/scalableapp/prometheus-debian-13"

missing=()
for package in "${packages[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ] || [ -d /run/systemd/system ]; then
    echo "make: not installed, so the tests that start them are skipped: ${missing[*]}"
    exit 0
fi
echo "make: installing servers for the tests: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
