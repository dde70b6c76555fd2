"""Sends spoiled requests to an API server of its own and reports what must never happen.

    python -m tests.fuzz [--requests 100000] [--seed N] [--connections 8] [--out FOLDER]

A finding is an answer of 500 or above that upstream would not give (``ALLOWED``), no answer within ten seconds, or a
connection that ends without one. Each is printed with a command that repeats it; the exit status is 1 when there is any.
The recordings, where they are (see ``tests.golden``), are taken as requests too.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import yaml

from tests.fuzz.mutate import NAMESPACE, prepared, recorded, spoiled
from tests.fuzz.wire import Answer, Connection, Dropped, Hang, Request
from tests.golden.__main__ import recordings, server

ALLOWED: tuple[tuple[int, str, str], ...] = (
    (500, r"strconv\.ParseUint: parsing ", "a resourceVersion that is no number, in PUT bodies and watches (recorded)"),
    (500, r"^failed to create typed (patch|live) object", "apply of what the schema does not know (recorded)"),
    (500, r"more than one PodDisruptionBudget", "eviction that two budgets cover (recorded)"),
    (
        500,
        r"without impersonating a user",
        "Impersonate-Group, -Uid or -Extra alone (upstream's impersonation filter: InternalError)",
    ),
    (
        500,
        r"^resourceVersion should not be set on objects to be created",
        "POST with a resourceVersion (upstream: storage.ErrResourceVersionSetOnCreate)",
    ),
    (500, r"^unknown patch type: ", "a $patch directive that strategic merge does not know (upstream: a plain error)"),
    (
        500,
        r"^list element types are not identical|does not contain declared merge key",
        "strategic merge of what has no merge key (upstream: a plain error)",
    ),
    (
        500,
        r"^failed to convert new object .* to proper version",
        "apply of a value of the right sort that its field cannot hold (upstream: a plain error)",
    ),
    (500, r"^target\.(name|kind): ", "a binding without target (upstream: a plain aggregate)"),
    (500, r"no preferred addresses found", "proxy to a node without address (upstream: the same)"),
    (500, r"failed calling webhook", "a webhook that the fuzzer has registered and nobody serves"),
    (
        503,
        r"^$|service unavailable|no endpoints available|no service port|error trying to reach",
        "an APIService or proxy target that nobody serves, or what a target that somebody serves answers itself",
    ),
    (502, r"", "a proxy target that nobody serves"),
    (501, r"", "what upstream does not implement either"),
    (
        504,
        r"Timeout: Too large resource version",
        "a resourceVersion of the future (upstream: NewTooLargeResourceVersionError)",
    ),
    (504, r"request did not complete within", "a ?timeout= shorter than the work"),
)
"""Status, pattern of the message, why: what kube-apiserver answers with 5xx as well."""
ROUND = 1000
"""Requests in one namespace: some of them end it, and without controllers it stays as it is."""
BLOCKING = (
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "mutatingadmissionpolicies",
)


@dataclass
class Findings:
    """Everything that has gone wrong, one example of each sort."""

    by_sort: dict[str, list[str]] = field(default_factory=lambda: collections.defaultdict(list))
    statuses: collections.Counter[int] = field(default_factory=collections.Counter)

    def add(self, sort: str, request: Request, before: Request | None = None) -> None:
        after = f", after {reproducer(before)}" if before else ""
        self.by_sort[sort].append(reproducer(request) + after)
        if len(self.by_sort[sort]) == 1:
            print(f"FOUND {sort}\n  {self.by_sort[sort][0][:1500]}", flush=True)


def reproducer(request: Request) -> str:
    """A Python expression: feed it to ``Connection.send``."""
    return f"Request({request.method!r}, {request.target!r}, {request.headers!r}, {request.body!r})"


def verdict(method: str, answer: Answer) -> str:
    """What is wrong with the answer; empty: nothing."""
    if answer.status < 500 or (method == "HEAD" and answer.status == 500):  # no message to judge; the GETs tell
        return ""
    try:  # JSON is YAML, and clients may have asked for either
        message = str(yaml.safe_load(answer.body).get("message", ""))
    except (ValueError, AttributeError, yaml.YAMLError):
        message = answer.body.decode(errors="replace")
    if any(answer.status == status and re.search(pattern, message) for status, pattern, _ in ALLOWED):
        return ""
    return f"{answer.status} {re.sub(r'[0-9]+', 'N', message)[:160]}"


async def probe(connection: Connection, request: Request, findings: Findings) -> None:
    try:
        answer = await connection.send(request)
    except Hang:
        findings.add(f"hang {request.method} {request.target[:60]!r}", request, connection.before)
    except Dropped as error:
        findings.add(f"dropped {str(error)[:80]}", request, connection.before)
    else:
        findings.statuses[answer.status] += 1
        if wrong := verdict(request.method, answer):
            findings.add(wrong, request)


def in_namespace(request: Request, namespace: str) -> Request:
    """The request as admin in the namespace of this round."""
    old, new = NAMESPACE.encode(), namespace.encode()
    headers = request.headers
    if not any(name == b"authorization" for name, _ in headers):
        headers = [*headers, (b"authorization", b"Bearer admintoken")]
    return Request(request.method, request.target.replace(old, new), headers, request.body.replace(old, new))


async def fresh(connection: Connection, namespace: str) -> None:
    """A new namespace, and nothing left of what would answer every later request with the same refusal."""
    ours = json.dumps({"metadata": {"name": namespace}}).encode()
    json_type = [(b"content-type", b"application/json"), (b"authorization", b"Bearer admintoken")]
    await connection.send(Request("POST", b"/api/v1/namespaces", json_type, ours))
    for plural in BLOCKING:
        path = f"/apis/admissionregistration.k8s.io/v1/{plural}"
        await connection.send(Request("DELETE", path.encode(), json_type))


async def fuzz(port: int, count: int, seed: int, connections: int) -> Findings:
    golden = recordings()
    requests = prepared() + (recorded(golden) if golden else [])
    print(f"{len(requests)} requests to start from, seed {seed}", flush=True)
    chance, findings = Random(seed), Findings()
    opened = [Connection(port) for _ in range(connections)]

    async def work(connection: Connection, namespace: str, mine: list[Request]) -> None:
        for request in mine:
            await probe(connection, in_namespace(request, namespace), findings)

    began = time.monotonic()
    for number in range(0, count, ROUND):
        namespace = f"fuzz-{seed}-{number // ROUND}"
        await fresh(opened[0], namespace)
        batch = [spoiled(chance.choice(requests), chance) for _ in range(min(ROUND, count - number))]
        await asyncio.gather(*(work(c, namespace, batch[i::connections]) for i, c in enumerate(opened)))
        done, passed = number + len(batch), time.monotonic() - began
        print(f"{done} requests, {done / passed:.0f}/s, {len(findings.by_sort)} sorts of findings", flush=True)
    for connection in opened:
        connection.close()
    return findings


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--out", type=Path, help="keeps the server's files here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        async with server(folder) as url:
            findings = await fuzz(urlsplit(url).port or 0, args.requests, args.seed, args.connections)
    print("answers: " + ", ".join(f"{status}: {n}" for status, n in sorted(findings.statuses.items())))
    for sort, examples in findings.by_sort.items():
        print(f"{len(examples)} x {sort}\n  {min(examples, key=len)[:3000]}")
    return 1 if findings.by_sort else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
