#!/bin/sh
# The two images that the local stack builds from: there already, or pulled, or made here from this machine's own
# package sources and its Python 3.13 where no registry can be reached. Nothing of the latter leaves this machine.
# Ends with 75 where neither can be; any other failure is one of ours.
#
# DEBIAN_DIGEST and PYTHON_DIGEST (sha256:...) pin them: then it is that image, pulled, or none. There is no default, since
# a digest that we could not pull and look at ourselves would prove nothing.
set -eu
cd "$(dirname "$0")/.."
debian=debian:bookworm-slim
python=python:3.13-slim-bookworm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

is_had() {
    docker image inspect "$1" >/dev/null 2>&1 || docker pull --quiet "$1" >/dev/null 2>&1
}

# $1: the image; $2: the digest that it must have. Builds go on to name the image by its tag.
pin() {
    docker pull --quiet "${1%%:*}@$2" >/dev/null || {
        echo "base images: ${1%%:*}@$2 can't be pulled" >&2
        return 1
    }
    docker tag "${1%%:*}@$2" "$1"
}

make_debian() {
    echo "base images: making $debian from this machine's package sources"
    command -v mmdebstrap >/dev/null || scripts/setup.sh packages mmdebstrap
    files=$(grep -lsw bookworm /etc/apt/sources.list /etc/apt/sources.list.d/debian* || true)
    [ -n "$files" ] || {
        echo "base images: $debian can't be pulled, and this machine has no package source for it" >&2
        return 75
    }
    # shellcheck disable=SC2086 # a list of files without spaces in their names
    cat $files >"$work/sources"
    apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|http|https)' >"$work/apt.conf" || true
    mmdebstrap --quiet --variant=minbase --aptopt="$work/apt.conf" --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$work/debian.tar" - <"$work/sources"
    docker import "$work/debian.tar" "$debian" >/dev/null
    rm "$work/debian.tar"
}

# Prints the folder of a Python 3.13 with everything below it.
python_home() {
    for found in python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3.13; do
        "$found" -c 'import sys; print(sys.base_prefix)' 2>/dev/null && return
    done
    echo "base images: $python can't be pulled, and there is no python3.13 here to make it from" >&2
    return 75
}

make_python() {
    home=$(python_home)
    echo "base images: making $python with $home"
    tar --create --file "$work/python.tar" --directory "$home" --exclude=__pycache__ --exclude='*.a' --exclude=./include \
        --exclude=./share --exclude='lib/python3.13/test' --exclude='lib/python3.13/site-packages' \
        --exclude='lib/python3.13/idlelib' --exclude='lib/python3.13/config-*' .
    cp /etc/ssl/certs/ca-certificates.crt "$work/"
    {
        echo '[global]'
        echo 'cert = /etc/ssl/certs/ca-certificates.crt'
        # folders of this machine mean nothing inside the image
        python3 -m pip config list |
            sed -nE "s/^[^.]*\.(index-url|extra-index-url|trusted-host|proxy)='(.*)'$/\1 = \2/p" | grep -v 'file:' || true
    } >"$work/pip.conf"
    cp compose/bases/python/Dockerfile "$work/"
    docker build --network=host --tag "$python" "$work" >"$work/log" 2>&1 || {
        tail -n 20 "$work/log" >&2
        return 1
    }
}

if [ -n "${DEBIAN_DIGEST:-}" ]; then pin "$debian" "$DEBIAN_DIGEST"; else is_had "$debian" || make_debian; fi
if [ -n "${PYTHON_DIGEST:-}" ]; then pin "$python" "$PYTHON_DIGEST"; else is_had "$python" || make_python; fi
