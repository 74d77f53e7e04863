#!/usr/bin/env bash
# Puts the real servers that tests start on loopback into DIR/bin, without installing them:
# an installed package would start its service and take a port. fetch_test_tools.sh DIR
set -euo pipefail
dir=$1
tools=(nginx prometheus)

mkdir -p "$dir/bin" "$dir/packages"
for tool in "${tools[@]}"; do
    if PATH="$PATH:/usr/sbin" command -v "$tool" >/dev/null; then
        ln -sf "$(PATH="$PATH:/usr/sbin" command -v "$tool")" "$dir/bin/$tool"
    elif command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
        echo "make: unpacking Debian's $tool for the tests"
        if ! (cd "$dir/packages" && apt-get download -q "$tool" >/dev/null 2>&1); then
            [ "$(id -u)" = 0 ] && apt-get update -qq >/dev/null 2>&1 || true
            (cd "$dir/packages" && apt-get download -q "$tool" >/dev/null 2>&1) || {
                echo "make: no $tool package to be had; tests that need it are skipped" >&2
                continue
            }
        fi
        dpkg -x "$dir"/packages/"$tool"_*.deb "$dir/root"
        ln -sf "$(cd "$dir/root" && find "$PWD/usr/bin" "$PWD/usr/sbin" -name "$tool" -type f 2>/dev/null | head -1)" "$dir/bin/$tool"
    else
        echo "make: no $tool on PATH; tests that need it are skipped" >&2
    fi
done
rm -rf "$dir/packages"
touch "$dir/ready"
