"""Images from a real registry that asks for a password: Debian's docker-registry on a free port of loopback."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import IMAGE, Kubectl, eventually, free_port, run

USER, PASSWORD = "opener", "open sesame"
HTPASSWD = "opener:$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n"


@dataclass(frozen=True)
class Registry:
    host: str
    digest: str

    @property
    def image(self) -> str:
        return f"{self.host}/team/app"


def answers(host: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{host}/v2/", timeout=5).close()
    except urllib.error.HTTPError as err:
        return err.code == 401
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Holds one image, of no other content than here; the engine does not have it any more."""
    folder, host = tmp_path_factory.mktemp("registry"), f"127.0.0.1:{free_port()}"
    (folder / "htpasswd").write_text(HTPASSWD)
    config = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": host},
        "auth": {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    process = subprocess.Popen(
        ["docker-registry", "serve", str(folder / "config.yml")], stderr=(folder / "log").open("wb")
    )
    try:
        eventually(lambda: answers(host))
        made = Registry(host, push(f"{host}/team/app", folder))
        yield made
        for name in (f"{made.image}:1", f"{made.image}:latest", f"{made.image}@{made.digest}"):
            run("docker", "rmi", "-f", name, check=False)
    finally:
        process.terminate()
        process.wait()


def push(image: str, folder: Path) -> str:
    """Builds and pushes ``image`` as 1 and latest; the digest."""
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {image.partition("/")[0]: {"auth": login}}}))
    env = {**os.environ, "DOCKER_CONFIG": str(folder)}
    tags = [f"{image}:1", f"{image}:latest"]
    dockerfile = f"FROM {IMAGE}\nLABEL only.in={image}\n"
    run("docker", "build", "-q", *(a for tag in tags for a in ("-t", tag)), "-", stdin=dockerfile)
    for tag in tags:
        run("docker", "push", "-q", tag, env=env)
    digest = json.loads(run("docker", "inspect", tags[0]))[0]["RepoDigests"][0].partition("@")[2]
    run("docker", "rmi", "-f", *tags)
    return str(digest)


def pod(name: str, image: str, **spec: Any) -> str:
    container: dict[str, Any] = {"name": "c", "image": image, "command": ["sleep", "1000"]}
    if policy := spec.pop("policy", ""):
        container["imagePullPolicy"] = policy
    if mounts := spec.pop("mounts", None):
        container["volumeMounts"] = mounts
    body = {"containers": [container], "terminationGracePeriodSeconds": 0, **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body})


def container_of(k: Kubectl, name: str) -> dict[str, Any]:
    found = json.loads(k("get", "pod", name, "-o", "json"))
    statuses = found["status"].get("containerStatuses") or [{}]
    return dict(statuses[0])


def waits_for(k: Kubectl, name: str, reason: str) -> str:
    """The message that comes with the reason."""

    def look() -> Any:
        waiting = (container_of(k, name).get("state") or {}).get("waiting") or {}
        return waiting.get("message") if waiting.get("reason") == reason else None

    return str(eventually(look))


def test_images_of_a_registry_with_a_password(registry: Registry, k: Kubectl) -> None:
    credentials = (f"--docker-username={USER}", f"--docker-password={PASSWORD}")
    k("create", "secret", "docker-registry", "login", f"--docker-server={registry.host}", *credentials)
    old = json.dumps({registry.host: {"username": USER, "password": PASSWORD}})
    k("create", "secret", "generic", "old-login", "--type=kubernetes.io/dockercfg", f"--from-literal=.dockercfg={old}")
    k("create", "serviceaccount", "puller")
    k("patch", "serviceaccount", "puller", "-p", '{"imagePullSecrets":[{"name":"old-login"}]}')
    tag, secrets = f"{registry.image}:1", [{"name": "login"}]

    k("apply", "-f", "-", stdin=pod("nobody", tag))
    assert "no basic auth credentials" in waits_for(k, "nobody", "ImagePullBackOff")
    assert k.told("nobody", "Failed to pull").startswith(f'Failed to pull image "{tag}": ')

    k("apply", "-f", "-", stdin=pod("mine", tag, imagePullSecrets=secrets))
    k("wait", "--for=condition=Ready", "pod/mine", "--timeout=60s")
    assert container_of(k, "mine")["imageID"] == f"docker-pullable://{registry.image}@{registry.digest}"
    pulled = f'Successfully pulled image "{tag}" in '
    assert " including waiting). Image size: " in k.told("mine", pulled)
    assert len([m for m in k.messages("mine") if pulled in m]) == 1

    # it is there now, but not for everybody
    k("apply", "-f", "-", stdin=pod("never", tag, policy="Never"))
    waits_for(k, "never", "ErrImageNeverPull")
    k("apply", "-f", "-", stdin=pod("again", tag, imagePullSecrets=secrets))
    k("apply", "-f", "-", stdin=pod("digest", f"{registry.image}@{registry.digest}", serviceAccountName="puller"))
    k("apply", "-f", "-", stdin=pod("latest", registry.image, serviceAccountName="puller"))
    k("wait", "--for=condition=Ready", "pod/again", "pod/digest", "pod/latest", "--timeout=60s")
    k.told("again", f'Container image "{tag}" already present on machine and can be accessed by the pod')
    k.told("latest", f'Successfully pulled image "{registry.image}" in ')

    # an image volume needs the same secrets; without them its container waits, although the image is there
    volume = {
        "volumes": [{"name": "v", "image": {"reference": tag, "pullPolicy": "IfNotPresent"}}],
        "mounts": [{"name": "v", "mountPath": "/v"}],
    }
    k("apply", "-f", "-", stdin=pod("shows", IMAGE, imagePullSecrets=secrets, **volume))
    k("apply", "-f", "-", stdin=pod("hidden", IMAGE, **volume))
    k("wait", "--for=condition=Ready", "pod/shows", "--timeout=60s")
    status = container_of(k, "shows")["volumeMounts"][0]["volumeStatus"]
    assert status == {"image": {"imageRef": f"docker-pullable://{registry.image}@{registry.digest}"}}
    assert "no basic auth credentials" in waits_for(k, "hidden", "ImagePullBackOff")
    k.told("hidden", "Error: ErrImagePull")
