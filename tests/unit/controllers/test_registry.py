import pytest

from controllers.context import ControllerSpec
from controllers.registry import CONTROLLERS, choose


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
