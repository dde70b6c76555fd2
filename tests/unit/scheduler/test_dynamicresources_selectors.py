"""What selectors of devices see and say."""

from __future__ import annotations

import pytest

from scheduler.framework.status import PluginError
from scheduler.plugins.dynamicresources.devices import Device
from scheduler.plugins.dynamicresources.selectors import SelectorError, matches
from tests.unit.scheduler.test_dynamicresources import BIG, claim, request, slice_, using
from tests.unit.scheduler.worlds import Listed, cluster, decide, node

DEVICE = Device(
    ("gpu.example.com", "p", "d"),
    {
        "attributes": {
            "model": {"string": "x1"},
            "other.com/cores": {"int": 8},
            "fast": {"bool": True},
            "driverVersion": {"version": "1.10.0-rc.1"},
        },
        "capacity": {"memory": {"value": "16Gi"}, "other.com/lanes": {"value": "4"}},
    },
    {},
)
OWN = "device.attributes['gpu.example.com']"


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("device.driver == 'gpu.example.com'", True),
        (f"{OWN}.model == 'x1' && {OWN}.fast", True),
        ("device.attributes['other.com'].cores >= 9", False),
        (f"{OWN}.driverVersion.isLessThan(semver('1.10.0')) && {OWN}.driverVersion.isGreaterThan(semver('1.9.9'))", True),
        ("device.capacity['gpu.example.com'].memory.compareTo(quantity('8Gi')) > 0", True),
        ("device.capacity['other.com'].lanes.isLessThan(quantity('4'))", False),
        ("device.allowMultipleAllocations", False),
        ("has(device.attributes['absent.com'].model)", False),
        ("'absent.com' in device.attributes", False),
        ("size(device.attributes['absent.com']) == 0 && device.attributes[?'absent.com'].hasValue()", True),
        ("type(device.attributes) == map && has(device.attributes.absent)", True),
        ("cel.bind(own, device.attributes['gpu.example.com'], own.fast && own.model.startsWith('x'))", True),
    ],
)  # fmt: skip
def test_what_an_expression_sees(expression: str, selected: bool) -> None:
    assert matches(expression, DEVICE) is selected


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("device.attributes['absent.com'].model == 'x'", "CEL runtime error: no such key: model"),
        (f"{OWN}.model", "CEL runtime error: CEL result of type string could not be converted to bool"),
        ("device.x", "CEL compile error: compilation failed: ERROR: <input>:1:7: undefined field 'x'\n | device.x\n | ......^"),
        ("'x'", "CEL compile error: must evaluate to bool or the unknown type, not string"),
    ],
)  # fmt: skip
def test_why_it_cannot_be_evaluated(expression: str, text: str) -> None:
    with pytest.raises(SelectorError) as failure:
        matches(expression, DEVICE)
    assert str(failure.value) == text


def test_a_version_that_is_none() -> None:
    with pytest.raises(SelectorError, match="CEL runtime error: attribute v: parse semantic version: No Major"):
        matches("true", Device(("d", "p", "n"), {"attributes": {"v": {"version": "1"}}}, {}))


def decided(expression: str, *, of_class: bool) -> str:
    selectors = [{"cel": {"expression": expression}}]
    device_class = {**BIG, "spec": {"selectors": selectors if of_class else []}}
    wanted = claim("c", request(class_name="big", **({} if of_class else {"selectors": selectors})))
    devices = slice_("b", {"name": "d", "attributes": {"cores": {"int": 4}}})
    listed = Listed(ResourceClaim=[wanted], ResourceSlice=[devices], DeviceClass=[device_class])
    return decide(using("c"), cluster(node("a"), node("b"), listers=listed)).node


@pytest.mark.parametrize("of_class", [True, False])
def test_pods_go_by_selectors(of_class: bool) -> None:
    assert decided("device.attributes['drv'].cores == 4", of_class=of_class) == "b"
    assert decided("device.attributes['drv'].cores == 5", of_class=of_class) == ""


@pytest.mark.parametrize(("of_class", "place"), [(True, "class big"), (False, "claim default/c")])
def test_an_error_ends_the_attempt_and_names_the_selector(of_class: bool, place: str) -> None:
    with pytest.raises(PluginError) as failure:
        decided("device.attributes['drv'].absent == 1", of_class=of_class)
    text = f'running "DynamicResources" filter plugin: {place}: selector #0: CEL runtime error: no such key: absent'
    assert str(failure.value) == text
