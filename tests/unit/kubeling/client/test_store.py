from hypothesis import given
from hypothesis import strategies as st

from kubeling.api.meta import Key, Object
from kubeling.client.store import Store

OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["put", "remove"]), st.sampled_from("abc"), st.sampled_from(["x", "y", ""])), max_size=40
)


def made(name: str, color: str) -> Object:
    return {"metadata": {"name": name, "namespace": "ns", "labels": {"color": color} if color else {}}}


def color_of(obj: Object) -> list[str]:
    return list(obj["metadata"]["labels"].values())


@given(OPERATIONS, st.booleans())
def test_indexes_are_always_what_a_full_scan_gives(operations: list[tuple[str, str, str]], late: bool) -> None:
    store = Store({} if late else {"color": color_of})
    for what, name, color in operations:
        if what == "put":
            store.put(made(name, color))
        else:
            store.remove(Key("ns", name))
    store.add_index("color", color_of)
    for color in ("x", "y"):
        scanned = sorted(o["metadata"]["name"] for o in store.list() if color in color_of(o))
        assert sorted(o["metadata"]["name"] for o in store.by_index("color", color)) == scanned
    assert len(store.list("ns")) == len(store) and not store.list("other")
