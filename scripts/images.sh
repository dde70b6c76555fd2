#!/usr/bin/env bash
# Builds the images of the examples and tests from Debian's packages; no registry is needed.
#   kubeling/web:1, kubeling/web:2   a small web server and the usual command-line tools (busybox)
#   debian:bookworm-slim             (only with "images.sh base") by debootstrap, where it is not there and cannot be pulled
#   kubeling/kubeling:dev, kubeling/etcd:dev   (only with "images.sh cluster") what docker-compose.yml runs
set -euo pipefail
cd "$(dirname "$0")/.."

has() { docker image inspect "$1" >/dev/null 2>&1; }

# build FOLDER OPTIONS...: silent unless it fails; the host's network, so that it reaches what the host reaches
build() {
  local folder=$1 output
  shift
  output=$(docker build --network host "$@" "$folder" 2>&1) || { echo "$output" | tail -30 >&2; return 1; }
}

build_web() {
  local folder version
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' RETURN
  cp "$(command -v busybox)" "$folder/busybox"
  cp -r examples/web-image/. "$folder/"
  for version in 1 2; do
    has "kubeling/web:$version" || build "$folder" --build-arg "VERSION=$version" -t "kubeling/web:$version"
  done
}

build_base() {
  has debian:bookworm-slim && return
  docker pull -q debian:bookworm-slim >/dev/null 2>&1 && return
  command -v debootstrap >/dev/null || apt-get install -y -qq debootstrap >/dev/null
  local root
  root=$(mktemp -d)
  debootstrap --variant=minbase bookworm "$root" >"$root.log" 2>&1 || { tail -5 "$root.log" >&2; return 1; }
  # package lists and sources of the host, so that an image builds wherever the host can install
  rm -rf "$root/etc/apt/sources.list" "$root"/var/cache/apt/archives/*.deb
  cp -r /etc/apt/sources.list* "$root/etc/apt/" 2>/dev/null || true
  cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
  mkdir -p "$root/usr/local/share/ca-certificates"
  cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
  tar -C "$root" -c . | docker import - debian:bookworm-slim >/dev/null
  rm -rf "$root" "$root.log"
}

build_cluster() {
  build_base
  build . -t kubeling/etcd:dev --target etcd
  build . -t kubeling/kubeling:dev --target kubeling
}

case "${1:-web}" in
web) build_web ;;
base) build_base ;;
cluster) build_cluster ;;
*)
  echo "usage: $0 [web|base|cluster]" >&2
  exit 2
  ;;
esac
