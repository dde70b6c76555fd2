"""A small valid object of every served built-in kind: what its validation demands and no more.

``SEEDS`` maps ``(apiVersion, plural)`` to the object without ``apiVersion``, ``kind`` and ``metadata``; a kind that
is not in it needs nothing. Reviews and other kinds that are not stored are in ``REVIEWS``. ``named`` gives a name
that the kind accepts.
"""

from __future__ import annotations

import base64
import copy
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apiserver.kinds import KINDS
from apiserver.registry.kind import Kind
from kubeling.api.resource import Resource

_POD = {"containers": [{"name": "c", "image": "registry.example/app:1"}]}
_TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": _POD}
_JOB = {"template": {"spec": {**_POD, "restartPolicy": "Never"}}}
_WORKLOAD = {"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": _TEMPLATE}}
_SCALER = {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}}
_RULES = {
    "resourceRules": [
        {"apiGroups": ["nothing.example"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}
    ]
}
_DEVICES = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "gpu.example"}}]}}
_WEBHOOK = {
    "name": "w.example.com",
    "clientConfig": {"url": "https://w.example.com/x"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "rules": [{"apiGroups": ["none.example"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nones"]}],
}
_APPLY_CONFIGURATION = {
    "patchType": "ApplyConfiguration",
    "applyConfiguration": {"expression": 'Object{metadata: Object.metadata{labels: {"a": "b"}}}'},
}

SEEDS: dict[tuple[str, str], dict[str, Any]] = {
    ("v1", "configmaps"): {"data": {"a": "b"}},
    ("v1", "endpoints"): {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]},
    ("v1", "events"): {"involvedObject": {"kind": "Pod", "name": "p"}, "reason": "Why", "type": "Normal"},
    ("events.k8s.io/v1", "events"): {
        "eventTime": "2024-05-06T07:08:09.000010Z",
        "reportingController": "example.com/c",
        "reportingInstance": "i",
        "action": "Act",
        "reason": "Why",
        "type": "Normal",
        "regarding": {"kind": "Pod", "name": "p"},
    },
    ("v1", "persistentvolumeclaims"): {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
    ("v1", "persistentvolumes"): {
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}
    },
    ("v1", "pods"): {"spec": _POD},
    ("v1", "podtemplates"): {"template": _TEMPLATE},
    ("v1", "replicationcontrollers"): {"spec": {"template": _TEMPLATE}},
    ("v1", "services"): {"spec": {"ports": [{"port": 80}], "selector": {"app": "x"}}},
    ("apps/v1", "controllerrevisions"): {"revision": 1, "data": {"x": "y"}},
    ("apps/v1", "daemonsets"): _WORKLOAD,
    ("apps/v1", "deployments"): _WORKLOAD,
    ("apps/v1", "replicasets"): _WORKLOAD,
    ("apps/v1", "statefulsets"): _WORKLOAD,
    ("batch/v1", "cronjobs"): {"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": _JOB}}},
    ("batch/v1", "jobs"): {"spec": _JOB},
    ("autoscaling/v1", "horizontalpodautoscalers"): _SCALER,
    ("autoscaling/v2", "horizontalpodautoscalers"): _SCALER,
    ("policy/v1", "poddisruptionbudgets"): {"spec": {"selector": {"matchLabels": {"app": "x"}}}},
    ("networking.k8s.io/v1", "ingressclasses"): {"spec": {"controller": "example.com/ctl"}},
    ("networking.k8s.io/v1", "ingresses"): {"spec": {"rules": [{"host": "a.example"}]}},
    ("networking.k8s.io/v1", "ipaddresses"): {
        "spec": {"parentRef": {"resource": "services", "namespace": "x", "name": "y"}}
    },
    ("networking.k8s.io/v1", "servicecidrs"): {"spec": {"cidrs": ["198.51.100.0/24"]}},
    ("discovery.k8s.io/v1", "endpointslices"): {"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"]}]},
    ("rbac.authorization.k8s.io/v1", "clusterroles"): {
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    },
    ("rbac.authorization.k8s.io/v1", "roles"): {
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    },
    ("rbac.authorization.k8s.io/v1", "clusterrolebindings"): {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    },
    ("rbac.authorization.k8s.io/v1", "rolebindings"): {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    },
    ("storage.k8s.io/v1", "csidrivers"): {"spec": {}},
    ("storage.k8s.io/v1", "csinodes"): {"spec": {"drivers": [{"name": "d.example", "nodeID": "n"}]}},
    ("storage.k8s.io/v1", "csistoragecapacities"): {"storageClassName": "sc"},
    ("storage.k8s.io/v1", "storageclasses"): {"provisioner": "x.example/y"},
    ("storage.k8s.io/v1", "volumeattachments"): {
        "spec": {"attacher": "d.example", "nodeName": "n1", "source": {"persistentVolumeName": "pv"}}
    },
    ("storage.k8s.io/v1", "volumeattributesclasses"): {"driverName": "d.example", "parameters": {"a": "b"}},
    ("scheduling.k8s.io/v1", "priorityclasses"): {"value": 5},
    ("node.k8s.io/v1", "runtimeclasses"): {"handler": "runc"},
    ("admissionregistration.k8s.io/v1", "mutatingadmissionpolicies"): {
        "spec": {"matchConstraints": _RULES, "reinvocationPolicy": "Never", "mutations": [_APPLY_CONFIGURATION]}
    },
    ("admissionregistration.k8s.io/v1", "mutatingadmissionpolicybindings"): {"spec": {"policyName": "none.example"}},
    ("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations"): {"webhooks": [_WEBHOOK]},
    ("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations"): {"webhooks": [_WEBHOOK]},
    ("admissionregistration.k8s.io/v1", "validatingadmissionpolicies"): {
        "spec": {"matchConstraints": _RULES, "validations": [{"expression": "true"}]}
    },
    ("admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings"): {
        "spec": {"policyName": "none.example", "validationActions": ["Deny"]}
    },
    ("flowcontrol.apiserver.k8s.io/v1", "flowschemas"): {
        "spec": {"priorityLevelConfiguration": {"name": "global-default"}}
    },
    ("flowcontrol.apiserver.k8s.io/v1", "prioritylevelconfigurations"): {
        "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}
    },
    ("resource.k8s.io/v1", "resourceclaims"): {"spec": _DEVICES},
    ("resource.k8s.io/v1", "resourceclaimtemplates"): {"spec": {"spec": _DEVICES}},
    ("resource.k8s.io/v1", "resourceslices"): {
        "spec": {
            "driver": "d.example",
            "nodeName": "n1",
            "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "d"}],
        }
    },
}

