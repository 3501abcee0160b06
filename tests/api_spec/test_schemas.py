# SPDX-License-Identifier: EUPL-1.2
"""The JSON Schemas accept what the server writes and answers, and refuse what is none of it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest

from tests.api_spec.requirements import FOLDER, registry
from tests.log.written import chained, record
from tests.routes.driver import TARGETS, Application
from tests.unit.log.folders import records
from vault.framework import schema
from vault.server.config.files import load
from vault.server.http.discovery import describe

_EXAMPLE: Final = re.compile(r"```json\n(.*?)```", re.DOTALL)
DISCOVERY: Final = json.loads(
    "".join(_EXAMPLE.findall((FOLDER / "spec" / "05-discovery.md").read_text(encoding="utf-8")))
)
"""The example of the text."""


def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    text = (FOLDER / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    return jsonschema_rs.Draft202012Validator(json.loads(text), validate_formats=True)


@pytest.fixture(scope="module")
def played() -> Iterator[tuple[list[Any], list[Any]]]:
    """The problem of every request that is refused, each with its status, and the records that all of them left."""
    refused = []
    with Application() as application:
        for target in TARGETS:
            body: object = {} if target.bodied else None
            for token in ("root", "wrong"):
                answer = application.request(
                    target.method,
                    target.path(),
                    body,
                    token=token,
                    headers={"accept": "application/problem+json"},
                )
                if answer.headers.get("content-type", "").startswith("application/problem+json"):
                    refused.append((answer.status, answer.json()))
        yield refused, records(application.history)


def test_every_refusal_is_a_problem_of_the_schema_and_of_the_registry(
    played: tuple[list[Any], list[Any]],
) -> None:
    names = {each["name"] for each in registry("problems")}
    validator = _validator("problem")
    refused = played[0]
    assert len(refused) > len(TARGETS) / 2
    for status, problem in refused:
        assert [str(error) for error in validator.iter_errors(problem)] == [], problem
        assert problem["status"] == status
        assert problem["type"].rpartition(":")[2] in names


def test_every_record_is_one_of_the_schema(played: tuple[list[Any], list[Any]]) -> None:
    validator = _validator("log-record")
    left = played[1] + [json.loads(line) for line in chained(record(seq) for seq in range(7))]
    assert len(left) > len(TARGETS)
    for each in left:
        assert [str(error) for error in validator.iter_errors(each)] == [], each


@pytest.mark.parametrize(
    ("member", "value"), [("seq", -1), ("phase", "begun"), ("event_name", "kv.read"), ("schema", 1)]
)
def test_what_is_no_record_is_refused(member: str, value: object) -> None:
    line = json.loads(chained([record(0)])[0])
    assert _validator("log-record").is_valid(line)
    assert not _validator("log-record").is_valid({**line, member: value})


def test_the_discovery_document_of_the_text_is_accepted() -> None:
    assert [str(error) for error in _validator("discovery").iter_errors(DISCOVERY)] == []
    assert set(DISCOVERY["features"]) <= {each["name"] for each in registry("features")}
    names = {each["name"] for each in registry("profiles")}
    assert {uri.rpartition("/")[2] for uri in DISCOVERY["conformsTo"]} <= names


@pytest.mark.parametrize("log", [False, True])
def test_what_the_server_says_of_itself_is_a_discovery_document(tmp_path: Path, log: bool) -> None:
    kept = (
        f'log {{ path = "{tmp_path}/log"\n retention_min = "180d"\n retention_max = "365d" }}' if log else ""
    )
    file = tmp_path / "config.hcl"
    file.write_text(f'storage "inmem" {{}}\nlistener "tcp" {{ tls_disable = true }}\n{kept}')
    config = load([str(file)], {})
    said = json.loads(schema.encode(describe(config, config.listeners[0])))
    assert [str(error) for error in _validator("discovery").iter_errors(said)] == []
    assert ("log" in said) is log
    assert set(said["features"]) <= {each["name"] for each in registry("features")}
    assert {one["name"] for one in said["bindings"]} <= {each["name"] for each in registry("bindings")}
    claimed = {uri.rpartition("/")[2] for uri in said["conformsTo"]}
    profiles = {each["name"]: each for each in registry("profiles")}
    assert claimed <= {name for name, each in profiles.items() if not each.get("reserved")}
    assert {needed for name in claimed for needed in profiles[name]["needs"]} <= claimed


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("spec", "1.0"),
        ("conformsTo", ["kv-consume"]),
        ("features", ["ETag"]),
        ("limits", {"value": 1024}),
        ("limits", {"clock_tolerance_s": 61}),
        ("log", {"policy": "maybe"}),
        ("environment", ""),
    ],
)
def test_a_discovery_document_that_is_none_is_refused(member: str, value: object) -> None:
    assert not _validator("discovery").is_valid({**DISCOVERY, member: value})


@pytest.mark.parametrize(
    "problem",
    [
        {"type": "urn:x:Malformed", "title": "malformed", "status": 400},
        {"type": "urn:x:malformed", "title": "malformed", "status": 200},
        {"type": "urn:x:malformed", "status": 400},
        {"type": "urn:x:malformed", "title": "m", "status": 400, "sources": [{}]},
        {"type": "urn:x:malformed", "title": "m", "status": 400, "sources": [{"pointer": "a"}]},
    ],
)
def test_what_is_no_problem_is_refused(problem: dict[str, Any]) -> None:
    assert not _validator("problem").is_valid(problem)
