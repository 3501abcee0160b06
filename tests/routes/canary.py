# SPDX-License-Identifier: EUPL-1.2
"""Markers: text that stands for a secret, put wherever a client may put something, and looked for afterwards."""

import json
import random
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import quote
from zlib import crc32

from tests.fuzz import process
from tests.routes.driver import Answer, Application, Target
from tests.tokens import KEY, pem
from vault.server.config.settings import Telemetry

MARKER = re.compile(r"mark-[0-9a-f]{8,32}")
_HEADERS = (
    "Authorization", "Accept", "Content-Type", "Cookie", "Forwarded", "Host", "Idempotency-Key", "If-Match", "Origin",
    "Referer", "traceparent", "tracestate", "User-Agent", "X-Correlation-Id", "X-Forwarded-For", "X-Request-Id",
    "X-Secret", "X-Vault-AWS-IAM-Server-ID", "X-Vault-Index", "X-Vault-Inline-Auth-Namespace",
    "X-Vault-Inline-Auth-Operation", "X-Vault-Inline-Auth-Parameter-a", "X-Vault-Inline-Auth-Path",
    "X-Vault-List-Filter", "X-Vault-Mfa", "X-Vault-Namespace", "X-Vault-Request", "X-Vault-Token",
    "X-Vault-Wrap-Format", "X-Vault-Wrap-Ttl",
)  # fmt: skip
_FORMS = (
    "{}", "[{}", '{{"a": "{}', '{{"data": {}}}', '"{}"', '{{"{}"}}', '{{"{}": 1}}', "a={}&b", "{}=1&{}=2",
    '{{"ttl": "{}"}}x', '{{"ttl": "{}", "ttl": "{}"}}', '{{"ttl": 1e{}}}', "\xff{}",
)  # fmt: skip
_NAMING = ('{{"{}": 1}}', "{}=1&{}=2")
"""Forms in which the marker is the name of a parameter."""
_LONG = "y" * 20_000
_SHARES = 4


CREDENTIAL = frozenset({"display_name", "policies", "token_policies", "metadata", "policy_results"})
NAMES: Mapping[str, frozenset[str]] = {
    "auth": CREDENTIAL,
    "request": frozenset({"path", "mount_point"}),
    "response": frozenset({"mount_point", "warnings"}),
    "response.auth": CREDENTIAL,
    "response.wrap_info": frozenset({"creation_path"}),
}
"""Members of an audit record that hold names in the clear, by the part of the record that they are in."""
ANSWERED = {
    (f"POST sys/capabilities{kind}", field)
    for kind in ("", "-self", "-accessor")
    for field in ("path", "paths")
}
"""Route and field whose answer has the field's paths as keys; keys are not hashed, and a path is no secret."""


@dataclass(frozen=True)
class Planted:
    """One request with a marker: in which place, and the request."""

    place: str
    marker: str
    path: str
    body: object = None
    headers: Mapping[str, str] | None = None


def marker(digits: int = 32) -> str:
    """A marker that no other is alike; with few digits it is as short as a name, and fits where one fits."""
    return f"mark-{secrets.token_hex(digits // 2)}"


def _shapes() -> Iterator[tuple[str, Any]]:
    """A marker in every JSON type that can hold text, also where it does not belong, and at every length."""
    for digits in (8, 32):
        one = marker(digits)
        yield one, one
    for build in (
        lambda one: [one],
        lambda one: {"a": one},
        lambda one: {one: "a"},
        lambda one: {"a": {"b": [one]}},
        lambda one: {one: {one: [one]}},
        lambda one: {one + "\x1b": one},
        lambda one: {one + _LONG: one},
        lambda one: [{one: {one: 1}}],
        lambda one: f"a={one}",
        lambda one: f"{one},{one}",
        lambda one: f"12{one}h",
        lambda one: f"https://{one}.test:70000/{one}",
        lambda one: f'path "x" {{ capabilities = ["{one}"] }}',
        lambda one: f'path "x" {{ min_wrapping_ttl = "{one}" }}',
        lambda one: f'path "x" {{ allowed_parameters = {{ "{one}" = "{one}" }} }}',
        lambda one: f'path "x" {{ {one} = 1 }} {one} = "{one}"',
        lambda one: f'length = 8 rule "charset" {{ {one} = "{one}" }} rule "{one}" {{ }}',
        lambda one: json.dumps({one: {one: one}}),
        lambda one: f"{{{{{one}}}}} {one}",
        lambda one: f"-----BEGIN {one}-----\n{one}\n-----END {one}-----\n",
        lambda one: f"{one} \x1b[2J\n{one}",
        lambda one: one + _LONG,
        lambda one: [one + _LONG],
    ):
        one = marker(8)
        yield one, build(one)


