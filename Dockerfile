# Two images: "etcd" (Debian's etcd, for places without a registry) and "kubeling" (every component of ours).
#   docker build --target kubeling -t kubeling/kubeling:dev .
FROM debian:bookworm-slim AS etcd
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends etcd-server >/dev/null \
 && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["/usr/bin/etcd"]

FROM debian:bookworm-slim AS kubeling
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      python3 python3-venv ca-certificates nftables iptables conntrack iproute2 mount >/dev/null \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/kubeling
COPY requirements.lock ./
# the system's certificates rather than pip's own: a base image behind a company's authority brings that one
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install -q --disable-pip-version-check --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY kubeling kubeling
COPY apiserver apiserver
COPY controllers controllers
COPY scheduler scheduler
COPY kubelet kubelet
COPY kubeproxy kubeproxy
COPY clusterdns clusterdns
RUN /opt/venv/bin/pip install -q --disable-pip-version-check --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/venv/bin/python -m compileall -q /opt/venv/lib/python3*/site-packages
ENV PATH=/opt/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1
WORKDIR /
ENTRYPOINT ["/opt/venv/bin/python", "-m"]
CMD ["kubeling.cli.main", "--help"]
