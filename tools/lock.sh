#!/usr/bin/env bash
# Pins the dependencies with hashes, for every Python and platform, without index addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
compile() { "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header "$@"; }

compile pyproject.toml -o requirements/operator.txt
compile pyproject.toml sample-app/requirements.in sample-app/requirements-otel.in --group dev \
    -c requirements/operator.txt -o requirements/dev.txt
for folder in sample-app cluster/envoy; do
    compile "$folder/requirements.in" -o "$folder/requirements.txt"
done
compile sample-app/requirements-otel.in -c sample-app/requirements.txt -o sample-app/requirements-otel.txt
