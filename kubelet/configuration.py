"""The configuration file (``--config``): KubeletConfiguration kubelet.config.k8s.io/v1beta1 to options, and back for ``/configz``.

A flag that was given wins over the file, as with upstream's kubelet. Fields that the type does not have are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from kubelet.configuration_fields import EMPTY_IS_NONE, LESS, MERGE, SETTINGS, WITHOUT_EFFECT
from kubelet.options import Options
from kubeling.client.errors import StartError
from kubeling.client.flags import parse_duration

GROUP_VERSION, KIND = "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"


def read_configuration(path: Path) -> dict[str, Any]:
    """The file's object. Raises StartError."""
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as err:
        raise StartError(f"failed to load kubelet config file, path: {path}, error: {err}") from err
    if not isinstance(found, dict) or found.get("kind") != KIND or found.get("apiVersion") != GROUP_VERSION:
        raise StartError(f"failed to load kubelet config file, path: {path}: want kind {KIND} of {GROUP_VERSION}")
    return {k: v for k, v in found.items() if k not in ("kind", "apiVersion")}


def _leaves(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Fields by dotted path, as deep as the settings know them."""
    known = {s.path for s in SETTINGS} | {MERGE, *WITHOUT_EFFECT}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        path = prefix + name
        if path not in known and isinstance(inner, dict) and any(k.startswith(path + ".") for k in known):
            found |= _leaves(inner, path + ".")
        else:
            found[path] = inner
    return found


def options_from(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Option values by name. Raises StartError for unknown fields."""
    leaves = {path: value for path, value in _leaves(configuration).items() if value is not None}
    known = {MERGE, *WITHOUT_EFFECT, *(s.path for s in SETTINGS)}
    if unknown := sorted(path for path in leaves if path not in known):
        raise StartError(f'failed to decode kubelet config file: strict decoding error: unknown field "{unknown[0]}"')
    leaves = {path: value for path, value in leaves.items() if path not in EMPTY_IS_NONE or not _is_empty(value)}
    if (often := leaves.get("nodeStatusUpdateFrequency")) is not None:
        leaves.setdefault("nodeStatusReportFrequency", often)
    try:
        if leaves.get(MERGE) and "evictionHard" in leaves:
            leaves["evictionHard"] = LESS[1](Options.model_fields["eviction_hard"].default) | leaves["evictionHard"]
        return {s.option: s.to_option(leaves[s.path]) for s in SETTINGS if s.path in leaves}
    except (AttributeError, KeyError, TypeError) as err:
        raise StartError(f"failed to decode kubelet config file: {err!r}") from err


def _is_empty(value: Any) -> bool:
    try:
        return not value or parse_duration(value) == 0
    except ValueError:
        return False


def with_configuration(options: Options) -> tuple[Options, dict[str, Any]]:
    """The options with the file's values where no flag was given, and what the file holds. Raises StartError."""
    if not options.config:
        return options, {}
    configuration = read_configuration(Path(options.config))
    given = {name: getattr(options, name) for name in options.model_fields_set}
    try:
        return Options.model_validate(options_from(configuration) | given), configuration
    except ValidationError as err:
        first = err.errors()[0]
        path = next((s.path for s in SETTINGS if s.option == first["loc"][0]), str(first["loc"][0]))
        raise StartError(f"failed to validate kubelet configuration: {path}: {first['msg']}") from err


def configuration_of(options: Options, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in force, as ``/configz`` shows it: what the options say, and what of the file has no effect."""
    shown: dict[str, Any] = {}
    for path, value in _leaves(configuration).items():
        _put(shown, path, value)
    for setting in SETTINGS:
        if (value := setting.to_config(getattr(options, setting.option))) is not None:
            _put(shown, setting.path, value)
    return shown | {"kind": KIND, "apiVersion": GROUP_VERSION}


def _put(target: dict[str, Any], path: str, value: Any) -> None:
    *folders, name = path.split(".")
    for folder in folders:
        target = target.setdefault(folder, {})
    target[name] = value
