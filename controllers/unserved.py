"""Controllers that upstream lists and that have no work here: ``--controllers`` takes their names, the log says why they idle."""

from __future__ import annotations

from collections.abc import Sequence

from controllers.context import Context, ControllerSpec, Runnable


def _nothing(context: Context) -> Sequence[Runnable]:
    return ()


def _unserved(name: str, idle: str, alias: str = "", *, on_by_default: bool = True) -> ControllerSpec:
    return ControllerSpec(name, _nothing, alias=alias, on_by_default=on_by_default, idle=idle)


_CLOUD = "there is no cloud provider"

CONTROLLERS: tuple[ControllerSpec, ...] = (
    _unserved("service-lb-controller", _CLOUD, "service"),
    _unserved("node-route-controller", _CLOUD, "route"),
    _unserved("cloud-node-lifecycle-controller", _CLOUD, "cloud-node-lifecycle"),
    _unserved(
        "persistentvolume-attach-detach-controller",
        "kubelets mount volumes that are there already; none has to be attached to a node first",
        "attachdetach",
    ),
    _unserved("selinux-warning-controller", "kubelets mount volumes without SELinux contexts", on_by_default=False),
    _unserved(
        "storageversion-garbage-collector-controller",
        "internal.apiserver.k8s.io/v1alpha1 is not served",
        "storage-version-gc",
    ),
    _unserved("podcertificaterequest-cleaner-controller", "certificates.k8s.io/v1beta1 is not served"),
    _unserved(
        "kube-apiserver-serving-clustertrustbundle-publisher-controller", "certificates.k8s.io/v1beta1 is not served"
    ),
    _unserved("resourcepoolstatusrequest-controller", "resource.k8s.io/v1alpha3 is not served"),
    _unserved("podgroup-protection-controller", "scheduling.k8s.io/v1alpha2 is not served"),
)
