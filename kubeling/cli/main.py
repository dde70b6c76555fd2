"""The ``kubeling`` command. Progress goes to stderr, results to stdout; failures end with status 1 and say what to do."""

from __future__ import annotations

import asyncio
import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

from kubeling import __version__
from kubeling.client.kubeconfig import read
from kubeling.cluster import state
from kubeling.cluster.components import Ports
from kubeling.cluster.config import DEFAULT_VERSION, ClusterConfig, load_config
from kubeling.cluster.errors import ClusterError
from kubeling.cluster.kubeconfig import with_server
from kubeling.cluster.paths import ClusterPaths, cluster_names

app = typer.Typer(
    name="kubeling",
    help="A small, complete Kubernetes on the Docker engine you have.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
export_app = typer.Typer(help="Save something of a cluster.", no_args_is_help=True)
load_app = typer.Typer(help="Accepted for scripts written for kind.", no_args_is_help=True)
app.add_typer(export_app, name="export")
app.add_typer(load_app, name="load")

P = ParamSpec("P")
R = TypeVar("R")
Name = Annotated[str, typer.Option("--name", help="Name of the cluster.")]


def report(text: str) -> None:
    """A line of progress."""
    print(f" • {text}", file=sys.stderr, flush=True)


def fail(err: ClusterError) -> typer.Exit:
    print(f"kubeling: {err.message}", file=sys.stderr)
    if err.advice:
        print(f"  → {err.advice}", file=sys.stderr)
    return typer.Exit(1)


def tells_failures(command: Callable[P, R]) -> Callable[P, R]:
    """Turns ClusterError into its message and exit status 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ClusterError as err:
            raise fail(err) from None
        except PermissionError as err:
            raise fail(ClusterError(f"not permitted: {err.filename}", "run it with sudo")) from None

    return run


def seconds(text: str) -> float:
    """``60s``, ``2m``, ``90`` as seconds."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        return float(number) * units[unit]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no duration; write 60s or 2m") from None


@app.command()
@tells_failures
def up(
    name: Annotated[str | None, typer.Option(help="Name of the cluster [default: dev].")] = None,
    nodes: Annotated[int | None, typer.Option(help="Number of nodes [default: 1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API server [default: 6443].")] = None,
    only: Annotated[str, typer.Option(help="Comma-separated components to run, e.g. apiserver (brings etcd).")] = "",
    kubernetes_version: Annotated[
        str | None, typer.Option(help=f"Kubernetes version to present [default: {DEFAULT_VERSION}].")
    ] = None,
    legacy_apis: Annotated[
        bool | None, typer.Option("--legacy-apis", help="Also serve extensions/v1beta1, apps/v1beta1 and their kin.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings; flags override it.")] = None,
    wait: Annotated[str, typer.Option(help="How long to wait until it is usable.")] = "60s",
) -> None:
    """Start a cluster and add its context to the kubeconfig."""
    from kubeling.cluster.up import up as bring_up

    began = time.monotonic()
    overrides: dict[str, Any] = {
        "name": name,
        "nodes": nodes,
        "port": port,
        "only": tuple(c.strip() for c in only.split(",")) if only else None,
        "kubernetes_version": kubernetes_version,
        "legacy_apis": legacy_apis,
    }
    settings = load_config(config, overrides)
    report(f"cluster {settings.name}, Kubernetes {settings.kubernetes_version}")
    asyncio.run(bring_up(settings, seconds(wait), report))
    report(f"ready after {time.monotonic() - began:.1f} s")
    _say_what_next(settings)


@app.command()
@tells_failures
def start(name: Name = "dev", wait: Annotated[str, typer.Option(help="How long to wait.")] = "60s") -> None:
    """Start a cluster again that was stopped (after a reboot, say), as it was."""
    from kubeling.cluster.up import up as bring_up

    settings, _ = _remembered(name)
    asyncio.run(bring_up(settings, seconds(wait), report))
    _say_what_next(settings)


@app.command()
@tells_failures
def stop(name: Name = "dev") -> None:
    """Stop the components of a cluster; its objects and running containers stay."""
    from kubeling.cluster.down import stop_processes

    _remembered(name)
    asyncio.run(stop_processes(ClusterPaths.of(name), report))


def _say_what_next(settings: ClusterConfig) -> None:
    if "apiserver" in settings.components:
        print(
            f"Context {settings.context} is set. Try:\n  kubectl get nodes\n  kubectl create deployment web --image=IMAGE"
        )


@app.command()
@tells_failures
def down(
    name: Name = "dev", all_: Annotated[bool, typer.Option("--all", help="Every cluster of this machine.")] = False
) -> None:
    """Stop a cluster and remove all that belongs to it."""
    from kubeling.cluster.down import down as take_down

    for cluster in list(cluster_names()) if all_ else [name]:
        existed = asyncio.run(take_down(ClusterPaths.of(cluster), report))
        report(f"cluster {cluster} is gone" if existed else f"there is no cluster {cluster}")


