"""The admission plugin PodSecurity."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from apiserver.admission.common import refused
from apiserver.admission.pod_security.check import containers
from apiserver.admission.pod_security.checks import violations
from apiserver.admission.pod_security.policy import PRIVILEGED, LevelVersion, Policy, policy_of
from apiserver.registry.admission import AdmissionAttributes, NoAdmission
from kubeling.api import errors
from kubeling.api.meta import Object, controller_of, labels_of, name_of
from kubeling.api.resources import NAMESPACES, PODS

_AUDIT = "pod-security.kubernetes.io/"


def _template(obj: Object) -> Object | None:
    template: Object | None = (obj.get("spec") or {}).get("template")
    return template


def _job_template(obj: Object) -> Object | None:
    return _template((obj.get("spec") or {}).get("jobTemplate") or {})


def _own_template(obj: Object) -> Object | None:
    template: Object | None = obj.get("template")
    return template


TEMPLATES: Mapping[tuple[str, str], Callable[[Object], Object | None]] = {
    ("", "podtemplates"): _own_template,
    ("", "replicationcontrollers"): _template,
    ("apps", "daemonsets"): _template,
    ("apps", "deployments"): _template,
    ("apps", "replicasets"): _template,
    ("apps", "statefulsets"): _template,
    ("batch", "cronjobs"): _job_template,
    ("batch", "jobs"): _template,
}
"""Resources that make pods, and where their pod template is."""


class PodSecurity(NoAdmission):
    name = "PodSecurity"

    def handles(self, attributes: AdmissionAttributes) -> bool:
        if attributes.operation not in ("CREATE", "UPDATE") or attributes.obj is None:
            return False
        resource, subresource = (attributes.resource.group, attributes.resource.plural), attributes.subresource
        if resource == ("", "pods"):
            return subresource in ("", "ephemeralcontainers", "resize")
        return not subresource and (resource in TEMPLATES or resource == ("", "namespaces"))

    async def validate(self, attributes: AdmissionAttributes) -> None:
        plural = attributes.resource.plural
        if plural == "namespaces":
            self._namespace(attributes)
            return
        namespace = attributes.registries.of(NAMESPACES).cached(attributes.namespace)
        policy, _ = policy_of(labels_of(namespace or {}))
        if policy.privileged:
            return
        if plural == "pods":
            if attributes.operation == "CREATE" or _significant(attributes.obj or {}, attributes.old_obj or {}):
                _evaluate(attributes, policy, attributes.obj or {}, enforce=True)
            return
        template = TEMPLATES[attributes.resource.group, plural](attributes.obj or {})
        if template is not None:
            _evaluate(attributes, policy, template, enforce=False)

    def _namespace(self, attributes: AdmissionAttributes) -> None:
        new, problems = policy_of(labels_of(attributes.obj or {}))
        if attributes.operation == "CREATE":
            if problems:
                raise errors.invalid("", "Namespace", name_of(attributes.obj or {}), problems)
            return
        old, old_problems = policy_of(labels_of(attributes.old_obj or {}))
        if problems and not old_problems:
            raise errors.invalid("", "Namespace", attributes.name, problems)
        if new.enforce == old.enforce or new.enforce.level == PRIVILEGED:
            return
        if new.enforce.minor == old.enforce.minor and new.enforce.rank < old.enforce.rank:
            return  # relaxed: pods that were there are no worse off
        for text in _existing(attributes, new.enforce):
            attributes.warn(text)


def _evaluate(attributes: AdmissionAttributes, policy: Policy, pod: Object, *, enforce: bool) -> None:
    """Refuses, warns and annotates as the policy says; ``enforce`` only for pods themselves."""
    if enforce:
        attributes.audit_annotations[_AUDIT + "enforce-policy"] = str(policy.enforce)
        found = violations(policy.enforce, pod)
        if found:
            raise refused(attributes, f'violates PodSecurity "{policy.enforce}": {", ".join(map(str, found))}')
    audited = violations(policy.audit, pod)
    if audited:
        text = f'would violate PodSecurity "{policy.audit}": {", ".join(map(str, audited))}'
        attributes.audit_annotations[_AUDIT + "audit-violations"] = text
    warned = violations(policy.warn, pod)
    if warned:
        attributes.warn(f'would violate PodSecurity "{policy.warn}": {", ".join(map(str, warned))}')


def _significant(pod: Object, old: Object) -> bool:
    """Whether an update could change what the checks say: containers were added or their images changed."""
    before = {c.get("name"): c.get("image") for c in containers(old)}
    return any(before.get(c.get("name"), "") != c.get("image") for c in containers(pod))


def _existing(attributes: AdmissionAttributes, wanted: LevelVersion) -> list[str]:
    """What pods already there would violate, pods with the same violations drawn together."""
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for pod in attributes.registries.of(PODS).cached_list(attributes.name):
        owner = controller_of(pod)
        if owner is not None and owner.get("uid") in seen:
            continue  # its siblings are alike
        broken = violations(wanted, pod)
        if owner is not None:
            seen.add(str(owner.get("uid")))
        if broken:
            found.setdefault(", ".join(v.reason for v in broken), []).append(name_of(pod))
    if not found:
        return []
    text = f'existing pods in namespace "{attributes.name}" violate the new PodSecurity enforce level "{wanted}"'
    lines = []
    for reasons, names in sorted(found.items(), key=lambda item: min(item[1])):
        others = len(names) - 1
        more = "" if not others else f" (and {others} other pod{'s' if others > 1 else ''})"
        lines.append(f"{min(names)}{more}: {reasons}")
    return [text, *lines]
