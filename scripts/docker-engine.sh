#!/usr/bin/env bash
# docker-engine.sh start: makes sure that a Docker engine answers.
# docker-engine.sh stop: ends it if the former started it and no cluster uses it any more.
set -euo pipefail
pid_file=/var/run/kubeling-dockerd.pid
log=/var/log/kubeling-dockerd.log
export PATH="$PATH:/usr/sbin:/sbin"

# a pid file that outlived its process names, by now, perhaps another one: the engine would not start beside that
forget_dead() {
  local file=$1 name=$2
  if [ -f "$file" ] && [ "$(cat "/proc/$(cat "$file")/comm" 2>/dev/null)" != "$name" ]; then rm -f "$file"; fi
}

answers() { docker version >/dev/null 2>&1; }

case "${1:-}" in
start)
  answers && exit 0
  if [ "$(id -u)" -ne 0 ]; then
    echo "docker-engine: no Docker engine answers: start it, or run as root" >&2
    exit 1
  fi
  if [ -d /run/systemd/system ]; then
    systemctl start docker
  else
    forget_dead /var/run/docker.pid dockerd
    forget_dead /var/run/docker/containerd/containerd.pid containerd
    nohup dockerd >"$log" 2>&1 </dev/null &
    echo $! >"$pid_file"
  fi
  for _ in $(seq 150); do
    answers && exit 0
    sleep 0.2
  done
  echo "docker-engine: dockerd does not answer after 30 s, see $log" >&2
  exit 1
  ;;
stop)
  [ -f "$pid_file" ] || exit 0
  [ -z "$(docker ps -q --filter label=kubeling.cluster 2>/dev/null)" ] || exit 0
  pid=$(cat "$pid_file")
  rm -f "$pid_file"
  # only the engine that we started: the number may belong to another process by now
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
    kill "$pid"
    for _ in $(seq 100); do
      [ -d "/proc/$pid" ] || break
      sleep 0.2
    done
  fi
  ;;
*)
  echo "usage: $0 start|stop" >&2
  exit 2
  ;;
esac
