# SPDX-License-Identifier: EUPL-1.2
"""Nothing stands in the text that no test checks: each route, each kind of refusal, each setting, each field of a record."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest

from esa_conformance.errors import UsageError
from esa_conformance.manifest import read_manifest
from tests.api_spec.examples import WHOLE, has, replaced, wrong
from tests.api_spec.members import members, schema
from tests.api_spec.operations import ALL, NONE, operations, profiles
from tests.api_spec.requirements import registry
from tests.routes.driver import TARGETS, Answer, Application
from tests.unit.log.folders import records
from vault.framework.call import Call
from vault.framework.errors import Busy, problem_type
from vault.wire.native import problem
from vault.wire.v1 import STATUS

_MEMBERS: Final = [(name, path, each) for name in WHOLE for path, each, _ in members(schema(name))]
_PROBLEM: Final = {"accept": "application/problem+json"}


def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema(name)}, validate_formats=True)


# ------------------------------------------------------------------------------------------ settings, fields
@pytest.mark.parametrize("name", WHOLE)
def test_an_example_has_every_member_and_is_accepted(name: str) -> None:
    assert [path for of, path, _ in _MEMBERS if of == name and not has(WHOLE[name], path)] == []
    assert [str(error) for error in _validator(name).iter_errors(WHOLE[name])] == []


@pytest.mark.parametrize(("name", "path", "each"), _MEMBERS, ids=lambda one: str(one)[:40])
def test_a_member_of_another_kind_is_refused_by_the_schema(
    name: str, path: str, each: dict[str, Any]
) -> None:
    assert not _validator(name).is_valid(replaced(WHOLE[name], path, wrong(each)))


@pytest.mark.parametrize(
    ("path", "each"),
    [(path, each) for name, path, each in _MEMBERS if name == "manifest"],
    ids=lambda one: str(one)[:40],
)
def test_a_member_of_another_kind_is_refused_by_the_suite(
    path: str, each: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "expected.toml").write_text("")
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(WHOLE["manifest"]), encoding="utf-8")
    assert (
        read_manifest(file, {"ESA": "s.credential", "ESA_DENIED": "s.none"}).implementation.project
        == "example"
    )
    file.write_text(json.dumps(replaced(WHOLE["manifest"], path, wrong(each))), encoding="utf-8")
    with pytest.raises(UsageError) as told:
        read_manifest(file, {"ESA": "s.credential", "ESA_DENIED": "s.none"})
    assert str(told.value).startswith(path)


def test_the_manifest_of_the_docs_is_accepted() -> None:
    text = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
    for found in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        whole = {**WHOLE["manifest"], **tomllib.loads(found)}
        assert [str(error) for error in _validator("manifest").iter_errors(whole)] == []


# ----------------------------------------------------------------------------------------- routes, refusals
@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    """Our server, with something of everything."""
    with Application() as made:
        yield made


def _shape(path: str) -> str:
    """A path without the names of its parts."""
    return re.sub(r"\{[^}]*\}", "{}", path.strip("/"))


def test_every_operation_of_every_profile_is_played() -> None:
    """`test_schemas.py` and the tests of routes send each of the targets."""
    played = {(_shape(str(target).partition(" ")[2]), target.method) for target in TARGETS}
    played |= {(path, "GET") for path, method in played if method in {"LIST", "SCAN"}}
    told = {(_shape(path), method) for name in (*profiles(), ALL, NONE) for path, method in operations(name)}
    # Version 1 of KV is not mounted here: tests/conformance plays it, beside the other server.
    assert {path for path, _ in told - played} == {"kv/{}"}


def _write(application: Application, path: str, body: object, **headers: str) -> Answer:
    return application.request("POST", f"/v1/{path}", body, token="root", headers={**_PROBLEM, **headers})


def _limited(application: Application) -> Answer:
    body = {"rate": 1, "interval": "60s", "path": "secret"}
    _write(application, "sys/quotas/rate-limit/one", body)
    try:
        answers = [
            application.request("GET", "/v1/secret/data/a", token="root", headers=_PROBLEM) for _ in range(4)
        ]
    finally:
        application.request("DELETE", "/v1/sys/quotas/rate-limit/one", token="root")
    return answers[-1]


def _replayed(application: Application) -> Answer:
    key = {"idempotency-key": '"one"'}
    _write(application, "secret/data/replayed", {"data": {"a": "1"}}, **key)
    return _write(application, "secret/data/replayed", {"data": {"a": "2"}}, **key)


_PROVOKED: Final = {
    "malformed": lambda a: _write(a, "secret/data/a", {"data": 1}),
    "unauthenticated": lambda a: a.request("GET", "/v1/secret/data/a", token="wrong", headers=_PROBLEM),
    "forbidden": lambda a: a.request(
        "GET", "/v1/secret/data/a", token=a.token('path "none" { capabilities = ["read"] }'), headers=_PROBLEM
    ),
    "not-found": lambda a: a.request("GET", "/v1/secret/data/none-such", token="root", headers=_PROBLEM),
    "unsupported-path": lambda a: _write(a, "sys/none-such", {}),
    "unsupported-operation": lambda a: a.request("DELETE", "/v1/sys/health", token="root", headers=_PROBLEM),
    "precondition-failed": lambda a: a.request(
        "POST", "/v1/secret/data/a", {"data": {}}, token="root", headers={**_PROBLEM, "if-match": '"none"'}
    ),
    "unsupported-media": lambda a: a.request(
        "PATCH",
        "/v1/secret/data/a",
        {"data": {"a": "1"}},
        token="root",
        headers={**_PROBLEM, "content-type": "text/plain"},
    ),
    "other-replay": _replayed,
    "limited": _limited,
}
"""Requests that are refused so."""
_MORE: Final = {
    "too-large": "a body that is refused before there is a call: tests/unit/wire/test_front.py",
    "failed": "what others answer",
    "unavailable": "others who do not answer",
    "internal": "a defect",
    "busy": "load",
    "sealed": "the seal, which is open here: sealed_server_gives_nothing, of the suite",
    "locked": "a namespace that is locked: tests/routes",
}
"""Refusals that need more than a request, and what it is: how they are told is looked at here, without."""


def test_every_registered_refusal_is_provoked_or_needs_more_than_a_request() -> None:
    sent = {one["name"] for one in registry("problems") if not one.get("reserved")}
    assert _PROVOKED.keys() | _MORE.keys() == sent
    assert _PROVOKED.keys().isdisjoint(_MORE)
    assert {problem_type(kind.__new__(kind)).rpartition(":")[2] for kind in STATUS} == sent


@pytest.mark.parametrize("name", _MORE)
def test_a_refusal_that_needs_more_is_told_as_it_is_registered(name: str) -> None:
    (registered,) = [one for one in registry("problems") if one["name"] == name]
    (kind,) = [one for one in STATUS if problem_type(one.__new__(one)).endswith(f":{name}")]
    error = kind("why") if kind is Busy else kind()
    call = Call()
    call.id = "00000000-0000-0000-0000-000000000000"
    told = json.loads(problem(call, error, STATUS[kind]))
    assert [str(one) for one in _validator("problem").iter_errors(told)] == []
    assert told["type"].rpartition(":")[2] == name
    assert told["status"] in registered["status"]
    assert ("retry_after" in told) is (kind is Busy)


@pytest.mark.parametrize("name", _PROVOKED)
def test_a_refusal_is_a_problem_of_its_registered_type_and_status(
    name: str, application: Application
) -> None:
    answer = _PROVOKED[name](application)
    (registered,) = [one for one in registry("problems") if one["name"] == name]
    told = answer.json()
    assert told["type"].rpartition(":")[2] == name, told
    assert answer.status in registered["status"]
    assert [str(error) for error in _validator("problem").iter_errors(told)] == []


def test_what_is_not_there_is_a_problem_too(application: Application) -> None:
    _write(application, "secret/data/gone", {"data": {"a": "1"}})
    application.request("DELETE", "/v1/secret/data/gone", token="root")
    for method, path in (
        ("GET", "data/gone"),
        ("PATCH", "data/none"),
        ("GET", "subkeys/gone"),
    ):
        body = {"data": {"a": "1"}} if method == "PATCH" else None
        plain, told = (
            application.request(method, f"/v1/secret/{path}", body, token="root", headers=headers)
            for headers in ({}, _PROBLEM)
        )
        assert (plain.status, told.status) == (404, 404)
        assert told.headers["content-type"] == "application/problem+json"
        assert told.json()["type"].endswith(":not-found")
        assert [str(error) for error in _validator("problem").iter_errors(told.json())] == []


# ----------------------------------------------------------------------------------------- fields of records
def _paths(value: object, within: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield f"{within}{name}"
            yield from _paths(one, f"{within}{name}.")
    elif isinstance(value, list):
        for one in value:
            yield from _paths(one, f"{within.removesuffix('.')}[].")


_NOT_WRITTEN: Final = {
    "credential.blocks": "of a Biscuit: tests/unit/nhi",
    "policy.by[].$omitted": "more rules than are named: tests/unit/log/test_record.py",
    "policy.grant[].$omitted": "more rules than are named: tests/unit/log/test_record.py",
    "supersedes": "a commit that fails: tests/unit/log",
}
"""Fields that no request here brings about, and what does."""


def test_every_field_of_a_record_is_written(application: Application) -> None:
    reader = application.token(
        'path "secret/data/*" { capabilities = ["read"] }\npath "secret/data/no" { capabilities = ["deny"] }'
    )
    _write(application, "secret/data/a", {"data": {"a": "1"}})
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    for path, token in (("a", reader), ("no", reader), ("a", "wrong")):
        application.request("GET", f"/v1/secret/data/{path}", token=token, headers=trace)
    written = {path for one in records(application.history) for path in _paths(one)}
    named = {path for name, path, _ in _MEMBERS if name == "log-record"}
    assert named - written == _NOT_WRITTEN.keys()