REVIEWS: dict[tuple[str, str], dict[str, Any]] = {
    ("v1", "bindings"): {"target": {"kind": "Node", "name": "n1"}},
    ("authentication.k8s.io/v1", "selfsubjectreviews"): {},
    ("authentication.k8s.io/v1", "tokenreviews"): {"spec": {"token": "x"}},
    ("authorization.k8s.io/v1", "selfsubjectrulesreviews"): {"spec": {"namespace": "default"}},
    ("authorization.k8s.io/v1", "localsubjectaccessreviews"): {
        "spec": {"user": "u", "resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}}
    },
    ("authorization.k8s.io/v1", "selfsubjectaccessreviews"): {
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}
    },
    ("authorization.k8s.io/v1", "subjectaccessreviews"): {
        "spec": {"user": "u", "nonResourceAttributes": {"verb": "get", "path": "/x"}}
    },
}


@cache
def _certificate_request() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "someone")])
    signed = x509.CertificateSigningRequestBuilder().subject_name(name).sign(_KEY, hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


_KEY = ec.generate_private_key(ec.SECP256R1())


def _definition(name: str) -> dict[str, Any]:
    group = name.partition(".")[2]
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"plural": name.partition(".")[0], "kind": "Thing"}
    return {"spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]}}


def _service_api(name: str) -> dict[str, Any]:
    version, _, group = name.partition(".")
    return {"spec": {"group": group, "version": version, "groupPriorityMinimum": 10, "versionPriority": 10}}


def named(resource: Resource, number: int) -> str:
    """A name that the kind accepts and that differs with the number (below 60,000)."""
    forms = {
        "ipaddresses": f"198.18.{number // 250}.{number % 250}",
        "customresourcedefinitions": f"things.g{number}.example",
        "apiservices": f"v1.g{number}.example",
        "ingressclasses": f"c-{number}",
    }
    return forms.get(resource.plural, f"o-{number}")


def seed(resource: Resource, name: str, namespace: str) -> dict[str, Any]:
    """A valid object of the kind with this name for this namespace, which only events mention."""
    made = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}}
    where = (resource.api_version, resource.plural)
    match resource.plural:
        case "customresourcedefinitions":
            rest = _definition(name)
        case "apiservices":
            rest = _service_api(name)
        case "certificatesigningrequests":
            usages = ["client auth"]
            rest = {"spec": {"request": _certificate_request(), "signerName": "example.com/signer", "usages": usages}}
        case "events":
            about = "regarding" if resource.group else "involvedObject"
            rest = {**SEEDS[where], about: {**SEEDS[where][about], "namespace": namespace}}
        case _:
            rest = SEEDS.get(where) or REVIEWS.get(where) or {}
    return {**made, **copy.deepcopy(rest)}


def served() -> list[tuple[Kind, Resource]]:
    """Every served version of every stored kind."""
    every = [(kind, resource) for kind in KINDS for resource in (kind.resource, *(v.resource for v in kind.versions))]
    return [(kind, resource) for kind, resource in every if "update" in resource.verbs]
