from pathlib import Path
from typing import Any

import orjson
import pytest

from controllers.lib import hashing
from controllers.lib.gotext import pod_template_text
from controllers.lib.hashing import fnv32, fnv32a, go_json, pod_template_hash, revision_hash, safe_encode
from kubeling.api.meta import Object
from kubeling.api.schema.definitions import load


@pytest.mark.parametrize(
    ("data", "fnv1", "fnv1a"),
    [(b"", 0x811C9DC5, 0x811C9DC5), (b"a", 0x050C5D7E, 0xE40C292C), (b"foobar", 0x31F0B262, 0xBF9CF968)],
)
def test_published_values(data: bytes, fnv1: int, fnv1a: int) -> None:
    assert (fnv32(data), fnv32a(data)) == (fnv1, fnv1a)


def test_json_as_go_writes_maps() -> None:
    assert (
        go_json({"b": "<&>\u2028é\n", "a": [1, None]})
        == b'{"a":[1,null],"b":"\\u003c\\u0026\\u003e\\u2028\xc3\xa9\\n"}'
    )


def test_the_hash_of_a_revision_takes_in_the_collisions_as_text() -> None:
    assert revision_hash({}, 0) == safe_encode(str(fnv32(b"{}0")))
    assert revision_hash({}, 12) == safe_encode(str(fnv32(b"{}12")))


def template(labels: Object, **container: Any) -> Object:
    """As the API server completes it."""
    defaults = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "resources": {}}
    spec = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
    }
    containers = [{**container, **defaults}]
    return {
        "metadata": {"labels": labels},
        "spec": {"containers": containers, "schedulerName": "default-scheduler", **spec},
    }


def test_the_hash_is_the_one_that_clusters_of_1_36_show() -> None:
    """``kubectl create deployment nginx --image=nginx`` makes a ReplicaSet nginx-7f8fbb96d there."""
    made = template({"app": "nginx"}, name="nginx", image="nginx", imagePullPolicy="Always")
    assert pod_template_hash(made) == "7f8fbb96d"
    assert len({pod_template_hash(made, collisions) for collisions in (None, 0, 1, 2)}) == 4


def probe(path: str, port: str, **more: int) -> Object:
    times = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    return {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}, **times, **more}


def test_the_hash_of_the_dns_server_of_a_1_36_cluster() -> None:
    """kubeadm's CoreDNS is coredns-589f44dc88 there: quantities, probes, named ports, affinity, volumes, capabilities."""
    ports = (("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP"))
    ports += (("liveness-probe", 8080, "TCP"), ("readiness-probe", 8181, "TCP"))
    made = template(
        {"k8s-app": "kube-dns"},
        name="coredns",
        image="registry.k8s.io/coredns/coredns:v1.14.2",
        imagePullPolicy="IfNotPresent",
        args=["-conf", "/etc/coredns/Corefile"],
        ports=[{"name": name, "containerPort": number, "protocol": protocol} for name, number, protocol in ports],
        volumeMounts=[{"name": "config-volume", "readOnly": True, "mountPath": "/etc/coredns"}],
        livenessProbe=probe("/health", "liveness-probe", initialDelaySeconds=60, timeoutSeconds=5, failureThreshold=5),
        readinessProbe=probe("/ready", "readiness-probe"),
        securityContext={
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
        },
    )
    limits = {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}}
    made["spec"]["containers"][0]["resources"] = limits
    configuration = {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}], "defaultMode": 420}
    others = {"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]}
    term = {"labelSelector": others, "topologyKey": "kubernetes.io/hostname"}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    made["spec"] |= {
        "volumes": [{"name": "config-volume", "configMap": configuration}],
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "serviceAccountName": "coredns",
        "serviceAccount": "coredns",
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}},
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
        ],
        "priorityClassName": "system-cluster-critical",
    }
    assert pod_template_hash(made) == "589f44dc88"


def test_what_go_prints_of_a_template() -> None:
    made = template({"b": "2", "a": "1"}, name="c", image="i", ports=[{"containerPort": 80, "protocol": "TCP"}])
    container = made["spec"]["containers"][0]
    container["resources"] = {
        "limits": {"cpu": "1500m", "memory": "64Mi", "hugepages-2Mi": "0"},
        "requests": {"x": "2k"},
    }
    container["livenessProbe"] = {"httpGet": {"port": "web"}, "periodSeconds": 3}
    made["spec"] |= {"volumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {}, "hostNetwork": True}
    text = pod_template_text(made)
    quantity = (
        "(resource.int64Amount){{value:(int64){} scale:(resource.Scale){}}} d:(resource.infDecAmount){{Dec:(*inf.Dec)<nil>}}"
        " s:(string){} Format:(resource.Format){}"
    )
    for part in (
        "Labels:(map[string]string)map[a:1 b:2] Annotations:(map[string]string)<nil>",
        "Ports:([]v1.ContainerPort)[{Name:(string) HostPort:(int32)0 ContainerPort:(int32)80 Protocol:(v1.Protocol)TCP ",
        "Limits:(v1.ResourceList)map[cpu:{i:" + quantity.format(1500, -3, "1500m", "DecimalSI"),
        "memory:{i:" + quantity.format(67108864, 0, "64Mi", "BinarySI"),
        "hugepages-2Mi:{i:" + quantity.format(0, 0, "0", "DecimalSI"),
        "Requests:(v1.ResourceList)map[x:{i:" + quantity.format(2, 3, "2k", "DecimalSI"),
        "LivenessProbe:(*v1.Probe){ProbeHandler:(v1.ProbeHandler){Exec:(*v1.ExecAction)<nil> HTTPGet:(*v1.HTTPGetAction){Path:",
        "Port:(intstr.IntOrString){Type:(intstr.Type)1 IntVal:(int32)0 StrVal:(string)web}",
        "Volumes:([]v1.Volume)[{Name:(string)v VolumeSource:(v1.VolumeSource){HostPath:(*v1.HostPathVolumeSource)<nil> ",
        "TerminationGracePeriodSeconds:(*int64)30 ActiveDeadlineSeconds:(*int64)<nil>",
        "NodeSelector:(map[string]string)<nil>",
        "HostNetwork:(bool)true",
    ):
        assert part in text


def test_every_field_of_a_template_has_its_place_in_the_text() -> None:
    """The published definitions of 1.36 and the table of Go's structs tell of the same fields."""
    structs = orjson.loads((Path(hashing.__file__).parent / "podtemplate.json").read_bytes())["structs"]

    def told(struct: str) -> set[str]:
        return {n for _, name, type_ in structs[struct] for n in ([name] if name else told(type_))}

    definitions, compared = load("1.36"), 0
    for struct in structs:
        for package in ("io.k8s.api.core", "io.k8s.apimachinery.pkg.apis.meta"):
            if (published := definitions.get(f"{package}.{struct}")) is not None:
                assert told(struct) == set(published["properties"]), struct
                compared += 1
    assert compared > 80
