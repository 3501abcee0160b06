# SPDX-License-Identifier: EUPL-1.2
"""Every declared route under parameters of every JSON type: an answer, never a defect."""

import string
from typing import Any
from urllib.parse import urlencode
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.routes.driver import TARGETS, Application, Target
from vault.framework import schema

LARGEST = (1 << 63) - 1
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 7, LARGEST, LARGEST + 1, -LARGEST - 2, 10**40, 0.0, -0.5, 1e308, 5e-324,
    "", " ", "x", "0", "-1", "1e9", "true", "TRUE", "1h", "-1h", "999999999h", "root", "../x", "a,b", "a=b",
    "s.x", "*", "+", "\x00", "\ud7ff", "\U0001f511", "{}", "[]", "null", "x" * 600,
    [], [None], [1], ["a"], ["a", 1, None, {}], [[[[]]]], ["a=b"],
    {}, {"": ""}, {"a": 1}, {"a": None}, {"a": {"b": [1, {}]}}, {"version": "2"}, {"version": 2}, {"cas": "x"},
    {"type": "kv", "options": {"version": "x"}},
]  # fmt: skip
"""Each JSON type, and within each what parsers trip over."""
_QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
_SHARES = 4
"""Of so many values of a JSON type a field is tried with one; in `make soak` with all."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
CAPTURES = st.sampled_from(
    [
        "x",
        "secret",
        "secret/",
        "plain",
        "sys",
        "auth/token",
        "token",
        "root",
        "default",
        "a/b",
        "x,y",
        "0",
        "Ä%C3%96",
    ]
) | st.text(string.ascii_letters + string.digits + "-_.~%/+*", min_size=1, max_size=30)

FITTING: dict[str, list[Any]] = {
    "string": [
        "x",
        "root",
        "kv",
        "kv-v2",
        "default",
        "c2VjcmV0",
        'path "a" { capabilities = ["read"] }',
        "hex",
    ],
    "lower": ["x", "sha2-256", "service"],
    "int": [1, 2, "3", 32],
    "bool": [True, False],
    "duration": [60, "1h", "0"],
    "strings": [["x"], ["default", "root"], "x"],
    "commas": [["x"], "default,x", ["root"]],
    "ints": [[1], [1, 2], "1"],
    "map": [{"a": 1}, {"a": {"b": None}}, {"default_lease_ttl": "1h", "max_lease_ttl": 7200}, {"cas": 0}],
    "pairs": [{"version": "1"}, {"version": "2"}, {"a": "b"}, ["a=b"]],
    "any": ["x", 1, {"a": 1}, ["default"]],
}
"""What a field of each kind is for, so that requests get beyond the checks of types."""

USUAL = {"oidc/key/{name:word}": {"algorithm": "ES256"}}
"""Fields of routes that take long without them: by default each of its requests makes two RSA keys."""


every_route = pytest.mark.parametrize("target", TARGETS, ids=str)


def ask(application: Application, target: Target, path: str, data: dict[str, Any]) -> None:
    """Send one request, as root, and check that what came back is an answer."""
    if target.bodied:
        body = schema.encode(data)
        answer = application.request(target.method, path, body, token="root")
    else:
        query = urlencode(list(data.items()), doseq=True)
        answer = application.request(target.method, f"{path}?{query}", token="root")
    assert b"internal error" not in answer.body
    assert "defect" not in application.log.getvalue(), application.log.getvalue()
    assert 200 <= answer.status <= 999
    assert not (answer.status in {204, 304} and answer.body)
    assert answer.status < 500 or target.route.template == "health"
    application.reopen()


def some(where: str) -> list[Any]:
    """Return one value in `_SHARES` of each JSON type, and others for another place."""
    of: dict[type, list[Any]] = {}
    for value in VALUES:
        of.setdefault(type(value), []).append(value)
    begin = crc32(where.encode())
    return [value for group in of.values() for value in group[begin % min(_SHARES, len(group)) :: _SHARES]]


def ask_each(application: Application, target: Target, *, whole: bool) -> None:
    """Try values in each field, and as the body: all that there are if `whole`."""
    fields = [parameter.name for parameter in target.route.parameters.values()]
    for name in [*fields, "unexpected_field"]:
        for value in VALUES if whole else some(f"{target} {name}"):
            ask(application, target, target.path(), {**USUAL.get(target.route.template, {}), name: value})
    if target.bodied:
        for value in VALUES if whole else some(str(target)):
            body = schema.encode(value)
            answer = application.request(target.method, target.path(), body, token="root")
            assert b"internal error" not in answer.body
            application.reopen()
    assert "defect" not in application.log.getvalue()


def ask_by_chance(application: Application, target: Target, data: st.DataObject) -> None:
    """Send one request with what chance makes for its fields and captures."""
    fitting = {p.name: st.sampled_from(FITTING.get(p.kind.name, [60, "1h"])) for p in target.fields}
    chosen: dict[str, Any] = data.draw(st.fixed_dictionaries({}, optional=fitting))
    names = st.sampled_from([*fitting, "unexpected_field"]) | st.text(max_size=6)
    chosen |= data.draw(st.dictionaries(names, JSON, max_size=2))
    captures = {p.name: data.draw(CAPTURES) for p in target.route.parameters.values() if p.in_path}
    ask(application, target, target.path(**captures), chosen)


@every_route
def test_each_field_takes_or_refuses_each_json_type(application: Application, target: Target) -> None:
    ask_each(application, target, whole=False)


@pytest.mark.soak
@every_route
def test_each_field_takes_or_refuses_each_value(application: Application, target: Target) -> None:
    ask_each(application, target, whole=True)


@every_route
@settings(max_examples=2, database=None, suppress_health_check=_QUIET)
@given(data=st.data())
def test_parameters_that_chance_made_get_an_answer(
    application: Application, target: Target, data: st.DataObject
) -> None:
    ask_by_chance(application, target, data)


@pytest.mark.soak
@every_route
@settings(max_examples=50, suppress_health_check=_QUIET)
@given(data=st.data())
def test_parameters_that_chance_made_at_length_get_an_answer(
    application: Application, target: Target, data: st.DataObject
) -> None:
    ask_by_chance(application, target, data)


@every_route
def test_a_field_that_is_not_declared_earns_a_warning(target: Target) -> None:
    captures = {p.name: "1" if p.type is int else "x" for p in target.route.parameters.values() if p.in_path}
    warnings: list[str] = []
    try:
        schema.build_params(target.route, captures, {"unexpected_field": "secret value"}, warnings)
    finally:
        assert warnings == ["Endpoint ignored these unrecognized parameters: [unexpected_field]"]


def test_the_warning_reaches_the_client_beside_the_answer(application: Application) -> None:
    answer = application.request("POST", "/v1/sys/tools/random", {"bytes": 4, "colour": "red"}, token="root")
    assert answer.json()["warnings"] == ["Endpoint ignored these unrecognized parameters: [colour]"]
    answer = application.request("POST", "/v1/auth/token/lookup-self", {"token": "s.x", "a": 1}, token="root")
    assert answer.json()["warnings"] == ["Endpoint ignored these unrecognized parameters: [a token]"]
