import pytest

from controllers.context import ControllerSpec
from controllers.registry import CONTROLLERS, choose, listed


def spec(name: str, alias: str, on: bool = True) -> ControllerSpec:
    return ControllerSpec(name, lambda context: [], alias, on)


SPECS = (spec("a-controller", "a"), spec("b-controller", "b"), spec("c-controller", "c", on=False))


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (["*"], "ab"),
        (["*", "-a"], "b"),
        (["-a-controller", "*"], "b"),
        (["*", "c"], "abc"),
        (["b"], "b"),
        (["-b"], ""),
    ],
)
def test_choice(wanted: list[str], chosen: str) -> None:
    assert "".join(s.alias for s in choose(wanted, SPECS)) == chosen


def test_unknown_names_are_told() -> None:
    with pytest.raises(ValueError, match=r'^"nonsense" is not in the list of known controllers$'):
        choose(["*", "-nonsense"], SPECS)
    with pytest.raises(ValueError, match=r'^\["x" is not .*, "y" is not in the list of known controllers\]$'):
        choose(["x", "y"], SPECS)


def test_names_are_unique() -> None:
    names = [name for s in CONTROLLERS for name in {s.name, s.alias} if name]
    assert len(names) == len(set(names))


UPSTREAM = """
bootstrap-signer-controller certificatesigningrequest-approving-controller certificatesigningrequest-cleaner-controller
certificatesigningrequest-signing-controller cloud-node-lifecycle-controller clusterrole-aggregation-controller
cronjob-controller daemonset-controller deployment-controller device-taint-eviction-controller disruption-controller
endpoints-controller endpointslice-controller endpointslice-mirroring-controller ephemeral-volume-controller
garbage-collector-controller horizontal-pod-autoscaler-controller job-controller
kube-apiserver-serving-clustertrustbundle-publisher-controller legacy-serviceaccount-token-cleaner-controller
namespace-controller node-ipam-controller node-lifecycle-controller node-route-controller
persistentvolume-attach-detach-controller persistentvolume-binder-controller persistentvolume-expander-controller
persistentvolume-protection-controller persistentvolumeclaim-protection-controller pod-garbage-collector-controller
podcertificaterequest-cleaner-controller podgroup-protection-controller replicaset-controller
replicationcontroller-controller resourceclaim-controller resourcepoolstatusrequest-controller resourcequota-controller
root-ca-certificate-publisher-controller selinux-warning-controller service-cidr-controller service-lb-controller
serviceaccount-controller serviceaccount-token-controller statefulset-controller storage-version-migrator-controller
storageversion-garbage-collector-controller taint-eviction-controller token-cleaner-controller
ttl-after-finished-controller ttl-controller validatingadmissionpolicy-status-controller
volumeattributesclass-protection-controller
"""
"""kube-controller-manager 1.36's ``--help``."""


def test_every_name_of_upstreams_is_known_and_off_where_upstreams_is() -> None:
    assert not set(UPSTREAM.split()) - {s.name for s in CONTROLLERS}
    off = {s.name for s in CONTROLLERS if not s.on_by_default}
    assert off == {"bootstrap-signer-controller", "selinux-warning-controller", "token-cleaner-controller"}


def test_help_lists_the_names() -> None:
    text = listed(SPECS)
    assert text == (
        "All controllers: a-controller, b-controller, c-controller Disabled-by-default controllers: c-controller"
    )
