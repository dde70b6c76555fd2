"""Properties of decoding, over values built from the schemas and spoiled here and there."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubeling.api.schema import DecodeError, ObjectSchema, Shape, Type, schemas_for
from kubeling.api.schema.walk import Walker

KINDS = [
    ("", "v1", "Pod"),
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("apps", "v1", "Deployment"),
    ("batch", "v1", "CronJob"),
    ("coordination.k8s.io", "v1", "Lease"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
]
TEXT = st.sampled_from(["", "a", "x/y", "1Gi", "2024-01-01T00:00:00Z", "ü"])
JUNK = st.sampled_from([None, True, 0, 1.5, 2**40, "", "x", [], {}, [None], {"a": None}])
SCALARS: dict[Shape, st.SearchStrategy[Any]] = {
    Shape.STRING: TEXT,
    Shape.BOOLEAN: st.booleans(),
    Shape.INTEGER: st.integers(-3, 3),
    Shape.NUMBER: st.sampled_from([0, 1, 0.5]),
    Shape.BYTES: st.binary(max_size=4).map(lambda b: base64.b64encode(b).decode()),
    Shape.QUANTITY: st.sampled_from(["0", "1", "100m", "1Gi", "0.5", "1024Mi", 2]),
    Shape.TIME: st.sampled_from(["2024-01-01T00:00:00Z", "2024-02-29T10:00:00.5+02:00"]),
    Shape.MICRO_TIME: st.just("2024-01-01T00:00:00.000001Z"),
    Shape.INT_OR_STRING: st.sampled_from([0, 5, "25%", ""]),
    Shape.ANY: st.sampled_from([{}, {"a": [1]}, "x", 0]),
}


@st.composite
def values(draw: st.DrawFn, made: Type, depth: int = 5) -> Any:
    """A value of the type, now and then something else, with few fields where it is wide."""
    if draw(st.integers(0, 30)) == 0:
        return draw(JUNK)
    if made.shape in SCALARS:
        return draw(SCALARS[made.shape])
    if made.shape is Shape.LIST and made.item is not None:
        return [draw(values(made.item, depth - 1)) for _ in range(draw(st.integers(0, 2)))] if depth else []
    if made.shape is Shape.MAP and made.item is not None:
        return (
            {k: draw(values(made.item, depth - 1)) for k in draw(st.sets(st.sampled_from("ab"), max_size=2))}
            if depth
            else {}
        )
    names = draw(st.sets(st.sampled_from([*made.fields, "bogus"]), max_size=4)) if made.fields and depth else ()
    return {n: draw(values(made.fields[n].type, depth - 1)) if n in made.fields else 1 for n in sorted(names)}


def outcome(schema: ObjectSchema, value: Any) -> tuple[Any, str]:
    try:
        return schema.decode(value).obj, ""
    except DecodeError as error:
        return None, str(error)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k[2])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_decoders_agree_and_decoding_again_changes_nothing(kind: tuple[str, str, str], data: st.DataObject) -> None:
    schema = schemas_for().of(*kind)
    value = {
        name: data.draw(values(f.type), label=name)
        for name, f in schema.root.fields.items()
        if name not in ("kind", "apiVersion")
    }
    decoded, error = outcome(schema, value)
    try:
        assert Walker().decode(value, schema.root) == decoded
    except DecodeError as explained:
        assert str(explained) == error
    if decoded is not None:
        assert outcome(schema, decoded) == (decoded, "")
