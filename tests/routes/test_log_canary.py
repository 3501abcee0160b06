# SPDX-License-Identifier: EUPL-1.2
"""Numbers, names and answers in the log of what was done: hashed, but for what a route declares clear (SL-50).

That no text that a client sends is in a record is the affair of `test_canary.py`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.routes.canary import NUMBERS, Furnished, is_clear, marker, new_number, numbered, without_paths
from tests.routes.driver import TARGETS, Answer, Application, Target
from tests.routes.test_canary import routes

_MARKED = re.compile(r"mark-[0-9a-f]+|[0-9]{13,}")
_MEASURES = NUMBERS | {"ints"}
_MOUNTS = sorted({target.mount for target in TARGETS})
_TOLD = frozenset({"accessor", "entity_id", "lease_id", "policies", "creation_path", "request_id"})
"""Members of an answer that a record has in clear: ids that are no credentials, names of policies, paths."""
_NAMED = {f"POST auth/token/{path} policies" for path in ("create", "create-orphan", "create/{role_name}")}
"""Route and field whose value, made a text, names policies of a new token, which a record of it has in clear."""
_SILENT = {"auth/nhi/", "auth/oidc/"}
"""Mounts that answer nothing before they are configured."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_LONG_ENOUGH = 10
"""Characters from which on a text is in a record for no other reason than that it was answered."""


@pytest.fixture
def application() -> Iterator[Application]:
    with Furnished() as application:
        yield application


def _text(record: Mapping[str, Any]) -> str:
    """What a record says of values: all but the members whose numbers and ids are its own."""
    kept = without_paths(record)
    return json.dumps(
        {key: item for key, item in kept.items() if key in {"fields", "policy", "error_type", "outcome"}}
    )


@pytest.mark.parametrize("mount", _MOUNTS)
def test_sl_50_no_number_and_no_name_of_a_client_is_in_a_record(mount: str) -> None:
    planted: list[tuple[Target, str, list[str]]] = []
    with Furnished() as application:
        for target in routes(mount):
            for place, markers, body in numbered(target) if target.bodied else ():
                application.request(target.method, target.path(), body, token="root")
                planted.append((target, place, markers))
            application.reopen()
        found = {mark for record in application.logged(_MARKED) for mark in _MARKED.findall(_text(record))}
    leaks = {
        f"{target} {place}"
        for target, place, markers in planted
        if not found.isdisjoint(markers) and not is_clear(target, place, _MEASURES)
    }
    assert leaks - _NAMED == set()


@pytest.mark.parametrize("path", ["plain/s", "cubbyhole/s", "secret/data/s", "secret/metadata/s"])
def test_sl_50_a_secret_that_is_written_and_read_is_in_no_record(application: Application, path: str) -> None:
    name, number, key = marker(), new_number(), marker()
    free = {name: number, "deep": [{key: [number, number + 0.5, True, None]}], "spelled": 1.50}
    body = {"secret/data/s": {"data": free}, "secret/metadata/s": {"custom_metadata": {name: key}}}
    assert application.request("POST", f"/v1/{path}", body.get(path, free), token="root").status in {200, 204}
    answer = application.request("GET", f"/v1/{path}", token="root")
    assert name.encode() in answer.body
    wrapped = application.request("GET", f"/v1/{path}", token="root", headers={"x-vault-wrap-ttl": "60"})
    token = {"token": wrapped.json()["wrap_info"]["token"]}
    assert name.encode() in application.request("POST", "/v1/sys/wrapping/unwrap", token, token="root").body
    application.request("GET", "/v1/secret/subkeys/s", token="root")
    text = json.dumps(application.logged())
    assert [mark for mark in (name, key, str(number), token["token"]) if mark in text] == []
    assert text.count("$h:") > 4


def _leaves(item: Any, name: str = "") -> Iterator[str]:
    """The texts and numbers in an answer, but for what a record may tell of it."""
    if isinstance(item, dict):
        for key, one in item.items():
            yield from _leaves(one, key)
    elif isinstance(item, list):
        for one in item:
            yield from _leaves(one, name)
    elif isinstance(item, str) and name not in _TOLD and len(item) >= _LONG_ENOUGH:
        yield item


def _answered(application: Application, target: Target) -> tuple[Answer, str]:
    """One answer of a route, and what the log says of it."""
    body = {field.name: "x" for field in target.fields if field.kind.name in {"string", "any"}}
    before = len(application.logged())
    answer = application.request(target.method, target.path(), body if target.bodied else None, token="root")
    return answer, "\n".join(map(_text, application.logged()[before:]))


@pytest.mark.parametrize("mount", sorted({*_MOUNTS} - _SILENT))
def test_sl_50_nothing_that_is_answered_is_in_a_record(mount: str) -> None:
    leaks: dict[str, list[str]] = {}
    with Furnished() as application:
        for target in routes(mount):
            answer, recorded = _answered(application, target)
            if answer.status == 200 and answer.headers.get("content-type") == "application/json":
                texts = {text for text in _leaves(answer.json()) if not _TIME.fullmatch(text)}
                leaks[str(target)] = [text for text in texts if text in recorded]
            application.reopen()
    assert {target: texts for target, texts in leaks.items() if texts} == {}
    assert leaks
