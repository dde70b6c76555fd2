"""Images: pull policies, credentials, back-off."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kubelet.images.credentials import credentials_for
from kubelet.images.manager import ImageManager, go_duration
from kubelet.images.plugins import ImagePlugins, read_providers
from kubelet.images.records import PullRecords
from kubelet.pods.failure import ContainerFailure
from kubelet.runtime.protocol import RuntimeFailure
from kubelet.runtime.records import ImageRecord
from kubeling.client.clock import FakeClock
from kubeling.client.errors import StartError

POD = {"metadata": {"name": "p", "namespace": "ns", "uid": "u1"}}


class Registry:
    """A runtime that pulls what is in ``remote``; ``password`` is asked of logins."""

    def __init__(self, remote: set[str], local: set[str], password: str = "") -> None:
        self.remote, self.local, self.password = remote, local, password
        self.pulled: list[tuple[str, Any]] = []

    async def images(self) -> list[ImageRecord]:
        return [ImageRecord("sha256:1", (name,), (), 7) for name in self.local]

    async def image(self, name: str) -> ImageRecord | None:
        return ImageRecord("sha256:1", (name,), (), 7) if name in self.local else None

    async def pull(self, name: str, auth: Any) -> None:
        self.pulled.append((name, auth))
        if name not in self.remote or (self.password and (auth or {}).get("password") != self.password):
            raise RuntimeFailure("pull access denied")
        self.local.add(name)


async def ensure(
    runtime: Any, image: str, policy: str, clock: FakeClock | None = None, secrets: Any = ()
) -> tuple[str, list[str]]:
    """What the status shows (empty when it runs) and the events' reasons."""
    events: list[str] = []
    manager = runtime if isinstance(runtime, ImageManager) else ImageManager(runtime, clock or FakeClock())
    container = {"name": "c", "image": image, "imagePullPolicy": policy}
    try:
        await manager.ensure(POD, container, list(secrets), lambda _t, reason, _m: events.append(reason))
    except ContainerFailure as err:
        return err.reason, events
    return "", events


@pytest.mark.parametrize(
    ("image", "policy", "present", "remote", "outcome"),
    [
        ("a:1", "IfNotPresent", True, False, ("", ["Pulled"])),
        ("a:1", "IfNotPresent", False, True, ("", ["Pulling", "Pulled"])),
        ("a:1", "Always", True, True, ("", ["Pulling", "Pulled"])),
        ("a:1", "Never", True, False, ("", ["Pulled"])),
        ("a:1", "Never", False, True, ("ErrImageNeverPull", ["ErrImageNeverPull"])),
        ("a:1", "IfNotPresent", False, False, ("ErrImagePull", ["Pulling", "Failed"])),
        ("A B", "IfNotPresent", False, False, ("InvalidImageName", ["InspectFailed"])),
    ],
)
async def test_policies(image: str, policy: str, present: bool, remote: bool, outcome: Any) -> None:
    registry = Registry({image} if remote else set(), {image} if present else set())
    assert await ensure(registry, image, policy) == outcome


async def test_failed_pulls_back_off() -> None:
    clock = FakeClock()
    registry: Any = Registry(set(), set())
    manager = ImageManager(registry, clock)
    assert (await ensure(manager, "a:1", "Always"))[0] == "ErrImagePull"
    assert (await ensure(manager, "a:1", "Always"))[0] == "ImagePullBackOff"
    await clock.advance(10)
    assert (await ensure(manager, "a:1", "Always"))[0] == "ErrImagePull"
    await clock.advance(10)
    assert (await ensure(manager, "a:1", "Always"))[0] == "ImagePullBackOff"
    registry.remote.add("a:1")
    await clock.advance(10)
    assert (await ensure(manager, "a:1", "Always"))[0] == ""


