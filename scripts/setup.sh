#!/bin/sh
# Everything that `make run` or `make test` needs: Debian packages (as root), a virtual environment, the locked Python
# packages. Quick where all of it is there. Usage: scripts/setup.sh run|test, or packages NAME... for these alone.
set -eu
cd "$(dirname "$0")/.."

purpose=${1:?usage: scripts/setup.sh run|test|packages NAME...}
run_packages="clamav-daemon libarchive13"
test_packages="clamav-testfiles dovecot-auth-lua dovecot-imapd dovecot-lmtpd dovecot-managesieved dovecot-sieve faketime gcc knot libc6-dev lua-cjson lua-socket openssh-client postfix strace stunnel4 systemd tcpdump unbound"
lock=requirements.lock
packages=$run_packages
if [ "$purpose" = test ]; then
    lock=requirements-dev.lock
    packages="$run_packages $test_packages"
elif [ "$purpose" = packages ]; then
    shift
    packages=$*
fi

# The first Python from 3.11 on that runs; one that can make virtual environments is preferred.
find_python() {
    for name in python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
}

# Debian 13 and Ubuntu 24.04 renamed libraries with 64-bit times.
is_installed() {
    for name in "$1" "$1t64"; do
        [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null)" != installed ] || return 0
    done
    return 1
}

missing=""
command -v dpkg-query >/dev/null || { echo "setup: this script knows Debian and Ubuntu; on another system install $packages yourself" >&2; packages=""; }
for package in $packages; do
    is_installed "$package" || missing="$missing $package"
done
[ "$purpose" = packages ] || [ -x .venv/bin/python ] || [ -n "$(find_python)" ] || missing="$missing python3 python3-venv"

if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "setup: missing:$missing" >&2
        echo "setup: as root:  apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    echo "setup: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # a list of words
    apt-get -qq install --yes --no-install-recommends $missing </dev/null >/dev/null 2>&1 || {
        apt-get -qq update </dev/null
        apt-get -qq install --yes --no-install-recommends $missing </dev/null >/dev/null
    }
fi
[ "$purpose" != packages ] || exit 0

python=$(find_python)
if [ ! -x .venv/bin/python ]; then
    [ -n "$python" ] || {
        echo "setup: no Python from 3.11 on; this system's is $(python3 --version 2>&1)" >&2
        exit 1
    }
    echo "setup: making .venv with $python"
    "$python" -m venv .venv
fi

stamp=.venv/.setup-$purpose
wanted=$(cat "$lock" pyproject.toml | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "setup: installing the Python packages of $lock"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes --requirement "$lock"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
    echo "$wanted" >"$stamp"
fi

[ "$purpose" != test ] || scripts/exim.sh
