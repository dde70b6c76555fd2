#!/usr/bin/env bash
# Both compose commands that docker-compose.yml is tested with: Debian's docker-compose 1.29 and, because Debian 12
# does not package it, the v2 plugin of the next Debian, in build/compose (used as "docker --config build/compose compose").
# The second is left out, with a word, where that release cannot be reached.
set -uo pipefail
cd "$(dirname "$0")/.."
plugin=build/compose/cli-plugins/docker-compose

command -v docker-compose >/dev/null \
  || { apt-get update -qq && apt-get install -y -qq --no-install-recommends docker-compose >/dev/null; } || exit 1

docker compose version >/dev/null 2>&1 && exit 0
[ -x "$plugin" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. /etc/os-release
mkdir -p "$work/lists/partial" "$work/sources" "$work/archives/partial"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ -f "$file" ] && sed "s/$VERSION_CODENAME/trixie/g" "$file" >"$work/sources/$(basename "$file")"
done
apt=(apt-get -qq -o "Dir::State::lists=$work/lists" -o "Dir::Cache::archives=$work/archives"
     -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache="
     -o "Dir::Etc::sourcelist=$work/sources/sources.list" -o "Dir::Etc::sourceparts=$work/sources")
# apt downloads as a user of its own, which must be allowed in
chmod -R a+rX "$work"
if "${apt[@]}" update >/dev/null 2>&1 && (cd "$work" && "${apt[@]}" download docker-compose >/dev/null 2>&1) \
   && dpkg -x "$work"/docker-compose_2*.deb "$work/root"; then
  mkdir -p "$(dirname "$plugin")"
  cp "$(find "$work/root" -path '*/cli-plugins/docker-compose' -type f)" "$plugin"
else
  echo "the compose v2 plugin cannot be fetched here: only docker-compose 1.29 is tested" >&2
fi