def secret(**auths: Any) -> dict[str, Any]:
    config = json.dumps({"auths": {k.replace("__", "/").replace("_", "."): v for k, v in auths.items()}})
    return {"data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()}}


LOGIN = {"username": "u", "password": "p"}


@pytest.mark.parametrize(
    ("key", "image", "found"),
    [
        ("reg_example__team", "reg.example/team/app:1", True),
        ("reg_example__other", "reg.example/team/app:1", False),
        ("*_example", "reg.example/team/app:1", True),
        ("*_example", "a.reg.example/app", False),
        ("https:____index_docker_io__v1__", "nginx", True),
        ("docker_io", "nginx", True),
        ("reg_example:5000", "reg.example:5000/app", True),
        ("reg_example", "reg.example:5000/app", False),
        ("*_example", "reg.example:5000/app", False),
        ("*_example:5000", "reg.example:5000/app", True),
        ("reg_example__te", "reg.example/team/app:1", True),
        ("http:____reg_example__v2__", "reg.example/app", True),
        ("reg_example__v1__team", "reg.example/team/app", True),
        ("index_docker_io", "reg.example/app", False),
    ],
)
def test_credentials(key: str, image: str, found: bool) -> None:
    assert bool(credentials_for(image, [secret(**{key: LOGIN})])) == found


def test_the_longest_key_comes_first_and_auth_is_decoded() -> None:
    encoded = {"auth": base64.b64encode(b"x:y:z").decode()}
    logins = credentials_for("r.example/a/b", [secret(r_example=LOGIN, r_example__a=encoded)])
    assert [(found.auth["username"], found.auth["password"]) for found in logins] == [("x", "y:z"), ("u", "p")]
    assert credentials_for("r.example/a", [{"data": {".dockerconfigjson": "!!"}}]) == []


def test_the_order_of_logins() -> None:
    def login(user: str) -> dict[str, str]:
        return {"username": user, "password": "p"}

    first = secret(r_example=login("host"), **{"*_example": login("glob")})
    second = secret(r_example=login("again"), r_example__a=login("path"))
    found = credentials_for("r.example/a/b", [first, second])
    assert [c.auth["username"] for c in found] == ["path", "host", "again", "glob"]
    hub = secret(docker_io=login("new"), index_docker_io=login("old"))
    assert [c.auth["username"] for c in credentials_for("nginx", [hub])] == ["new"]


async def test_logins_are_tried_in_turn() -> None:
    registry = Registry({"r.example/a:1"}, set(), password="p")
    wrong = {"username": "u", "password": "no"}
    assert (
        await ensure(registry, "r.example/a:1", "Always", secrets=[secret(r_example__a=wrong), secret(r_example=LOGIN)])
    )[0] == ""


async def test_all_that_registries_said_is_told_once() -> None:
    secrets = [secret(r_example__a={"username": "u", "password": n}) for n in "xy"]
    told: list[str] = []
    manager: Any = ImageManager(Registry(set(), set()), FakeClock())  # type: ignore[arg-type]
    with pytest.raises(ContainerFailure) as failure:
        await manager.ensure(POD, {"image": "r.example/a:1"}, secrets, lambda _t, _r, message: told.append(message))
    assert failure.value.message == "pull access denied"
    assert told[-1] == 'Failed to pull image "r.example/a:1": pull access denied'


def named(name: str, uid: str, **auths: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "ns", "name": name, "uid": uid}, **secret(**auths)}


PRIVATE = "r.example/a:1"
MINE = named("mine", "u1", r_example=LOGIN)
COPY = named("copy", "u2", r_example=LOGIN)
OTHER = named("other", "u3", r_example={"username": "u", "password": "q"})
ROTATED = named("mine", "u1", r_example={"username": "u", "password": "new"})


