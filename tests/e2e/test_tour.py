"""The tour of the README and of every beginner's tutorial, command by command."""

from __future__ import annotations

import json
import time
import urllib.request

import pytest

from tests.e2e.support import IMAGE, IMAGE2, Kubectl, eventually, run


@pytest.fixture
def web(k: Kubectl) -> Kubectl:
    k("create", "deployment", "web", f"--image={IMAGE}", "--replicas=3")
    k("rollout", "status", "deployment/web", "--timeout=60s")
    return k


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def test_the_node_is_ready_and_says_what_it_is(cluster):
    (node,) = cluster.get("nodes")["items"]
    conditions = {c["type"]: c["status"] for c in node["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert node["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.36")
    assert {a["type"] for a in node["status"]["addresses"]} >= {"InternalIP", "Hostname"}
    for resource in ("cpu", "memory", "pods", "ephemeral-storage"):
        assert resource in node["status"]["capacity"]
        assert resource in node["status"]["allocatable"]
    assert "Ready" in cluster.kubectl("get", "nodes")


def test_a_deployment_runs_on_real_containers(web, namespace):
    pods = web.items("pods")
    assert [p["status"]["phase"] for p in pods] == ["Running"] * 3
    assert len({p["status"]["podIP"] for p in pods}) == 3
    wide = web("get", "pods", "-o", "wide").splitlines()
    assert wide[0].split()[:8] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED"]
    assert all("1/1" in line and "Running" in line for line in wide[1:])
    names = run("docker", "ps", "--format", "{{.Names}}", "--filter", f"label=io.kubernetes.pod.namespace={namespace}")
    assert len(names.split()) == 6  # a sandbox and a container each


def test_a_service_spreads_over_its_pods(web):
    web("expose", "deployment", "web", "--port=80", "--target-port=8080", "--type=NodePort")
    port = web("get", "service", "web", "-o", "jsonpath={.spec.ports[0].nodePort}")
    url = f"http://127.0.0.1:{port}/"
    eventually(lambda: "Hello" in _try_fetch(url), 20)
    answers = {fetch(url) for _ in range(40)}
    assert len(answers) == 3
    address = web("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    assert "Hello" in fetch(f"http://{address}/")


def _try_fetch(url: str) -> str:
    try:
        return fetch(url)
    except OSError:
        return ""


def test_a_pod_finds_the_service_by_name(web, namespace):
    web("expose", "deployment", "web", "--port=80", "--target-port=8080")
    out = web(
        *("run", "tmp", "--rm", "-i", f"--image={IMAGE}", "--restart=Never", "--"),
        *("wget", "-qO-", f"http://web.{namespace}.svc.cluster.local/"),
    )
    assert "Hello from web-" in out
    assert 'pod "tmp" deleted' in out


def test_logs_exec_and_port_forward(web):
    pod = web("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")
    assert "listens on port 8080" in web("logs", "deploy/web")
    assert web("exec", pod, "--", "hostname").strip() == pod
    assert web("exec", "-i", pod, "--", "cat", stdin="over stdin") == "over stdin"
    with web.port_forward(f"pod/{pod}", 8080) as url:
        assert f"Hello from {pod}" in fetch(url)


def test_exit_statuses_pass_through(web):
    pod = web("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")
    assert "exit code 3" in web.fails("exec", pod, "--", "sh", "-c", "exit 3")


def test_describe_and_events_tell_the_story(web):
    pod = web("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")

    def told() -> bool:
        text = web("describe", "pod", pod)
        for line in ("Successfully assigned", "Container created", "Container started", "already present on machine"):
            assert line in text
        events = web("get", "events")
        assert "ScalingReplicaSet" in events
        assert "SuccessfulCreate" in events
        return True

    eventually(told)


def test_label_annotate_scale_apply_delete(web, tmp_path):
    web("label", "deployment", "web", "tier=front")
    web("annotate", "deployment", "web", "note=hello")
    assert "tier=front" in web("get", "deployment", "web", "--show-labels")
    web("scale", "deployment", "web", "--replicas=1")
    eventually(lambda: len(web.items("pods")) == 1)
    manifest = tmp_path / "cm.yaml"
    manifest.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: red}\n")
    assert "created" in web("apply", "-f", str(manifest))
    assert "unchanged" in web("apply", "-f", str(manifest))
    manifest.write_text(manifest.read_text().replace("red", "blue"))
    assert "configured" in web("apply", "-f", str(manifest))
    assert web("get", "configmap", "settings", "-o", "jsonpath={.data.colour}") == "blue"
    web("delete", "-f", str(manifest))
    listing = web("get", "all")
    for kind in ("pod/", "deployment.apps/", "replicaset.apps/"):
        assert kind in listing


def test_a_deleted_pod_is_replaced(web):
    before = web.items("pods")
    victim = before[0]["metadata"]["name"]
    web("delete", "pod", victim)

    def replaced() -> bool:
        pods = web.items("pods")
        return len(pods) == 3 and all(
            p["status"]["phase"] == "Running" and p["metadata"]["name"] != victim for p in pods
        )

    eventually(replaced)


def test_rollout_and_undo(web):
    web("set", "image", "deployment/web", f"web={IMAGE2}")
    web("rollout", "status", "deployment/web", "--timeout=90s")
    eventually(
        lambda: set(web("get", "pods", "-o", "jsonpath={.items[*].spec.containers[0].image}").split()) == {IMAGE2}
    )
    assert "2" in web("rollout", "history", "deployment/web")
    web("rollout", "undo", "deployment/web")
    web("rollout", "status", "deployment/web", "--timeout=90s")
    eventually(
        lambda: set(web("get", "pods", "-o", "jsonpath={.items[*].spec.containers[0].image}").split()) == {IMAGE}
    )


def test_a_crashing_container_backs_off(k):
    k("run", "crash", f"--image={IMAGE}", "--", "sh", "-c", "echo dying; exit 1")
    eventually(lambda: "CrashLoopBackOff" in k("get", "pod", "crash"), 90)
    assert "dying" in k("logs", "crash", "--previous")
    assert "Back-off restarting failed container" in k("describe", "pod", "crash")


def test_configuration_reaches_containers(k, tmp_path):
    k("create", "configmap", "conf", "--from-literal=greeting=hello")
    k("create", "secret", "generic", "pass", "--from-literal=word=s3cret")
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "conf"},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "image": IMAGE,
                    "env": [
                        {"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "greeting"}}},
                        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    ],
                    "volumeMounts": [
                        {"name": "conf", "mountPath": "/etc/conf"},
                        {"name": "pass", "mountPath": "/etc/pass", "readOnly": True},
                        {"name": "scratch", "mountPath": "/scratch"},
                    ],
                    "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
                }
            ],
            "volumes": [
                {"name": "conf", "configMap": {"name": "conf"}},
                {"name": "pass", "secret": {"secretName": "pass", "defaultMode": 0o400}},
                {"name": "scratch", "emptyDir": {"medium": "Memory"}},
            ],
        },
    }
    k("apply", "-f", "-", stdin=json.dumps(manifest))
    k("wait", "--for=condition=Ready", "pod/conf", "--timeout=60s")
    out = k(
        "exec", "conf", "--", "sh", "-c", "echo $GREETING $IP; cat /etc/conf/greeting /etc/pass/word; touch /scratch/x"
    )
    ip = k("get", "pod", "conf", "-o", "jsonpath={.status.podIP}")
    assert out.split() == ["hello", ip, "hellos3cret"]
    token = k("exec", "conf", "--", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    assert token.count(".") == 2
    k("patch", "configmap", "conf", "-p", '{"data":{"greeting":"goodbye"}}')
    eventually(lambda: k("exec", "conf", "--", "cat", "/etc/conf/greeting") == "goodbye", 90, 1)


def test_time_from_creation_to_running(k):
    """Not a benchmark, a sanity bound: a pod whose image is there runs within a few seconds."""
    began = time.monotonic()
    k("run", "quick", f"--image={IMAGE}")
    k("wait", "--for=jsonpath={.status.phase}=Running", "pod/quick", "--timeout=30s")
    assert time.monotonic() - began < 15
