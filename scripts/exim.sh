#!/bin/sh
# Exim beside Postfix, for tests: Debian lets one of them be installed only, so the program of the other is unpacked into
# a cache. Needs root for the account that Exim insists on and for missing libraries. Quick where all of it is there.
set -eu
cd "$(dirname "$0")/.."
home=${MAILGATE_EXIM_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/mailgate/exim}

if command -v exim4 >/dev/null || [ -x /usr/sbin/exim4 ]; then
    exit 0
fi
command -v dpkg-query >/dev/null || { echo "exim: this script knows Debian and Ubuntu; tests with Exim will be skipped" >&2; exit 0; }

if [ ! -x "$home/exim4" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    chmod 755 "$work" # apt fetches under an account of its own
    (cd "$work" && { apt-get -qq download exim4-daemon-light || { apt-get -qq update && apt-get -qq download exim4-daemon-light; }; }) >/dev/null 2>&1 || {
        echo "exim: the package exim4-daemon-light can't be fetched; tests with Exim will be skipped" >&2
        exit 0
    }
    dpkg -x "$work"/exim4-daemon-light_*.deb "$work/unpacked"
    mkdir -p "$home"
    dpkg-deb --field "$work"/exim4-daemon-light_*.deb Depends | tr ',' '\n' | sed -n 's/^ *\(lib[^ ]*\).*/\1/p' >"$home/libraries"
    install --mode 0755 "$work/unpacked/usr/sbin/exim4" "$home/exim4.new" # without the set-user-id bit
    mv "$home/exim4.new" "$home/exim4"
fi

# shellcheck disable=SC2046 # a list of words
scripts/setup.sh packages $(cat "$home/libraries")

getent passwd Debian-exim >/dev/null || {
    [ "$(id -u)" = 0 ] || { echo "exim: as root:  useradd --system --no-create-home --shell /usr/sbin/nologin Debian-exim" >&2; exit 1; }
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin Debian-exim
}
