#!/usr/bin/env bash
# Prepares a machine: system packages (as root, with apt) and the virtual environment. Does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
PYTHON=${PYTHON:-python3}

# program:package
wanted=(dockerd:docker.io etcd:etcd-server etcdctl:etcd-client nft:nftables iptables:iptables conntrack:conntrack umount:mount ip:iproute2 busybox:busybox-static)
missing=()
for pair in "${wanted[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
done
command -v kubectl >/dev/null 2>&1 || missing+=(kubernetes-client)
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "setup: installing ${missing[*]}" >&2
    # services that the packages bring must not start by themselves: kubeling runs its own etcd
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d.kubeling
    chmod +x /usr/sbin/policy-rc.d.kubeling
    [ -e /usr/sbin/policy-rc.d ] || { mv /usr/sbin/policy-rc.d.kubeling /usr/sbin/policy-rc.d; ours=1; }
    trap '[ -n "${ours:-}" ] && rm -f /usr/sbin/policy-rc.d; rm -f /usr/sbin/policy-rc.d.kubeling' EXIT
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "setup: these packages are missing: ${missing[*]}" >&2
    echo "setup: install them (sudo apt-get install ${missing[*]}) or run make as root; going on without" >&2
  fi
fi

stamp="$VENV/.kubeling-lock"
if [ ! -x "$VENV/bin/kubeling" ] || ! cmp -s requirements.lock "$stamp"; then
  echo "setup: virtual environment in $VENV" >&2
  [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
  "$VENV/bin/pip" install -q --disable-pip-version-check --require-hashes -r requirements.lock
  "$VENV/bin/pip" install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
  cp requirements.lock "$stamp"
fi
# every time, since sources change; what is compiled already is only looked at (Python notices stale files by itself)
"$VENV/bin/python" -m compileall -q kubeling apiserver controllers scheduler kubelet kubeproxy clusterdns
