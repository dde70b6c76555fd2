"""Strategic merge patch: objects merge by what the schema says of their lists, directives say the rest.

Behaviour and texts are those of k8s.io/apimachinery/pkg/util/strategicpatch as the API server calls it (directives of
parallel lists are carried out, nulls without counterpart are dropped). Nothing given is changed.

Directives: ``$patch: delete|replace`` in an object or as a list item, ``$retainKeys``, ``$setElementOrder/<list>``,
``$deleteFromPrimitiveList/<list>``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubeling.api.errors import StatusError, bad_request, failure
from kubeling.api.patch.goformat import go_format
from kubeling.api.patch.order import Order, identity, key_of_item
from kubeling.api.schema import Field, ObjectSchema, Type

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"

_BAD_PRIMITIVE_LIST = "invalid patch format of primitive list"
_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
_BAD_ORDER = "invalid patch format of setElementOrder list"

_Map = dict[str, Any]


def strategic_merge(doc: Mapping[str, Any], patch: Mapping[str, Any], schema: ObjectSchema) -> _Map:
    """``doc`` with a strategic merge patch applied, not yet decoded.

    Raises StatusError: 400 for a malformed directive, 422 for lists of lists and a ``$retainKeys`` that contradicts the patch,
    500 (as upstream) for a missing merge key or an unknown ``$patch``.
    """
    return _merge_map(doc, patch, schema.root)


def _unexpected(text: str) -> StatusError:
    return failure(500, "", text)


def _unprocessable(text: str) -> StatusError:
    del text  # upstream hides it
    return failure(422, "Invalid", "the server rejected our request due to an error in our request", {})


def _no_merge_key(item: Any, key: str) -> StatusError:
    return _unexpected(f"map: {go_format(item)} does not contain declared merge key: {key}")


def _bad_patch_type(directive: Any, where: Any) -> StatusError:
    return _unexpected(f"unknown patch type: {go_format(directive)} in map: {go_format(where)}")


def _field(made: Type | None, name: str) -> Field | None:
    """The field of a struct; of a map, a field that has the map's values as its type."""
    if made is None:
        return None
    return made.fields.get(name)


def _child_type(made: Type | None, name: str) -> Type | None:
    found = _field(made, name)
    if found is not None:
        return found.type
    return made.item if made is not None else None


def _merge_map(original: Mapping[str, Any], patch: Mapping[str, Any], made: Type | None) -> _Map:
    if _PATCH in patch:
        return _whole_map(patch)
    patch = dict(patch)
    result = _retain_keys(dict(original), patch)
    _set_element_orders(result, patch, made)
    for key, value in patch.items():
        _merge_key(result, key, value, made)
    return result


def _whole_map(patch: Mapping[str, Any]) -> _Map:
    """An object that carries ``$patch``: replaced by the rest of the patch, or emptied."""
    directive = patch[_PATCH]
    if directive == "replace":
        return {k: v for k, v in patch.items() if k != _PATCH}
    if directive == "delete":
        return {}
    raise _bad_patch_type(directive, patch)


def _retain_keys(original: _Map, patch: _Map) -> _Map:
    """Carries out ``$retainKeys``: keys of the original that it does not name are dropped."""
    if _RETAIN not in patch:
        return original
    names = patch.pop(_RETAIN)
    if not isinstance(names, list):
        raise bad_request(_BAD_RETAIN_KEYS)
    for key, value in patch.items():
        if value is not None and not key.startswith((_DELETE, _ORDER)) and key not in names:
            raise _unprocessable("patch content doesn't match retainKeys list")
    return {k: v for k, v in original.items() if k in names}


def _merge_key(result: _Map, key: str, value: Any, made: Type | None) -> None:
    deleting = key.startswith(_DELETE)
    if deleting:
        key = key[len(_DELETE) :]
        if not isinstance(value, list):
            raise bad_request(_BAD_PRIMITIVE_LIST)
    if value is None:
        result.pop(key, None)
        return
    current = result.get(key)
    if type(current) is not type(value):
        if not deleting:
            result[key] = _fresh(value)
        return
    if isinstance(value, dict):
        replaced = "replace" in _strategies(made, key)
        result[key] = value if replaced else _merge_map(current or {}, value, _child_type(made, key))
    elif isinstance(value, list):
        result[key] = _merge_list(current or [], value, made, key, deleting=deleting)
    else:
        result[key] = value


def _strategies(made: Type | None, key: str) -> tuple[str, ...]:
    found = _field(made, key)
    return found.patch_strategies if found else ()


