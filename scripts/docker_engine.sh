#!/bin/sh
# A Docker engine for tests: `start` prints the value for DOCKER_HOST (nothing where the usual engine answers), or says
# why there is none and ends with 75; `stop` ends the engine that `start` made. Images stay for the next time.
set -eu
home=${MAILGATE_DOCKER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/mailgate/docker}
socket=$home/docker.sock
pidfile=$home/docker.pid
log=$home/dockerd.log

no_engine() {
    echo "docker engine: $1" >&2
    exit 75
}

is_ours() {
    [ -r "$pidfile" ] && [ "$(cat "/proc/$(cat "$pidfile")/comm" 2>/dev/null)" = dockerd ]
}

start() {
    if docker info >/dev/null 2>&1; then
        return
    fi
    [ "$(id -u)" = 0 ] || no_engine "none answers, and only root can start one"
    if ! command -v dockerd >/dev/null; then
        "$(dirname "$0")/setup.sh" packages docker.io >&2 || no_engine "docker.io can't be installed"
        if docker info >/dev/null 2>&1; then
            return
        fi
    fi
    mkdir -p "$home"
    if ! is_ours; then
        # this machine's own configuration is for its own engine
        echo '{}' >"$home/daemon.json"
        # no bridge and no rules of the firewall: nothing on this machine but the folder is touched
        setsid dockerd --host "unix://$socket" --data-root "$home/data" --exec-root "$home/exec" --pidfile "$pidfile" \
            --config-file "$home/daemon.json" --iptables=false --ip-forward=false --bridge=none >"$log" 2>&1 </dev/null &
        engine=$!
    fi
    tries=0
    until docker --host "unix://$socket" info >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 150 ] || ! kill -0 "${engine:-$(cat "$pidfile")}" 2>/dev/null; then
            tail -n 5 "$log" >&2
            no_engine "dockerd does not start here; its last words are above"
        fi
        sleep 0.2
    done
    echo "unix://$socket"
}

stop() {
    is_ours || return 0
    pid=$(cat "$pidfile")
    kill "$pid"
    while [ -d "/proc/$pid" ]; do sleep 0.1; done
    # the engine leaves them mounted
    umount "$home"/exec/netns/* 2>/dev/null || true
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    *) echo "usage: scripts/docker_engine.sh start|stop" >&2; exit 2 ;;
esac