@pytest.mark.parametrize(
    ("secrets", "policy", "outcome"),
    [
        ([MINE], "IfNotPresent", ("", ["Pulled"])),
        ([COPY], "IfNotPresent", ("", ["Pulled"])),
        ([ROTATED], "Never", ("", ["Pulled"])),
        ([OTHER], "IfNotPresent", ("ErrImagePull", ["Pulling", "Failed"])),
        ([], "IfNotPresent", ("ErrImagePull", ["Pulling", "Failed"])),
        ([], "Never", ("ErrImageNeverPull", ["ErrImageNeverPull"])),
    ],
    ids=["same", "copy", "rotated", "other", "none", "never"],
)
async def test_a_private_image_is_for_those_who_could_pull_it(secrets: Any, policy: str, outcome: Any) -> None:
    registry: Any = Registry({PRIVATE}, set(), password="p")
    manager = ImageManager(registry, FakeClock())
    assert (await ensure(manager, PRIVATE, "IfNotPresent", secrets=[MINE]))[0] == ""
    assert await ensure(manager, PRIVATE, policy, secrets=secrets) == outcome


async def test_records_outlive_the_process(tmp_path: Path) -> None:
    clock = FakeClock()
    registry: Any = Registry({PRIVATE, "open:1"}, set(), password="p")
    manager = ImageManager(registry, clock, records=PullRecords(tmp_path, clock))
    assert (await ensure(manager, PRIVATE, "IfNotPresent", secrets=[MINE]))[0] == ""
    again = ImageManager(registry, clock, records=PullRecords(tmp_path, clock))
    await again.load()
    assert (await ensure(again, PRIVATE, "Never", secrets=[MINE]))[0] == ""
    assert (await ensure(again, PRIVATE, "Never"))[0] == "ErrImageNeverPull"
    assert not list((tmp_path / "pulling").iterdir())
    await again.records.forget(again.records.image_ids)
    assert not list((tmp_path / "pulled").iterdir())


async def test_an_image_that_was_there_stays_everyones_under_its_name() -> None:
    """Pulled afterwards with a secret under another name, it is still the same image for those who use the first."""
    registry: Any = Registry({PRIVATE}, {"local:1"}, password="p")
    manager = ImageManager(registry, FakeClock())
    assert (await ensure(manager, "local:1", "Never"))[0] == ""
    assert (await ensure(manager, PRIVATE, "IfNotPresent", secrets=[MINE]))[0] == ""
    assert (await ensure(manager, "local:1", "Never"))[0] == ""
    assert (await ensure(manager, PRIVATE, "Never"))[0] == "ErrImageNeverPull"
    assert manager.records.image_ids and not manager.records.pulled_ids  # it is the user's, not ours to remove


async def test_a_pull_that_nobody_saw_the_end_of_opens_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    await PullRecords(tmp_path, clock).begin(PRIVATE)
    registry: Any = Registry({PRIVATE}, {PRIVATE}, password="p")
    manager = ImageManager(registry, clock, records=PullRecords(tmp_path, clock))
    await manager.load()
    assert (await ensure(manager, PRIVATE, "Never", secrets=[MINE]))[0] == "ErrImageNeverPull"
    assert (await ensure(manager, PRIVATE, "IfNotPresent", secrets=[MINE]))[0] == ""


@pytest.mark.parametrize(
    ("policy", "image", "usable"),
    [
        ("NeverVerify", "r.example/a:1", True),
        ("NeverVerifyPreloadedImages", "r.example/a:1", True),
        ("NeverVerifyAllowlistedImages", "r.example/a:1", False),
        ("NeverVerifyAllowlistedImages", "r.example/free/a:1", True),
        ("NeverVerifyAllowlistedImages", "r.example/one:2", True),
        ("AlwaysVerify", "r.example/free/a:1", False),
    ],
)
async def test_policies_for_images_that_were_there(policy: Any, image: str, usable: bool) -> None:
    records = PullRecords(None, FakeClock(), policy, ["r.example/free/*", "r.example/one"])
    assert await records.may_use(image, "sha256:1", []) == usable


