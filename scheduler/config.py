"""``KubeSchedulerConfiguration`` (kubescheduler.config.k8s.io/v1): profiles, their plugins and the plugins' arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from kubeling.client.errors import StartError
from kubeling.client.flags import Seconds
from scheduler.framework.profile import ALIASES, POINTS, Entry, Profile
from scheduler.plugins import DEFAULT_PROFILE, PLUGINS

API_VERSION = "kubescheduler.config.k8s.io/v1"
DEFAULT_SCHEDULER = "default-scheduler"


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class PluginRef(_Model):
    name: str
    weight: int = 0


class PluginSet(_Model):
    """What to turn on and off at one point; ``*`` turns all off."""

    enabled: list[PluginRef] = Field(default_factory=list)
    disabled: list[PluginRef] = Field(default_factory=list)


class PluginConfig(_Model):
    name: str
    args: dict[str, Any] = Field(default_factory=dict)


class ProfileConfig(_Model):
    scheduler_name: str = DEFAULT_SCHEDULER
    percentage_of_nodes_to_score: int | None = Field(default=None, ge=0, le=100)
    plugins: dict[str, PluginSet] = Field(default_factory=dict)
    plugin_config: list[PluginConfig] = Field(default_factory=list)


class LeaderElection(_Model):
    leader_elect: bool = True
    lease_duration: Seconds = 15.0
    renew_deadline: Seconds = 10.0
    retry_period: Seconds = 2.0
    resource_lock: str = "leases"
    resource_name: str = "kube-scheduler"
    resource_namespace: str = "kube-system"


class Configuration(_Model):
    """The file as a whole; sections that change nothing here are taken and left alone."""

    api_version: str = API_VERSION
    kind: str = "KubeSchedulerConfiguration"
    parallelism: int = 16
    percentage_of_nodes_to_score: int = Field(default=0, ge=0, le=100)
    pod_initial_backoff_seconds: float = Field(default=1.0, gt=0)
    pod_max_backoff_seconds: float = Field(default=10.0, gt=0)
    profiles: list[ProfileConfig] = Field(default_factory=lambda: [ProfileConfig()])
    leader_election: LeaderElection | None = None
    client_connection: dict[str, Any] = Field(default_factory=dict)
    enable_profiling: bool = True
    enable_contention_profiling: bool = True
    delay_cache_until_active: bool = False
    extenders: list[dict[str, Any]] = Field(default_factory=list, max_length=0)


def load(path: Path) -> Configuration:
    """Reads a file. Raises StartError naming each bad setting."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as err:
        raise StartError(f"cannot read {path}: {err.strerror}; give --config the path of a file") from err
    except yaml.YAMLError as err:
        raise StartError(f"{path} is no YAML: {' '.join(str(err).split())}") from err
    kind = (content.get("apiVersion"), content.get("kind")) if isinstance(content, dict) else None
    if kind != (API_VERSION, "KubeSchedulerConfiguration"):
        raise StartError(f"{path} must be of kind KubeSchedulerConfiguration, apiVersion {API_VERSION}")
    try:
        return Configuration.model_validate(content)
    except ValidationError as err:
        wrong = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in err.errors())
        raise StartError(f"{path}: {wrong}") from err


def build_profiles(config: Configuration) -> dict[str, Profile]:
    """Profiles by scheduler name. Raises StartError for unknown plugins and points, and for names used twice."""
    found: dict[str, Profile] = {}
    for wanted in config.profiles:
        if wanted.scheduler_name in found:
            raise StartError(f"profiles: duplicate schedulerName {wanted.scheduler_name!r}")
        args = {c.name: c.args for c in wanted.plugin_config}
        _known(args)
        percentage = wanted.percentage_of_nodes_to_score
        found[wanted.scheduler_name] = Profile.of(
            entries_of(wanted.plugins),
            name=wanted.scheduler_name,
            args=args,
            percentage=config.percentage_of_nodes_to_score if percentage is None else percentage,
        )
    return found


def _known(names: Iterable[str]) -> None:
    for name in names:
        if name not in PLUGINS:
            raise StartError(f"unknown plugin {name!r}; known are {', '.join(PLUGINS)}")


def entries_of(plugins: Mapping[str, PluginSet]) -> list[Entry]:
    """The default profile with what a configuration turns on and off, multiPoint first."""
    entries = list(DEFAULT_PROFILE)
    order = sorted(plugins, key=lambda point: point != "multiPoint")
    for point in order:
        settings = plugins[point]
        _known(r.name for r in (*settings.enabled, *settings.disabled) if r.name != "*")
        if point == "multiPoint":
            entries = _everywhere(entries, settings)
        elif point in POINTS or point in ALIASES:
            entries = _at_point(entries, ALIASES.get(point, point), settings)
        elif point != "postBind":
            raise StartError(
                f"plugins: unknown extension point {point!r}; known are multiPoint, {', '.join((*POINTS, *ALIASES))}"
            )
    return entries


def _everywhere(entries: list[Entry], settings: PluginSet) -> list[Entry]:
    """Kept defaults stay in place (with a new weight, perhaps), new ones come last."""
    off = {r.name for r in settings.disabled}
    kept = [] if "*" in off else [e for e in entries if e.name not in off]
    weights = {r.name: r.weight for r in settings.enabled}
    kept = [replace(e, weight=weights[e.name] or e.weight) if e.name in weights else e for e in kept]
    present = {e.name for e in kept}
    return kept + [Entry(PLUGINS[r.name], r.weight or 1) for r in settings.enabled if r.name not in present]


def _at_point(entries: list[Entry], point: str, settings: PluginSet) -> list[Entry]:
    off = {r.name for r in settings.disabled}
    on = {r.name: r for r in settings.enabled}
    changed = []
    for entry in entries:
        if entry.name in on:
            points = entry.only | {point} if entry.only is not None else None
            entry = replace(entry, weight=on[entry.name].weight or entry.weight, off=entry.off - {point}, only=points)
        elif "*" in off or entry.name in off:
            entry = replace(entry, off=entry.off | {point})
        changed.append(entry)
    present = {e.name for e in entries}
    new = [
        Entry(PLUGINS[r.name], r.weight or 1, only=frozenset({point}))
        for r in settings.enabled
        if r.name not in present
    ]
    return changed + new
