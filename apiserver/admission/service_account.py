"""ServiceAccount: every pod runs as a service account and finds its token where it expects it."""

from __future__ import annotations

import random

from apiserver.admission.common import about, refused
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api import errors
from kubeling.api.meta import Object, annotations_of
from kubeling.api.resources import SERVICE_ACCOUNTS

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
TOKEN_SECONDS = 3607
"""An hour and a recognisable bit: the token request extends it (see ``apiserver.serviceaccounts``)."""
ENFORCE_ANNOTATION = "kubernetes.io/enforce-mountable-secrets"
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class ServiceAccount(NoAdmission):
    name = "ServiceAccount"
    resources = (("", "pods"),)

    def handles(self, attributes: AdmissionAttributes) -> bool:
        return about(attributes, "", "pods", ("CREATE",)) and attributes.obj is not None

    async def mutate(self, attributes: AdmissionAttributes) -> None:
        pod = attributes.obj or {}
        spec = pod.setdefault("spec", {})
        if MIRROR_ANNOTATION in annotations_of(pod):
            return
        if not spec.get("serviceAccountName"):
            spec["serviceAccountName"] = "default"
        spec["serviceAccount"] = spec["serviceAccountName"]
        account = await self._account(attributes, spec["serviceAccountName"])
        if _automounts(account, spec):
            mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [{"name": s.get("name", "")} for s in account["imagePullSecrets"]]

    async def validate(self, attributes: AdmissionAttributes) -> None:
        pod = attributes.obj or {}
        spec = pod.get("spec") or {}
        if MIRROR_ANNOTATION in annotations_of(pod):
            problem = _mirror_problem(spec)
            if problem:
                raise refused(attributes, problem)
            return
        account = await self._account(attributes, spec.get("serviceAccountName") or "default")
        if annotations_of(account).get(ENFORCE_ANNOTATION) == "true":
            problem = _secret_problem(spec, account)
            if problem:
                raise refused(attributes, problem)

    async def _account(self, attributes: AdmissionAttributes, name: str) -> Object:
        registry = attributes.registries.of(SERVICE_ACCOUNTS)
        found = registry.cached(name, attributes.namespace)
        if found is not None:
            return found
        try:
            return await registry.get(name, attributes.namespace)
        except errors.StatusError as error:
            why = f'serviceaccount "{name}" not found' if errors.is_not_found(error) else error.message
            text = f"error looking up service account {attributes.namespace}/{name}: {why}"
            raise refused(attributes, text) from None


def _automounts(account: Object, spec: Object) -> bool:
    """The pod's word counts, then the account's; without either the token is mounted."""
    for source in (spec, account):
        if source.get("automountServiceAccountToken") is not None:
            return bool(source["automountServiceAccountToken"])
    return True


def mount_token(spec: Object) -> None:
    """Mounts the projected token volume into every container that has nothing at its path; changes ``spec``."""
    volumes = spec.get("volumes") or []
    existing = next((v["name"] for v in volumes if v.get("name", "").startswith(VOLUME_PREFIX)), "")
    name = existing or VOLUME_PREFIX + "".join(random.choices(_SUFFIX_ALPHABET, k=5))
    needed = False
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            mounts = container.get("volumeMounts") or []
            if any(m.get("mountPath") == MOUNT_PATH for m in mounts):
                continue
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
            needed = True
    if needed and not existing:
        spec["volumes"] = [*volumes, {"name": name, "projected": token_volume()}]


def token_volume() -> Object:
    """The projected volume with token, authority certificate and namespace."""
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
        "defaultMode": 0o644,
    }


def _mirror_problem(spec: Object) -> str:
    """What a mirror pod may not do: its node vouches for it, no account does."""
    if spec.get("serviceAccountName"):
        return "a mirror pod may not reference service accounts"
    for volume in spec.get("volumes") or ():
        if volume.get("secret"):
            return "a mirror pod may not reference secrets"
        if any(s.get("serviceAccountToken") for s in (volume.get("projected") or {}).get("sources") or ()):
            return "a mirror pod may not use ServiceAccountToken volume projections"
    return ""


def _secret_problem(spec: Object, account: Object) -> str:
    """What breaks the account's limit to the secrets that it lists."""
    name = (account.get("metadata") or {}).get("name", "")
    listed = {s.get("name") for s in account.get("secrets") or ()}
    missing = f"is not allowed because service account {name} does not reference that secret"
    for volume in spec.get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName")
        if secret and secret not in listed:
            return f'volume with secret.secretName="{secret}" {missing}'
    for field, shown in (("initContainers", "init container"), ("containers", "container")):
        for container in spec.get(field) or ():
            for variable in container.get("env") or ():
                secret = ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
                if secret and secret not in listed:
                    return (
                        f"{shown} {container.get('name', '')} with envVar {variable.get('name', '')} "
                        f'referencing secret.secretName="{secret}" {missing}'
                    )
    pulled = {s.get("name") for s in account.get("imagePullSecrets") or ()}
    for i, reference in enumerate(spec.get("imagePullSecrets") or ()):
        secret = reference.get("name")
        if secret not in pulled:
            text = f"is not allowed because service account {name} does not reference that imagePullSecret"
            return f'imagePullSecrets[{i}].name="{secret}" {text}'
    return ""
