"""Secret: base64 data of a type, with the rules of the built-in types."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apiserver.kinds.core.configmap import MAX_SECRET_SIZE, decoded_length, immutable_errors
from apiserver.kinds.core.keypair import key_pair_problem
from apiserver.kinds.printing import AGE, NAME, age_of, column
from apiserver.kinds.strategies import default_to
from apiserver.kinds.validation.meta import immutable
from apiserver.registry.kind import Context, Kind, Printer, Strategy
from kubeling.api import fields, names
from kubeling.api.fields import ErrorList, Path
from kubeling.api.meta import Object, annotations_of, name_of
from kubeling.api.resources import SECRETS
from kubeling.api.schema.gojson import syntax_error
from kubeling.api.schema.scalars import json_kind

OPAQUE = "Opaque"
SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
SERVICE_ACCOUNT_NAME = "kubernetes.io/service-account.name"
DOCKER_CFG, DOCKER_CONFIG_JSON = "kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"
BASIC_AUTH, SSH_AUTH, TLS = "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls"
_DATA = Path("data")
_REDACTED = "<secret contents redacted>"


class SecretStrategy(Strategy):
    def default(self, obj: Object) -> None:
        text = obj.pop("stringData", None)
        if text:
            encoded = {k: base64.b64encode(v.encode()).decode() for k, v in text.items()}
            obj["data"] = {**(obj.get("data") or {}), **encoded}
        default_to(obj, "type", OPAQUE)

    def prepare_for_update(self, ctx: Context, obj: Object, old: Object) -> None:
        if not obj.get("type"):
            obj["type"] = old.get("type", OPAQUE)

    def validate(self, ctx: Context, obj: Object) -> ErrorList:
        data: Mapping[str, str] = obj.get("data") or {}
        errors: ErrorList = []
        for key in sorted(data):
            errors += [fields.invalid(_DATA.key(key), key, m) for m in names.is_config_map_key(key)]
        if sum(decoded_length(v) for v in data.values()) > MAX_SECRET_SIZE:
            errors.append(fields.too_long(_DATA, MAX_SECRET_SIZE))
        return errors + _validate_type(obj, data)

    def validate_update(self, ctx: Context, obj: Object, old: Object) -> ErrorList:
        errors = immutable(obj.get("type", ""), old.get("type", ""), Path("type"))
        errors += immutable_errors(obj, old, "data")
        return errors + self.validate(ctx, obj)

    def warnings_on_create(self, ctx: Context, obj: Object) -> list[str]:
        return _key_pair_warnings(obj)

    def warnings_on_update(self, ctx: Context, obj: Object, old: Object) -> list[str]:
        return _key_pair_warnings(obj)


def _validate_type(obj: Object, data: Mapping[str, str]) -> ErrorList:
    match obj.get("type"):
        case "kubernetes.io/service-account-token":
            if not annotations_of(obj).get(SERVICE_ACCOUNT_NAME):
                return [fields.required(Path("metadata", "annotations").key(SERVICE_ACCOUNT_NAME))]
        case "kubernetes.io/dockercfg":
            return _json_value(data, ".dockercfg")
        case "kubernetes.io/dockerconfigjson":
            return _json_value(data, ".dockerconfigjson")
        case "kubernetes.io/basic-auth":
            if "username" not in data and "password" not in data:
                return [fields.required(_DATA.key(k)) for k in ("username", "password")]
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                return [fields.required(_DATA.key("ssh-privatekey"))]
        case "kubernetes.io/tls":
            return [fields.required(_DATA.key(k)) for k in ("tls.crt", "tls.key") if k not in data]
    return []


def _json_value(data: Mapping[str, str], key: str) -> ErrorList:
    """The value must be a JSON object; the message is that of Go's decoder."""
    at = _DATA.key(key)
    if key not in data:
        return [fields.required(at)]
    content = base64.b64decode(data[key])
    try:
        value = json.loads(content)
    except ValueError:
        return [fields.invalid(at, _REDACTED, syntax_error(content))]
    if value is None or isinstance(value, dict):
        return []
    detail = f"json: cannot unmarshal {json_kind(value)} into Go value of type map[string]interface {{}}"
    return [fields.invalid(at, _REDACTED, detail)]


def _key_pair_warnings(obj: Object) -> list[str]:
    """What Go's ``tls.X509KeyPair`` would say first about a TLS secret."""
    data = obj.get("data") or {}
    if obj.get("type") != TLS or "tls.crt" not in data or "tls.key" not in data:
        return []
    problem = key_pair_problem(base64.b64decode(data["tls.crt"]), base64.b64decode(data["tls.key"]))
    return [problem] if problem else []


def _type(obj: Object) -> str:
    return str(obj.get("type", ""))


def _row(obj: Object, now: datetime) -> list[Any]:
    return [name_of(obj), _type(obj), len(obj.get("data") or {}), age_of(obj, now)]


SECRET = Kind(
    SECRETS,
    SecretStrategy(),
    Printer((NAME, column("Type", "core.v1.Secret:type"), column("Data", "core.v1.Secret:data"), AGE), _row),
    field_selectors={"type": _type},
)
