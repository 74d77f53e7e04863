#!/usr/bin/env bash
# Unpacks Debian 13's prometheus and promtool (2.53) into a folder, on whatever release: get_debian_prometheus.sh FOLDER
# Tests of queries run against them and against the compiled Prometheus 3. apt fetches the packages and checks their
# signatures with its own keyring; nothing is installed.
set -euo pipefail
target=$1
[ ! -x "$target/prometheus" ] || [ ! -x "$target/promtool" ] || exit 0

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
if ! command -v apt-get >/dev/null || [ ! -r "$keyring" ]; then
    echo "make: no Prometheus 2.53 for the tests of queries, as apt-get and debian-archive-keyring are not here;" \
        "put prometheus and promtool into $target to run them"
    exit 0
fi
# This machine's mirror; apt knows a mirror's origin once it has its lists.
mirror() { apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' | grep -v security | sed -n 1p; }
mirror >/dev/null || apt-get update -qq || true
if ! mirror=$(mirror); then
    echo "make: no Prometheus 2.53 for the tests of queries, as apt has no mirror of Debian; they are skipped"
    exit 0
fi
echo "make: unpacking Debian 13's Prometheus 2.53 into $target (40 MB to fetch, once)"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial" "$scratch/packages"
echo "deb [signed-by=$keyring] $mirror trixie main" >"$scratch/sources.list"
options=(-qq -o Dir::Etc::sourcelist="$scratch/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State::lists="$scratch/lists" -o Dir::Cache="$scratch/cache" -o APT::Sandbox::User=root)
fetch() {
    cd "$scratch/packages" && apt-get "${options[@]}" update && apt-get "${options[@]}" download prometheus promtool
}
if ! (fetch); then
    echo "make: no Prometheus 2.53 for the tests of queries, as apt could not fetch it (see above); they are skipped"
    exit 0
fi
for package in "$scratch"/packages/*.deb; do
    dpkg-deb --extract "$package" "$scratch/root"
done
mkdir -p "$target"
mv "$scratch"/root/usr/bin/{prometheus,promtool} "$target/"
