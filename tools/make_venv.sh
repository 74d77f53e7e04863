#!/usr/bin/env bash
# Makes the virtual environment and installs the pinned packages: make_venv.sh PYTHON DIR REQUIREMENTS
set -euo pipefail
python=$1 venv=$2 requirements=$3

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "make: $python is older than 3.11; install a newer Python and call make with PYTHON=/path/to/python3" >&2
    exit 1
}
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "make: installing python3-venv (this Python came without venv)"
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    else
        echo "make: $python has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv)" >&2
        exit 1
    fi
fi
echo "make: installing packages into $venv (one to two minutes the first time)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/pip" install -qq --disable-pip-version-check --require-hashes -r "$requirements"
# The `scalableapp` command, from this checkout.
"$venv/bin/pip" install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
