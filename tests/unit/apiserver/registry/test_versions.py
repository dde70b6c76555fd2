"""Preconditions and resource versions: who may write over what."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.kinds import KINDS
from apiserver.registry.metadata import check_preconditions
from apiserver.registry.objects import Objects
from apiserver.registry.update import check_version
from kubeling.api.errors import StatusError
from kubeling.api.meta import Object

STORED: Object = {"metadata": {"name": "a", "uid": "u", "resourceVersion": "7"}}


def objects_of(kind: str, group: str = "") -> Any:
    found = next(k for k in KINDS if (k.resource.group, k.resource.kind) == (group, kind))
    objects = Objects.__new__(Objects)
    objects.kind, objects.resource = found, found.resource
    return objects


def checked(kind: str, version: str, group: str = "") -> Object:
    objects = objects_of(kind, group)
    new: Object = {"metadata": {"name": "a", "resourceVersion": version}}
    check_version(objects, objects.kind.strategy, new, STORED, "a")
    return new


@pytest.mark.parametrize("version", ["", "0", "7", "07"])
def test_write_over_the_stored_version(version: str) -> None:
    assert checked("ConfigMap", version)["metadata"]["resourceVersion"] == "7"


@pytest.mark.parametrize(
    ("version", "code", "message"),
    [
        ("8", 409, 'Operation cannot be fulfilled on configmaps "a": the object has been modified'),
        ("abc", 500, 'strconv.ParseUint: parsing "abc": invalid syntax'),
        ("-1", 500, 'strconv.ParseUint: parsing "-1": invalid syntax'),
        ("18446744073709551616", 500, 'parsing "18446744073709551616": value out of range'),
    ],
)
def test_other_versions_are_refused(version: str, code: int, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        checked("ConfigMap", version)
    assert caught.value.code == code
    assert message in caught.value.message


def test_leases_are_never_written_blindly() -> None:
    with pytest.raises(StatusError) as caught:
        checked("Lease", "", "coordination.k8s.io")
    assert caught.value.message.startswith('leases.coordination.k8s.io "a" is invalid: metadata.resourceVersion')


@pytest.mark.parametrize(
    ("preconditions", "why"),
    [
        (None, ""),
        ({"uid": "u", "resourceVersion": "7"}, ""),
        ({"uid": "x"}, "the UID in the precondition (x) does not match the UID in record (u)."),
        ({"resourceVersion": "6"}, "the ResourceVersion in the precondition (6) does not match the ResourceVersion"),
    ],
)
def test_preconditions_of_deletions(preconditions: Object | None, why: str) -> None:
    found = check_preconditions(preconditions, STORED)
    assert found.startswith(why)
    assert bool(found) == bool(why)
