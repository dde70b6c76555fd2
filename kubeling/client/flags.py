"""Command-line flags from a pydantic model: upstream's names and value syntax, plain errors, honest ``--help``.

A field ``leader_elect: bool`` is the flag ``--leader-elect`` (also ``--leader-elect=false``), ``list[str]`` takes commas and
repetition, ``dict[str, str]`` takes ``k=v,k2=v2``, ``Seconds`` takes Go durations such as ``1m30s``. A field's ``alias`` is
the flag's name where it differs. Flags of upstream's that are accepted but change nothing are listed as such.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse_duration(value: object) -> float:
    """Seconds of a Go duration (``1h2m3.5s``), or of a plain number. Raises ValueError."""
    if isinstance(value, int | float):
        return float(value)
    text = str(value).strip()
    body = text.removeprefix("-")
    if body == "0":
        return 0.0
    if not body or _PART.sub("", body):
        raise ValueError(f"invalid duration {text!r}, want for example 10s, 1m30s or 2h")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(body))
    return -seconds if text.startswith("-") else seconds


def _split(value: object) -> object:
    items = value if isinstance(value, list) else [value]
    return [part for item in items for part in (item.split(",") if isinstance(item, str) else [item]) if part != ""]


def _mapping(value: object) -> object:
    if isinstance(value, Mapping):
        return value
    pairs = [part.partition("=") for part in _split(value)]  # type: ignore[attr-defined]  # _split answers a list here
    return {key: text for key, _, text in pairs}


Seconds = Annotated[float, BeforeValidator(parse_duration)]
Strings = Annotated[list[str], BeforeValidator(_split)]
StringMap = Annotated[dict[str, str], BeforeValidator(_mapping)]


class CommonOptions(BaseModel):
    """What every component takes. Subclass it with the component's own flags."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    kubeconfig: str = Field("", description="kubeconfig file with the API server's address and our credentials")
    context: str = Field("", description="the kubeconfig's context to use instead of its current one")
    master: str = Field("", description="the API server's address, over the kubeconfig's")
    v: int = Field(0, description="log verbosity; 4 and more shows debug messages")
    logging_format: Literal["text", "json"] = Field("text", description="log format: text or json")
    healthz_bind_address: str = Field("127.0.0.1", description="address of /healthz, /livez, /readyz and /metrics")
    healthz_port: int = Field(0, ge=0, le=65535, description="port of /healthz and /metrics; 0 turns them off")


def flag_values(options: BaseModel) -> dict[str, str]:
    """Every flag's name and its value as it could be given."""
    return {name.replace("_", "-"): _text(value) for name, value in options.model_dump().items()}


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{k}={v}" for k, v in value.items())
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


class LeaderOptions(BaseModel):
    """Leader election flags, for components of which one copy may act."""

    leader_elect: bool = Field(True, description="hold the component's Lease while acting")
    leader_elect_lease_duration: Seconds = Field(15.0, description="how long others wait after the last renewal")
    leader_elect_renew_deadline: Seconds = Field(10.0, description="a leader that cannot renew this long gives up")
    leader_elect_retry_period: Seconds = Field(2.0, description="time between attempts")
    leader_elect_resource_name: str = Field("", description="name of the Lease")
    leader_elect_resource_namespace: str = Field("kube-system", description="namespace of the Lease")


O = TypeVar("O", bound=BaseModel)  # noqa: E741  # the conventional name for options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def parse_flags(
    options: type[O],
    prog: str,
    argv: Sequence[str],
    *,
    ignored: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
) -> O:
    """The options from the arguments. Ends the process with status 2 and one line when they are wrong.

    ``ignored`` maps names of upstream's flags that are accepted without effect to the reason; ``texts`` maps fields to what
    ``--help`` adds to their description.
    """
    parser = _Parser(prog=prog, description=options.__doc__, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for name, field in options.model_fields.items():
        _add(parser, name, field, (texts or {}).get(name, ""))
    if ignored:
        group = parser.add_argument_group("accepted for compatibility, without effect")
        for name, why in sorted(ignored.items()):
            group.add_argument(f"--{name}", dest=f"_ignored_{name}", action="append", nargs="?", help=why, metavar="X")
    found = {k: v for k, v in vars(parser.parse_args(list(argv))).items() if not k.startswith("_ignored_")}
    try:
        return options.model_validate(found)
    except ValidationError as err:
        first = err.errors()[0]
        flag = "-".join(str(part) for part in first["loc"][:1]).replace("_", "-")
        parser.error(f"--{flag}: {first['msg']}")


def _add(parser: argparse.ArgumentParser, name: str, field: FieldInfo, more_text: str) -> None:
    flag = f"--{(field.alias or name).replace('_', '-')}"
    default = field.get_default(call_default_factory=True, validated_data={})
    shown = "" if default in ("", None, [], {}) else f" (default {str(default).lower()})"
    text = " ".join(t for t in (f"{field.description or ''}{shown}", more_text) if t).replace("%", "%%")
    more: dict[str, Any] = {"dest": field.alias or name, "help": text}
    if field.annotation is bool:
        more.update(nargs="?", const="true", metavar="true|false")
    elif get_origin(field.annotation) in (list, dict):
        more.update(action="append", metavar="X")
    else:
        more.update(metavar="X")
    parser.add_argument(flag, **more)
