"""The loops of resource claims: over pods, which get their claims, and over claims, which get rid of their consumers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controllers.context import Context, ControllerSpec, Runnable
from controllers.lib.collection import Collection
from controllers.resourceclaim.plan import (
    FINALIZER,
    claim_from,
    claim_names,
    is_done,
    made_for,
    needless,
    needs_reservation,
    owner_uid,
    plan_claim,
    pod_references,
    special_claim_names,
)
from kubeling.api.errors import StatusError, is_not_found
from kubeling.api.meta import (
    Key,
    Object,
    controller_of,
    is_controlled_by,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)
from kubeling.api.resources import PODS, RESOURCE_CLAIM_TEMPLATES, RESOURCE_CLAIMS
from kubeling.client.events import EventRecorder
from kubeling.client.rest import PatchKind
from kubeling.client.store import by_controller

COMPONENT = "resource_claim"
MANAGER = "ResourceClaimController"
CONTROLLER_UID, BY_CLAIM, BY_TEMPLATE = "controller", "resource-claim", "resource-claim-template"


class PodReconciler:
    """Makes the claims that a pod's templates ask for and notes their names in its status."""

    def __init__(self, pods: Collection, claims: Collection, templates: Collection, recorder: EventRecorder) -> None:
        self._pods, self._claims, self._templates, self._recorder = pods, claims, templates, recorder

    async def reconcile(self, key: Key) -> None:
        pod = self._pods.get(key)
        if pod is None or is_done(pod) or is_deleting(pod):
            return
        names = claim_names(pod)
        missing = False
        for entry in pod["spec"].get("resourceClaims") or ():
            if not entry.get("resourceClaimTemplateName") or self._is_there(pod, entry["name"], names):
                continue
            missing = True
            names[entry["name"]] = name_of(await self._ensure(pod, entry))
        if missing:
            await self._note(pod, names)
        for name in names.values():
            claim = self._claims.get(Key(key.namespace, name))
            if claim is not None and needs_reservation(pod, claim):
                await self._reserve(pod, claim)

    def _is_there(self, pod: Object, entry: str, names: dict[str, str]) -> bool:
        """Whether the entry has its claim, or needs none. One that was deleted, or is another's now, is made again."""
        if entry not in names:
            return entry in needless(pod)
        claim = self._claims.get(Key(namespace_of(pod), names[entry]))
        return claim is not None and is_controlled_by(claim, pod)

    async def _ensure(self, pod: Object, entry: Object) -> Object:
        there = made_for(pod, entry["name"], self._claims.store.by_index(CONTROLLER_UID, uid_of(pod)))
        if there is not None:
            return there
        try:
            return await self._claims.create(claim_from(pod, entry["name"], self._template(pod, entry)))
        except StatusError as err:
            text = f"PodResourceClaim {entry['name']}: {err}"
            self._recorder.event(pod, "Warning", "FailedResourceClaimCreation", text)
            raise

    def _template(self, pod: Object, entry: Object) -> Object:
        name = entry["resourceClaimTemplateName"]
        template = self._templates.get(Key(namespace_of(pod), name))
        if template is None:
            text = f'resource claim template "{name}": resourceclaimtemplate.resource.k8s.io "{name}" not found'
            raise StatusError(
                {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": text}
            )
        return template

    async def _note(self, pod: Object, names: dict[str, str]) -> None:
        made = [
            {"name": entry["name"], **({"resourceClaimName": names[entry["name"]]} if entry["name"] in names else {})}
            for entry in pod["spec"]["resourceClaims"]
            if entry.get("resourceClaimTemplateName")
        ]
        wanted = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)},
            "status": {"resourceClaimStatuses": made},
        }
        applied = await self._pods.client.patch(
            PODS, name_of(pod), wanted, namespace_of(pod), kind=PatchKind.APPLY, subresource="status",
            field_manager=MANAGER, force=True,
        )  # fmt: skip
        self._pods.informer.observe(applied)

    async def _reserve(self, pod: Object, claim: Object) -> None:
        status = claim["status"]
        reference = {"resource": "pods", "name": name_of(pod), "uid": uid_of(pod)}
        reserved = [*(status.get("reservedFor") or ()), reference]
        await self._claims.update_status({**claim, "status": {**status, "reservedFor": reserved}})


