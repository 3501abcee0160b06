# SPDX-License-Identifier: EUPL-1.2
"""The suite on Coffre and on the real OpenBao: what each claims holds, and nothing is left behind."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.servers import OpenBaoServer, Server
from tests.conformance_suite.judging import (
    CLAIM,
    NEEDS_TLS,
    Judged,
    JudgedCoffre,
    judge,
    manifest_of,
    prepare,
)
from tests.conformance_suite.listing import changes, everything

_SERVERS = {"coffre": JudgedCoffre, "openbao": OpenBaoServer}
_SUPPORTED = {
    "coffre": {
        "approle", "deprecation", "discovery", "etag", "exact-numbers", "hash-all-scalars", "idempotency", "lifecycle", "namespaces",
        "paging", "patch", "problem-json", "proof", "query", "receipt", "record", "redacted-errors", "retry-after", "seal", "sequence", "subkeys", "trace", "wrap",
    },
    "openbao": {"approle", "namespaces", "paging", "patch", "seal", "subkeys", "wrap"},
}  # fmt: skip
_WARNINGS = {
    "coffre": {"credential_is_unknown_elsewhere"},
    "openbao": {
        "credential_is_unknown_elsewhere",
        "security_contact_is_served", "large_integer_survives", "limits_say_when",
        "errors_of_administration_repeat_nothing", "file_has_no_secret",
    },
}  # fmt: skip
_NOT_GIVEN = {
    "coffre": NEEDS_TLS,
    "openbao": NEEDS_TLS | {"checkpoints_are_signed", "checkpoints_fit_the_records"},
}
"""Tests of what a server's manifest does not give: a listener with TLS, checkpoints."""


@pytest.fixture(scope="module", params=sorted(_SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server, open, with a mount of secrets."""
    started = _SERVERS[request.param]()
    try:
        prepare(started)
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def before(server: Server) -> dict[str, Any]:
    """All that the server lists before the run."""
    return everything(server)


@pytest.fixture(scope="module")
def judged(server: Server, before: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """One whole run below a prefix."""
    assert before
    folder = tmp_path_factory.mktemp("run")
    return judge(manifest_of(server, folder), folder)


def test_every_claim_holds(judged: Judged) -> None:
    assert {name: judged.results()[name] for name in CLAIM} == dict.fromkeys(CLAIM, "success"), (
        judged.details()
    )


def test_a_profile_whose_core_is_not_judged_is_no_success(judged: Judged) -> None:
    assert judged.results()["X-crypto"] == "partial"
    (crypto,) = [one for one in judged.report["profiles"] if one["name"] == "X-crypto"]
    assert any(one.startswith("ESA-CRY-002: no test of it counts here, as") for one in crypto["reasons"])


def test_features_are_those_that_the_server_has(server: Server, judged: Judged) -> None:
    features = judged.report["features"]
    assert {name for name, one in features.items() if one["inferred"]} == _SUPPORTED[server.kind]


def test_what_coffre_tells_is_what_is_found(server: Server, judged: Judged) -> None:
    told = {name for name, one in judged.report["features"].items() if one["told"]}
    assert told == (_SUPPORTED["coffre"] if server.kind == "coffre" else set())
    claimed = {name for name, one in judged.report["features"].items() if one["claimed"]}
    assert claimed == _SUPPORTED[server.kind]


def test_what_should_be_and_is_not_is_a_warning(server: Server, judged: Judged) -> None:
    found = {name for name, outcome in judged.outcomes().items() if outcome == "warning"}
    assert found == _WARNINGS[server.kind]


def test_every_route_that_the_text_names_is_asked_for(server: Server, judged: Judged) -> None:
    named = {
        route
        for path in (Path(__file__).parents[2] / "api-spec" / "spec").glob("*.md")
        for route in re.findall(r"`([A-Z]+ /v1/[^`]+)`", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 40
    asked = [f"{method} {path}" for method, path in judged.asked]
    forms = {
        route: re.sub(r"PATH", ".+", re.sub(r"MOUNT|KEYS|NAME|KIND|LOG|SEQ", "[^/]+", route))
        for route in named
    }
    forms = {
        route: form.replace("approle", "[^/]+").replace("userpass", "[^/]+") for route, form in forms.items()
    }
    left = {route for route, form in forms.items() if not any(re.fullmatch(form, one) for one in asked)}
    if server.kind == "openbao":
        left -= {route for route in named if "/sys/log/" in route}  # it has no log to ask
    assert left == set()


def test_what_the_manifest_does_not_give_is_not_asked(server: Server, judged: Judged) -> None:
    found = {name for name, outcome in judged.outcomes().items() if outcome == "disabled"}
    assert found == _NOT_GIVEN[server.kind]


def test_no_must_is_missed(judged: Judged) -> None:
    bad = {
        one.test.id
        for one in judged.finished.results
        if one.outcome.value not in {"pass", "warning", "unsupported", "disabled"}
    }
    assert bad == set(), judged.details()


def test_nothing_is_left_behind(server: Server, before: dict[str, Any], judged: Judged) -> None:
    assert judged.finished.created > 100
    assert judged.report["cleanup"]["left"] == 0
    assert changes(server, before) == {}


def test_a_run_in_a_namespace_finds_the_same(server: Server, judged: Judged, tmp_path: Path) -> None:
    within = judge(manifest_of(server, tmp_path, mode="namespace"), tmp_path)
    assert within.outcomes() == judged.outcomes(), within.details()
    assert within.report["cleanup"]["left"] == 0