@app.command()
@tells_failures
def status(
    name: Annotated[str | None, typer.Option(help="Name of the cluster [default: all].")] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
) -> None:
    """Show which components run. Exit status 1 unless every one does."""
    clusters = [name] if name else list(cluster_names())
    found = {c: asyncio.run(state.ask_supervisor(ClusterPaths.of(c), "status")) for c in clusters}
    if output == "json":
        print(json.dumps(found, indent=1))
    elif not clusters:
        print("no clusters", file=sys.stderr)
    else:
        for cluster, answer in found.items():
            _print_status(cluster, answer)
    healthy = bool(found) and all(a is not None and all(c["running"] for c in a["components"]) for a in found.values())
    raise typer.Exit(0 if healthy else 1)


def _print_status(cluster: str, answer: dict[str, Any] | None) -> None:
    if answer is None:
        known = ClusterPaths.of(cluster).config.exists()
        print(f"{cluster}: {'stopped (kubeling start --name ' + cluster + ')' if known else 'no such cluster'}")
        return
    print(f"{cluster}: running")
    for c in answer["components"]:
        condition = (
            f"pid {c['pid']}, up {c['uptimeSeconds']:.0f} s" if c["running"] else f"down, last status {c['lastExit']}"
        )
        print(f"  {c['name']:<24} {condition}, {c['restarts']} restarts")


@app.command()
@tells_failures
def logs(
    component: Annotated[str, typer.Argument(help="Component, as `kubeling status` names it.")],
    name: Name = "dev",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    tail: Annotated[int, typer.Option(help="Lines from the end; -1: all.")] = -1,
) -> None:
    """Print the log of a component."""
    file = ClusterPaths.of(name).log(component)
    if not file.is_file():
        known = ", ".join(sorted(f.stem for f in file.parent.glob("*.log"))) or "none"
        raise ClusterError(f"cluster {name} has no component {component}", f"components with a log: {known}")
    count = "+1" if tail < 0 else str(tail)
    raise typer.Exit(
        subprocess.run(["tail", "-n", count, *(["-F"] if follow else []), str(file)], check=False).returncode
    )


@app.command()
@tells_failures
def kubeconfig(
    name: Name = "dev",
    internal: Annotated[bool, typer.Option("--internal", help="With the address that pods reach.")] = False,
) -> None:
    """Print a cluster's kubeconfig."""
    settings, _ = _remembered(name)
    file = ClusterPaths.of(name).kubeconfig("admin")
    if internal:
        print(with_server(read(file), f"https://{settings.service_address(1)}:443"), end="")
    else:
        print(file.read_text(), end="")


def _remembered(name: str) -> tuple[ClusterConfig, Ports]:
    remembered = state.load(ClusterPaths.of(name))
    if remembered is None:
        known = ", ".join(cluster_names()) or "none"
        raise ClusterError(f"there is no cluster {name}", f"clusters: {known}; make one: kubeling up --name {name}")
    return remembered


@export_app.command("logs")
@tells_failures
def export_logs(
    folder: Annotated[Path, typer.Argument(help="Where to write.")] = Path("kubeling-logs"), name: Name = "dev"
) -> None:
    """Copy the components' logs and a dump of the cluster's objects into a folder."""
    import shutil

    _remembered(name)
    paths = ClusterPaths.of(name)
    folder.mkdir(parents=True, exist_ok=True)
    for log in paths.logs.iterdir():
        shutil.copy(log, folder / log.name)
    if shutil.which("kubectl"):
        dump = ["kubectl", f"--kubeconfig={paths.kubeconfig('admin')}", "cluster-info", "dump"]
        subprocess.run(
            [*dump, "--all-namespaces", f"--output-directory={folder / 'objects'}"], check=False, stdout=sys.stderr
        )
    report(f"written to {folder}")


@load_app.command("docker-image")
@tells_failures
def load_docker_image(images: list[str], name: Name = "dev") -> None:
    """Accepted as kind's is; there is nothing to load."""
    _remembered(name)
    for image in images:
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode:
            raise ClusterError(f"the Docker engine has no image {image}", f"build or pull it: docker pull {image}")
        report(f"{image}: nothing to load, the pods of kubeling run on this very Docker engine")


@app.command()
def version() -> None:
    """Print the versions of kubeling and of the Kubernetes it presents."""
    print(f"kubeling {__version__}, Kubernetes {DEFAULT_VERSION}, Python {sys.version.split()[0]}")


@app.command()
def completion(shell: Annotated[str, typer.Argument(help="bash, zsh or fish.")] = "bash") -> None:
    """Print a completion script: source <(kubeling completion bash)"""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # not marked as exported

    print(get_completion_script(prog_name="kubeling", complete_var="_KUBELING_COMPLETE", shell=shell))


def main() -> None:
    app(prog_name="kubeling")


if __name__ == "__main__":
    main()
