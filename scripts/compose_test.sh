#!/bin/sh
# The local stack, built and tried for real: an engine and base images are made where none can be had. Everything that
# was started is stopped again; images stay for a week, so that the next time is quick. Ends with 75 where no engine can
# run, or no base image be had.
set -eu
cd "$(dirname "$0")/.."

# a second test at the same time waits: they share the engine
exec 9>"${TMPDIR:-/tmp}/mailgate-compose-test-$(id -u).lock"
flock 9

found=$(scripts/docker_engine.sh start 9>&-)
trap 'scripts/docker_engine.sh stop' EXIT
trap 'exit 130' INT TERM
if [ -n "$found" ]; then
    export DOCKER_HOST="$found"
fi
# one builder everywhere: the newer one needs a plug-in that not every machine has
export DOCKER_BUILDKIT=0
docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || scripts/setup.sh packages docker-compose

scripts/base_images.sh
[ -z "$found" ] || docker image prune --force --filter until=168h >/dev/null
.venv/bin/python -m pytest compose -q "$@"