async def test_trouble_that_is_over_is_remembered_for_a_while() -> None:
    clock = FakeClock()
    registry: Any = Registry(set(), set())
    manager = ImageManager(registry, clock)

    async def outcome() -> str:
        return (await ensure(manager, "a:1", "Always"))[0]

    assert await outcome() == "ErrImagePull"
    await clock.advance(10)
    registry.remote.add("a:1")
    assert await outcome() == ""
    registry.remote.clear()
    await clock.advance(60)
    assert await outcome() == "ErrImagePull"
    await clock.advance(19)
    assert await outcome() == "ImagePullBackOff"
    await clock.advance(1)
    assert await outcome() == "ErrImagePull"


PLUGIN = """#!/bin/sh
read request
echo "$request" >> "$ASKED"
echo '{"kind": "CredentialProviderResponse", "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "cacheKeyType": "Registry",
  "cacheDuration": "1m", "auth": {"*.example": {"username": "node", "password": "p"}}}'
"""
PROVIDER = {
    "name": "plugin",
    "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
    "matchImages": ["*.example/team"],
    "defaultCacheDuration": "0s",
}


def configured(folder: Path, **changes: Any) -> Path:
    """A configuration file, and the plugin beside it."""
    (folder / "plugin").write_text(PLUGIN)
    (folder / "plugin").chmod(0o700)
    provider = {**PROVIDER, "env": [{"name": "ASKED", "value": str(folder / "asked")}], **changes}
    config = {"kind": "CredentialProviderConfig", "apiVersion": "kubelet.config.k8s.io/v1", "providers": [provider]}
    (folder / "config.yaml").write_text(json.dumps(config))
    return folder / "config.yaml"


async def test_a_plugin_logs_the_node_in(tmp_path: Path) -> None:
    clock = FakeClock()
    plugins = ImagePlugins(read_providers(configured(tmp_path), str(tmp_path)), clock)
    assert [c.auth["username"] for c in await plugins.credentials("r.example/team/app:1")] == ["node"]
    assert (
        len(await plugins.credentials("r.example/team/other:1")) == 1
    )  # the answer is for the registry, a minute long
    assert await plugins.credentials("r.example/other/app:1") == []
    await clock.advance(61)
    await plugins.credentials("r.example/team/app:1")
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert (
        asked
        == [
            {
                "kind": "CredentialProviderRequest",
                "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
                "image": "r.example/team/app",
            }
        ]
        * 2
    )


async def test_what_a_plugin_opens_is_everybodys(tmp_path: Path) -> None:
    clock = FakeClock()
    registry: Any = Registry({"r.example/team/a:1"}, set(), password="p")
    plugins = ImagePlugins(read_providers(configured(tmp_path), str(tmp_path)), clock)
    manager = ImageManager(registry, clock, plugins=plugins)
    assert (await ensure(manager, "r.example/team/a:1", "IfNotPresent"))[0] == ""
    alone = ImageManager(registry, clock, records=manager.records)
    assert (await ensure(alone, "r.example/team/a:1", "Never"))[0] == ""


async def test_a_plugin_that_fails_gives_no_login(tmp_path: Path) -> None:
    plugins = ImagePlugins(read_providers(configured(tmp_path, name="missing"), str(tmp_path)), FakeClock())
    assert await plugins.credentials("r.example/team/app:1") == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": "a/b"}, "providers.name: Invalid value"),
        ({"apiVersion": "v1"}, "providers.apiVersion: Unsupported value"),
        ({"matchImages": []}, "providers.matchImages: Required value"),
        ({"defaultCacheDuration": "soon"}, "invalid duration"),
        ({"tokenAttributes": {"cacheType": "Token"}}, "no service account tokens"),
    ],
)
def test_plugins_that_cannot_be(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(StartError, match=why):
        read_providers(configured(tmp_path, **changes), str(tmp_path))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0s"), (0.85, "850ms"), (1.2349, "1.234s"), (62.5, "1m2.5s"), (3600, "1h0m0s")]
)
def test_go_duration(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