def _few() -> Iterator[tuple[str, Any]]:
    for build in (lambda one: one, lambda one: [one], lambda one: {one: one}):
        one = marker(8)
        yield one, build(one)


_VALUES: Mapping[str, Any] = {
    "int": 1, "bool": True, "span": "1h", "strings": ["x"], "map": {"a": "b"}, "string": "x", "duration": "1h",
    "pairs": {"a": "b"}, "ints": [1],
}  # fmt: skip


def _among(target: Target, name: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Among which plausible fields one is sent, to which path, and whether in every shape.

    A refusal about another field hides what would be said of this one, and so does one that is missing: hence all,
    none, and halves that are the same in every run; to what there is, and to what there is not.
    """
    others = {p.name: _VALUES.get(p.kind.name, "x") for p in target.fields if p.name != name}
    chance = random.Random(f"{target} {name}")
    yield target.path(), others, True
    if others:
        yield target.path(), {}, True
        for number in range(6):
            captures = (
                {} if number % 2 else {p.name: "new" for p in target.route.parameters.values() if p.in_path}
            )
            half = {
                key: chance.choice(("x", "new", "plain/")) if value == "x" else value
                for key, value in others.items()
                if chance.random() < 0.6
            }
            yield target.path(**captures), half, False


def plantings(target: Target, *, whole: bool = True) -> Iterator[Planted]:
    """Every request of a route with a marker in it; one in `_SHARES` unless `whole`, of each field and capture some."""
    step = 1 if whole else _SHARES
    yield from islice(_plantings(target), crc32(str(target).encode()) % step, None, step)
    for name in (p.name for p in target.route.parameters.values() if p.in_path):
        for digits in (8, 32):
            one = marker(digits)
            yield Planted(
                "path",
                one,
                target.path(**{name: one}),
                {p.name: _VALUES.get(p.kind.name, "x") for p in target.fields},
            )


def _plantings(target: Target) -> Iterator[Planted]:
    """Those whose marker is not in the path."""
    path = target.path()
    for name in [*(p.name for p in target.fields), "unknown"]:
        for to, others, every in _among(target, name):
            for one, value in _shapes() if every else _few():
                if target.bodied:
                    yield Planted(name, one, to, {**others, name: value})
                elif isinstance(value, str) and len(value) < 1000:
                    yield Planted(name, one, f"{to}?{quote(name)}={quote(value)}")
    yield Planted("a parameter's name", one := marker(8), f"{path}?{one}=1")
    yield Planted("a parameter's name", one := marker(8), path, {one: 1})
    for header in _HEADERS:
        one = marker(8)
        yield Planted(f"header {header}", one, path, headers={header.lower(): one})
    for form in _FORMS:
        one = marker(8)
        text = form.replace("{}", one).replace("{{", "{").replace("}}", "}")
        place = "a parameter's name" if form in _NAMING else "body"
        yield Planted(place, one, path, text.encode("latin-1"))


class Furnished(Application):
    """With something at `x` of every engine and method, so that requests come to where values are looked at."""

    def __init__(self, *, telemetry: Telemetry | None = None) -> None:
        super().__init__(telemetry=telemetry)
        for method, path, body in _FURNITURE:
            answer = self.request(method, f"/v1/{path}", body, token="root")
            assert answer.status < 300, (path, answer.body)


_KUBERNETES = {
    "kubernetes_host": "https://192.0.2.1",
    "disable_local_ca_jwt": True,
    "kubernetes_ca_cert": "x",
    "pem_keys": [pem(KEY)],
    "disable_iss_validation": True,
}
_FURNITURE: tuple[tuple[str, str, Any], ...] = (
    ("POST", "auth/jwt/config", {"jwt_validation_pubkeys": pem(KEY)}),
    ("POST", "auth/jwt/role/x", {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "x"}),
    ("POST", "auth/kubernetes/config", _KUBERNETES),
    (
        "POST",
        "auth/kubernetes/role/x",
        {"bound_service_account_names": "x", "bound_service_account_namespaces": "x"},
    ),
    ("POST", "auth/token/roles/x", {"allowed_policies": "x"}),
    ("POST", "identity/entity", {"name": "x"}),
    ("POST", "identity/group", {"name": "x"}),
    ("POST", "identity/oidc/key/x", {}),
    ("POST", "identity/oidc/role/x", {"key": "x"}),
    ("POST", "identity/oidc/assignment/x", {}),
    ("POST", "identity/oidc/client/x", {"key": "x", "redirect_uris": "https://x.test/x"}),
    ("POST", "identity/oidc/provider/x", {}),
    ("POST", "identity/oidc/scope/x", {}),
    ("POST", "identity/mfa/method/totp", {"issuer": "x"}),
    ("POST", "nhi/keys", {}),
    ("POST", "nhi/workloads/x", {"owner": "x", "ttl": "30d"}),
    ("POST", "nhi/registrations/x", {"workload": "x", "policies": "x"}),
    ("POST", "sys/namespaces/x", {}),
    ("POST", "sys/quotas/rate-limit/x", {"rate": 1_000_000}),
    ("POST", "sys/policies/password/x", {"policy": 'length = 8\nrule "charset" { charset = "abc" }'}),
    ("POST", "totp/keys/x", {"generate": True, "issuer": "x", "account_name": "x"}),
)


def said(answer: Answer | process.Answer) -> str:
    """What an answer says beside its data: all of a refusal, the warnings of a success."""
    text = answer.body.decode(errors="replace")
    if answer.status >= 400:
        return text
    try:
        parsed = json.loads(text)
    except ValueError:
        return ""
    return json.dumps(parsed.get("warnings")) if isinstance(parsed, dict) else ""


TEXTS = frozenset({"string", "lower", "strings", "commas"})
"""Kinds of fields whose values may be any text."""
NUMBERS = frozenset({"int", "duration", "span"})
"""Kinds of fields whose values are numbers."""


def is_clear(target: Target, name: str, kinds: frozenset[str] = TEXTS) -> bool:
    """Whether the log may show what stands in this field of the body or the query, if it is of one of these kinds."""
    field = next((one for one in target.fields if one.name == name), None)
    return field is not None and field.clear and field.kind.name in kinds


def without_paths(record: Any) -> Any:
    """A record of the log without what it says of paths, which are in clear."""
    kept = {key: item for key, item in record.items() if key not in {"url.path", "resource"}}
    kept["resource"] = record.get("resource", {}).get("type")
    answered = kept.get("fields", {}).get("response", {})
    for name in ("lease_id", "wrap"):
        answered.pop(name, None)
    return kept


def numbered(target: Target) -> Iterator[tuple[str, list[str], Any]]:
    """In which field something was planted, markers that are numbers and names, and the body that holds them."""
    for field in target.fields:
        number, name, inner = new_number(), marker(), new_number()
        yield field.name, [str(number)], {field.name: number}
        yield field.name, [str(number // 8)], {field.name: number / 8}
        yield field.name, [name, str(inner)], {field.name: {name: inner, "a": {name: [inner]}}}
        yield field.name, [name, str(number)], {field.name: [number, {name: number}]}
    name, number = marker(), new_number()
    yield "unknown", [name, str(number)], {name: number}
    yield "unknown", [name, str(number)], {"unknown": {name: [number, {name: None}]}}


def new_number() -> int:
    """A number of 15 digits that no other is alike."""
    return 10**14 + secrets.randbelow(9 * 10**14)


def without_names(record: Any, place: str = "") -> Any:
    """An audit record without the names that it holds in the clear."""
    if not isinstance(record, dict):
        return record
    return {
        key: without_names(item, f"{place}.{key}".strip("."))
        for key, item in record.items()
        if key not in NAMES.get(place, ())
    }


def values(record: Any) -> Iterator[str]:
    """The texts in an audit record that it does not hold in the clear; what members are called is none of them."""

    def texts(item: Any) -> Iterator[str]:
        if isinstance(item, str):
            yield item
        for one in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
            yield from texts(one)

    return texts(without_names(record))