def _fresh(value: Any) -> Any:
    """A value that the original has no counterpart for: without nulls and directives."""
    if isinstance(value, dict):
        return {
            k: _fresh(v)
            for k, v in value.items()
            if v is not None and k not in (_PATCH, _RETAIN) and not k.startswith((_ORDER, _DELETE))
        }
    if isinstance(value, list):
        return [_fresh(v) for v in value if not (isinstance(v, dict) and v.get(_PATCH) in ("delete", "replace"))]
    return value


def _merge_list(original: list[Any], patch: list[Any], made: Type | None, key: str, *, deleting: bool) -> list[Any]:
    found = _field(made, key)
    if found is None or "merge" not in found.patch_strategies:
        return patch
    if not original and not patch:
        return original
    if not _are_maps(original, patch):
        if deleting:
            unwanted = {identity(v) for v in patch}
            return [v for v in original if identity(v) not in unwanted]
        merged = list({identity(v): v for v in [*original, *patch]}.values())
        return Order(identity).arrange(merged, patch, original)
    merge_key = found.merge_key
    if not merge_key:
        raise _unexpected("cannot merge lists without merge key for type struct")
    kept, items = _special_items(original, patch, merge_key)
    merged = _merge_items(kept, items, merge_key, found.type.item)
    return Order(key_of_item(merge_key, _no_merge_key)).arrange(merged, items, kept)


def _are_maps(*lists: Sequence[Any]) -> bool:
    kinds = {_kind(v) for items in lists for v in items}
    if "slice" in kinds:
        raise _unprocessable("lists of lists are not supported")
    if len(kinds) > 1:
        raise _unexpected(f"list element types are not identical: {go_format([list(items) for items in lists])}")
    return kinds == {"map"}


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "map"
    return "slice" if isinstance(value, list) else type(value).__name__


def _special_items(original: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    """Carries out list items that are directives. Returns what is left of the original and the plain items of the patch."""
    plain: list[Any] = []
    replace = False
    for item in patch:
        directive = item.get(_PATCH)
        if _PATCH not in item:
            plain.append(item)
        elif directive == "delete":
            if merge_key not in item:
                raise _no_merge_key(item, merge_key)
            original = [o for o in original if not _matches(o, merge_key, item[merge_key])]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise _unexpected("merging lists cannot yet be specified in the patch")
        else:
            raise _bad_patch_type(directive, item)
    return ([] if replace else original), plain


def _matches(item: Any, merge_key: str, value: Any) -> bool:
    return merge_key in item and identity(item[merge_key]) == identity(value)


def _merge_items(original: list[Any], items: list[Any], merge_key: str, made: Type | None) -> list[Any]:
    merged = list(original)
    for item in items:
        if merge_key not in item:
            raise _no_merge_key(item, merge_key)
        at = next((i for i, o in enumerate(merged) if _matches(o, merge_key, item[merge_key])), None)
        if at is None:
            merged.append(_fresh(item))
        else:
            merged[at] = _merge_map(merged[at], item, made)
    return merged


def _set_element_orders(result: _Map, patch: _Map, made: Type | None) -> None:
    """Carries out ``$setElementOrder/<list>`` together with the patch of that list; both leave the patch."""
    for directive in [k for k in patch if k.startswith(_ORDER)]:
        key, order = directive[len(_ORDER) :], patch.pop(directive)
        if not isinstance(order, list):
            raise bad_request(_BAD_ORDER)
        items, original = patch.get(key), result.get(key)
        if not isinstance(items, list) and not isinstance(original, list):
            continue
        found = _field(made, key)
        merge_key = found.merge_key if found else ""
        by = key_of_item(merge_key, _no_merge_key) if merge_key else identity
        if isinstance(items, list):
            _check_order(items, order, by)
            del patch[key]
        elif key in patch:  # null: the list is deleted
            continue
        merged = _merge_list(original or [], items, made, key, deleting=False) if isinstance(items, list) else original
        result[key] = Order(by).arrange(merged or [], order, original or [])


def _check_order(items: list[Any], order: list[Any], by: Any) -> None:
    """The items of the patch must all be in the order, and in that order; where either list is empty nothing is checked."""
    if not items or not order:
        return
    wanted = [by(v) for v in order]
    present = [by(v) for v in items if not (isinstance(v, dict) and _PATCH in v)]
    if any(p not in wanted for p in present) or sorted(present, key=wanted.index) != present:
        raise _unexpected(
            f"The order in patch list:\n{go_format(items)}\n doesn't match {_ORDER.rstrip('/')} list:\n{go_format(order)}\n"
        )
