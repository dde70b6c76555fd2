"""Root CA publisher: every namespace has the cluster's CA certificate in the ConfigMap ``kube-root-ca.crt``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.serviceaccount import ensure, is_open, namespace_name, namespace_when_lost
from kubeling.api.meta import Key, Object, annotations_of
from kubeling.api.resources import CONFIG_MAPS, NAMESPACES
from kubeling.client.errors import StartError

NAME = "kube-root-ca.crt"
_DESCRIBED = "kubernetes.io/description"
DESCRIPTION = {
    _DESCRIBED: "Contains a CA bundle that can be used to verify the kube-apiserver when using "
    "internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed "
    "across distributions of Kubernetes clusters."
}


class RootCaReconciler:
    """Keeps the ConfigMap of a namespace as it should be."""

    def __init__(self, namespaces: Collection, config_maps: Collection, root_ca: str) -> None:
        self._namespaces = namespaces
        self._config_maps = config_maps
        self._data = {"ca.crt": root_ca}

    async def reconcile(self, key: str) -> None:
        if not is_open(self._namespaces.get(Key("", key))):
            return
        there = self._config_maps.get(Key(key, NAME))
        if there is None:
            metadata: Object = {"name": NAME, "namespace": key, "annotations": DESCRIPTION}
            await ensure(self._config_maps, {"metadata": metadata, "data": self._data})
        elif there.get("data") != self._data or not annotations_of(there).get(_DESCRIBED):
            metadata = {**there["metadata"], "annotations": {**annotations_of(there), **DESCRIPTION}}
            await self._config_maps.update({**there, "metadata": metadata, "data": self._data})


def build(context: Context) -> Sequence[Runnable]:
    if not context.options.root_ca_file:
        return []
    try:
        root_ca = Path(context.options.root_ca_file).read_text()
    except OSError as err:
        raise StartError(f"cannot read --root-ca-file {context.options.root_ca_file}: {err.strerror}") from err
    namespaces = context.collection(NAMESPACES)
    config_maps = context.collection(CONFIG_MAPS)
    controller = context.controller("root_ca_cert_publisher", RootCaReconciler(namespaces, config_maps, root_ca))
    controller.watch(namespaces.informer, namespace_name)
    controller.watch(config_maps.informer, namespace_when_lost(NAME))
    return [controller]


CONTROLLER = ControllerSpec(
    "root-ca-certificate-publisher-controller", build, alias="root-ca-cert-publisher", account="root-ca-cert-publisher"
)