class ClaimReconciler:
    """Takes ended consumers off a claim, and its devices from it with the last one."""

    def __init__(self, claims: Collection, pods: Collection) -> None:
        self._claims, self._pods = claims, pods

    async def reconcile(self, key: Key) -> None:
        claim = self._claims.get(key)
        if claim is None:
            return
        pods = {r["uid"]: await self._pod(key.namespace, r["name"], r["uid"]) for r in pod_references(claim)}
        decided = plan_claim(claim, pods, self._named_as_owner(claim))
        if decided.status is not None:
            claim = await self._claims.update_status({**claim, "status": decided.status})
        if decided.unprotect:
            finalizers = [f for f in claim["metadata"].get("finalizers") or () if f != FINALIZER]
            claim = await self._claims.update({**claim, "metadata": {**claim["metadata"], "finalizers": finalizers}})
        if decided.delete:
            await self._claims.delete(claim)

    async def _pod(self, namespace: str, name: str, uid: str) -> Object | None:
        """The pod with that uid. One that the copy does not know may be new: the server has the last word."""
        pod = self._pods.get(Key(namespace, name))
        if pod is None or uid_of(pod) != uid:
            try:
                pod = await self._pods.fetch(Key(namespace, name))
            except StatusError as err:
                if not is_not_found(err):
                    raise
                return None
        return pod if uid_of(pod) == uid else None

    def _named_as_owner(self, claim: Object) -> Object | None:
        """The pod that has the owner's name now: the owner, or one that has taken its place."""
        owner = controller_of(claim)
        return (
            self._pods.get(Key(namespace_of(claim), owner["name"])) if owner is not None and owner_uid(claim) else None
        )


def _claims_of(pod: Object) -> Iterable[Key]:
    """Index values: the claims that the pod uses."""
    return (Key(namespace_of(pod), name) for name in (*claim_names(pod).values(), *special_claim_names(pod)))


def _templates_of(pod: Object) -> Iterable[Key]:
    """Index values: the templates that the pod's claims come from."""
    for entry in pod["spec"].get("resourceClaims") or ():
        if entry.get("resourceClaimTemplateName"):
            yield Key(namespace_of(pod), entry["resourceClaimTemplateName"])


def build(context: Context) -> Sequence[Runnable]:
    pods = context.collection(PODS, indexers={BY_CLAIM: _claims_of, BY_TEMPLATE: _templates_of})
    claims = context.collection(RESOURCE_CLAIMS, indexers={CONTROLLER_UID: by_controller})
    templates = context.collection(RESOURCE_CLAIM_TEMPLATES)

    def with_claims(old: Object | None, new: Object | None) -> Iterable[Key]:
        if new is not None and new["spec"].get("resourceClaims"):
            yield key_of(new)

    def ended(old: Object | None, new: Object | None) -> Iterable[Key]:
        """The claims of a pod that has ended or gone, those that were made for it included."""
        if old is not None and (new is None or is_done(new)):
            yield from _claims_of(old)
            yield from (key_of(c) for c in claims.store.by_index(CONTROLLER_UID, uid_of(old)))

    def using(old: Object | None, new: Object | None) -> Iterable[Key]:
        """The pods of a claim that was allocated, or of one that was lost."""
        claim = new or old
        if claim is not None:
            yield from (key_of(pod) for pod in pods.store.by_index(BY_CLAIM, key_of(claim)))

    def waiting(old: Object | None, new: Object | None) -> Iterable[Key]:
        """The pods that a template was missing for."""
        if old is None and new is not None:
            yield from (key_of(pod) for pod in pods.store.by_index(BY_TEMPLATE, key_of(new)))

    making = context.controller(COMPONENT, PodReconciler(pods, claims, templates, context.recorder("resource_claim")))
    making.watch(pods.informer, with_claims)
    making.watch(claims.informer, using)
    making.watch(templates.informer, waiting)
    freeing = context.controller("resource_claim_consumers", ClaimReconciler(claims, pods))
    freeing.watch(claims.informer)
    freeing.watch(pods.informer, ended)
    return [making, freeing]


CONTROLLER = ControllerSpec(
    "resourceclaim-controller",
    build,
    alias="resource-claim-controller",
    account="resource-claim-controller",
    syncs="concurrent_resource_claim_syncs",
)
