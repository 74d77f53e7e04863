#!/bin/sh
# Removes from an image with Debian's Python what a container of ours never calls: package managers, Perl, all programs
# that are setuid. dpkg's list of what is left stays true, as scanners and `make sbom` read it.
set -eu

purge() { dpkg --purge --force-depends --force-remove-essential --force-remove-protected "$@"; }

purge python3-pip python3-venv python3.13-venv python3-pip-whl python3-setuptools-whl python3-wheel python3-packaging \
    apt libapt-pkg7.0 sqv debian-archive-keyring passwd login login.defs mount util-linux bsdutils ncurses-bin \
    libpam-modules libpam-modules-bin libpam-runtime libpam0g libsystemd0 libudev1 sysvinit-utils
purge perl-base bash debconf
for lib in /usr/lib/python3.* /usr/local/lib/python3.*; do
    rm -rf "$lib/ensurepip" "$lib/idlelib" "$lib/pydoc_data" "$lib/test" "$lib/site-packages"/pip*
done
# gconv: iconv's character sets, of which Python has its own.
rm -rf /usr/local/bin/pip* /usr/lib/*-linux-gnu/gconv /etc/apt /var/lib/apt /var/cache/* /var/log/* \
    /var/lib/dpkg/*-old /var/lib/dpkg/available /tmp/* /root/.cache /usr/share/man /usr/share/lintian
if find / -xdev -perm /6000 -type f | grep .; then exit 1; fi
# Bytecode is checked by its hash, not by its time: valid whenever it was built, and never checked at a start.
find / -xdev -name __pycache__ -prune -exec rm -rf {} +
python3 -m compileall -q -j 1 --invalidation-mode unchecked-hash \
    "$(python3 -c 'import os; print(os.path.dirname(os.__file__))')"
