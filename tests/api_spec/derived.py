# SPDX-License-Identifier: EUPL-1.2
"""What is made of the requirements for others: the list that the conformance suite has inside, and the schema of records."""

import copy
import json
from collections.abc import Mapping
from typing import Any, Final

from tests.api_spec.requirements import SPEC, Requirement, registry, requirements
from vault.log.schema import RECORD_SCHEMA

BASE: Final = "https://w3id.org/european-secrets-api"
"""Where the specification's names lie, once somebody who belongs to nobody serves it."""


def suite_list() -> str:
    """The requirements and the registries that tests look into, as the suite reads them."""
    profiles = [{key: value for key, value in each.items() if key != "text"} for each in registry("profiles")]
    features = [{key: each[key] for key in ("name", "profile")} for each in registry("features")]
    problems = [{key: each[key] for key in ("name", "status")} for each in registry("problems")]
    suites = [{key: each[key] for key in ("name", "pq")} for each in registry("crypto-suites")]
    listed = [_for_suite(each) for each in requirements()]
    return _json({
        "spec": SPEC, "profiles": profiles, "features": features, "problems": problems, "suites": suites, "requirements": listed,
    })  # fmt: skip


def record_schema() -> str:
    """The schema of a record in any implementation's log: the one that our server gives, without what is its own alone."""
    schema: dict[str, Any] = copy.deepcopy({**RECORD_SCHEMA})
    schema["$id"] = f"{BASE}/{SPEC}/schemas/log-record.json"
    properties = schema["properties"]
    properties["schema"] = {"type": "string", "format": "uri", "description": "Which schema the record has."}
    properties["log"] = {
        "type": "string",
        "minLength": 1,
        "description": "The id of the log: one writer, and one epoch of it.",
    }
    properties["actor"]["properties"]["type"] = {
        "type": "string",
        "description": "What the caller is, as human, workload, agent, or how an implementation tells them apart.",
    }
    return _json(schema)


def _for_suite(each: Requirement) -> Mapping[str, object]:
    """What the suite needs of a requirement: no rationale, which is for people."""
    return {
        "id": each.id,
        "rev": each.rev,
        "since": each.since,
        "level": each.level,
        "profile": each.profile,
        "feature": each.feature,
        "must_with": each.must_with,
        "binding": each.binding,
        "class": each.kind,
        "evidence": each.evidence,
        "servers": each.servers,
        "text": each.text,
        "compat": each.compat,
        "until": each.until,
        "untested": each.untested,
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
