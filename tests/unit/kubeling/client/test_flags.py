import json
import logging

import pytest
from prometheus_client import CollectorRegistry
from pydantic import Field

from kubeling.client.flags import CommonOptions, LeaderOptions, Seconds, StringMap, Strings, parse_duration, parse_flags
from kubeling.client.health import HealthServer
from kubeling.client.logs import JsonFormatter, TextFormatter


class Options(CommonOptions, LeaderOptions):
    """Does something."""

    max_pods: int = Field(110, ge=1, description="most pods")
    node_labels: StringMap = Field(default_factory=dict, description="labels")
    cluster_dns: Strings = Field(default_factory=list, description="addresses")
    period: Seconds = Field(10.0, description="how often")


def parse(*argv: str) -> Options:
    return parse_flags(Options, "prog", argv, ignored={"cloud-provider": "there is none"})


def test_flags_in_upstreams_forms() -> None:
    found = parse(
        "--max-pods=5", "--node-labels=a=b,c=d=e", "--cluster-dns=1.1.1.1,2.2.2.2", "--cluster-dns", "3.3.3.3",
        "--period=1m30s", "--leader-elect=false", "--v=4", "--cloud-provider=x", "--cloud-provider",
    )  # fmt: skip
    assert (found.max_pods, found.period, found.leader_elect, found.v) == (5, 90.0, False, 4)
    assert found.node_labels == {"a": "b", "c": "d=e"}
    assert found.cluster_dns == ["1.1.1.1", "2.2.2.2", "3.3.3.3"]
    assert parse("--leader-elect").leader_elect
    assert parse().max_pods == 110


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--max-pods=0", "--max-pods: Input should be greater than or equal to 1"),
        ("--max-pods=x", "--max-pods: Input should be a valid integer"),
        ("--period=5x", "--period: Value error, invalid duration '5x'"),
        ("--nonsense", "unrecognized arguments: --nonsense"),
        ("--logging-format=xml", "--logging-format: Input should be 'text' or 'json'"),
    ],
)
def test_wrong_flags_end_with_one_line(argument: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(argument)
    assert caught.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith(f"prog: {message}") and text.count("\n") == 1


def test_help_lists_what_has_no_effect(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    text = capsys.readouterr().out
    assert "accepted for compatibility, without effect" in text and "--cloud-provider" in text


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("1.5h", 5400), ("100ms", 0.1), ("1h2m3s", 3723), ("-5s", -5)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


def test_health() -> None:
    problem = ""
    server = HealthServer(
        "127.0.0.1",
        0,
        checks={"loop": lambda: problem},
        ready={"synced": lambda: "not yet"},
        registry=CollectorRegistry(),
    )
    assert server.answer("/healthz") == (200, "text/plain; charset=utf-8", b"ok")
    assert server.answer("/readyz")[0] == 500
    assert server.answer("/readyz/loop")[0] == 200
    assert b"[+]ping ok" in server.answer("/livez?verbose")[2]
    assert server.answer("/nothing")[0] == 404
    assert server.answer("/metrics")[0] == 200
    problem = "stuck"
    status, _, body = server.answer("/healthz")
    assert status == 500 and b"[-]loop failed: stuck" in body


def test_log_lines() -> None:
    record = logging.LogRecord("a.b", logging.WARNING, "f", 1, "x %s", ("y",), None)
    assert TextFormatter().format(record).endswith("WARNING a.b: x y")
    entry = json.loads(JsonFormatter().format(record))
    assert (entry["level"], entry["logger"], entry["msg"]) == ("warning", "a.b", "x y")
