"""``POST deployments/NAME/rollback`` of extensions/v1beta1 and apps/v1beta1.

It only notes the wish, as an annotation that the deployment controller acts on (pkg/registry/apps/deployment/storage:
RollbackREST).
"""

from __future__ import annotations

from apiserver.kinds.validation.meta import validate_annotations
from apiserver.registry.actions import ActionRequest, ActionResult
from kubeling.api import errors, fields
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object
from kubeling.api.resources import DEPLOYMENTS

ROLLBACK_TO = "deprecated.deployment.rollback.to"


async def roll_back(request: ActionRequest) -> ActionResult:
    """Raises 400 when the names differ, 404 without such a deployment, 422 for a body that cannot be."""
    body, name = request.body or {}, request.info.name
    if found := validate_rollback(body):
        raise errors.invalid(request.info.group, "DeploymentRollback", body.get("name") or "", found)
    if body["name"] != name:
        raise errors.bad_request("name in URL does not match name in DeploymentRollback object")
    revision = (body.get("rollbackTo") or {}).get("revision") or 0
    wanted = {**(body.get("updatedAnnotations") or {}), ROLLBACK_TO: str(revision)}

    def change(current: Object) -> Object:
        metadata = current["metadata"]
        return {**current, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **wanted}}}

    await request.registries.of(DEPLOYMENTS).update(name, change, request.info.namespace, options=request.write)
    message = f'rollback request for deployment "{name}" succeeded'
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "message": message,
        "code": 200,
    }
    return ActionResult(status, 201)


def validate_rollback(body: Object) -> ErrorList:
    found = validate_annotations(body.get("updatedAnnotations") or {}, Path("updatedAnnotations"))
    if not body.get("name"):
        found.append(fields.required(Path("name"), "name is required"))
    revision = (body.get("rollbackTo") or {}).get("revision") or 0
    if revision < 0:
        at = Path("rollback", "version")
        found.append(fields.invalid(at, revision, "must be greater than or equal to 0"))
    return found
