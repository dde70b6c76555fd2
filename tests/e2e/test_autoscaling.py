"""kubectl top and kubectl autoscale on a real cluster."""

from __future__ import annotations

from tests.e2e.support import IMAGE, Cluster, Kubectl, eventually

BUSY = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: busy}}
spec:
  selector: {{matchLabels: {{app: busy}}}}
  template:
    metadata: {{labels: {{app: busy}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: {IMAGE}
        command: [sh, -c, "while :; do i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done; sleep 0.05; done"]
        resources: {{requests: {{cpu: 10m}}, limits: {{cpu: 200m}}}}
"""


def test_top_and_autoscale(cluster: Cluster, k: Kubectl) -> None:
    k("apply", "-f", "-", stdin=BUSY)
    k("autoscale", "deployment", "busy", "--cpu-percent=50", "--min=1", "--max=3")
    eventually(lambda: "busy-" in k("top", "pods", check=False), 90)
    assert "CPU(cores)" in cluster.kubectl("top", "nodes")
    eventually(lambda: k("get", "deployment", "busy", "-o", "jsonpath={.spec.replicas}") == "3", 90)
    k.told("busy", "New size: 3; reason: cpu resource utilization (percentage of request) above target")
