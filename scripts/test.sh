#!/usr/bin/env bash
# Every test: unit, integration, golden recordings, e2e. Starts Docker's engine if none runs and leaves nothing running.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=${VENV:-.venv}/bin
status=0

# an engine that is there already is somebody's: it stays
docker version >/dev/null 2>&1 || trap 'scripts/docker-engine.sh stop' EXIT
scripts/docker-engine.sh start || exit 1
scripts/images.sh || exit 1

# what only tests need; RUNLEVEL=1 keeps Debian from starting the registry as a service
missing=()
command -v curl >/dev/null || missing+=(curl)
command -v docker-registry >/dev/null || missing+=(docker-registry)
[ ${#missing[@]} -eq 0 ] || { apt-get update -qq \
  && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }
scripts/compose.sh || exit 1

# the images of docker-compose.yml take a minute, mostly waiting: beside the first tests
scripts/images.sh cluster &
images=$!

run() {
  echo "== $1"
  shift
  "$@" || { status=1; echo "== failed: $*"; }
}

run "unit and integration tests" "$bin/pytest" tests/unit tests/integration -n 2 --dist loadfile -q
run "golden recordings" "$bin/python" -m tests.golden
wait "$images" || status=1
run "end-to-end tests" "$bin/pytest" tests/e2e -q --timeout 600
exit $status
