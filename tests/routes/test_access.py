# SPDX-License-Identifier: EUPL-1.2
"""Every declared route: who may call it, what it leaves in the audit log, and which statuses it answers."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.routes.driver import ELSEWHERE, METHODS, TARGETS, Answer, Application, Target
from vault.framework.help.openapi import document
from vault.framework.request.operation import Operation
from vault.framework.request.record import CallRecord
from vault.wire.v1 import STATUS

EVERYTHING = 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "scan"] }'
HEALTH = {429, 472, 473, 501, 503}
"""What `sys/health` says with its status."""

WRAPPING = {"wrapping/unwrap", "wrapping/rewrap"}
"""Routes whose refusal is about the wrapping token, which is the caller's own unless another is given."""

every_route = pytest.mark.parametrize("target", TARGETS, ids=str)
guarded_route = pytest.mark.parametrize("target", [t for t in TARGETS if not t.route.access.public], ids=str)


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with Application() as application:
        yield application


@pytest.fixture(scope="module")
def narrow(application: Application) -> str:
    """A token whose policy covers another path."""
    return application.token(ELSEWHERE)


@pytest.fixture(autouse=True)
def unsealed(application: Application) -> Iterator[None]:
    application.records()
    yield
    application.reopen()


IN_OTHER_WORDS = {
    key: {401}
    for key in (
        "oidc/provider/{name:word}/userinfo",
        "oidc/provider/{name:word}/token",
        "oauth2/token",
        "oauth2/introspect",
        "oauth2/revoke",
    )
}
"""Statuses that another protocol asks for (RFC 6749 section 5.2, RFC 6750 section 3)."""


def ask(application: Application, target: Target, token: str) -> Answer:
    return application.request(target.method, target.path(), {} if target.bodied else None, token=token)


def check_refused(target: Target, answer: Answer, words: str) -> None:
    if target.route.template in WRAPPING:
        assert answer.status in {400, 403} and "wrapping token" in str(answer.json())
    else:
        assert (answer.status, answer.json()) == (403, {"errors": [words]})


class Attempts:
    """How often a request began again with its answer recorded, as a write does that lost against another."""

    def __init__(self) -> None:
        self._ended: list[tuple[CallRecord, int]] = []

    def end(self, record: CallRecord, end: Callable[[CallRecord], None]) -> None:
        end(record)
        if all(one is not record or number != record.outcome for one, number in [(record, -1), *self._ended]):
            self._ended.append((record, record.outcome))

    def take(self) -> int:
        """Return how often since the last look."""
        ended, self._ended = self._ended, []
        return len(ended)


@pytest.fixture(autouse=True)
def attempts(monkeypatch: pytest.MonkeyPatch) -> Attempts:
    counted, end = Attempts(), CallRecord.end_attempt
    monkeypatch.setattr(CallRecord, "end_attempt", lambda record: counted.end(record, end))
    return counted


def ask_recorded(application: Application, target: Target, token: str, attempts: Attempts) -> Answer:
    """Ask; there is one record of the request and one of its answer, or none where the declaration says that it is not audited.

    Those of attempts that lost stand before that of what was sent.
    """
    attempts.take()
    application.records()
    answer = ask(application, target, token)
    records, lost = application.records(), attempts.take()
    if target.route.access.unaudited:
        assert records == []
        return answer
    once = ["request", *["response"] * (1 + lost)]
    assert [record["type"] for record in records] == once * application.sent
    assert len({record["request"]["id"] for record in records}) == application.sent
    wanted = target.path().removeprefix("/v1/")
    if target.route.operation in {Operation.LIST, Operation.SCAN}:
        wanted = wanted.rstrip("/") + "/"
    assert {record["request"]["path"] for record in records} == {wanted}
    refused = answer.status in STATUS.values() and answer.status not in {404, 503}
    assert ("error" in records[-1]) >= refused
    return answer


def test_there_are_routes_of_every_engine() -> None:
    assert {target.mount for target in TARGETS} >= {"sys/", "auth/token/", "cubbyhole/", "secret/", "plain/"}
    assert {target.method for target in TARGETS} == set(METHODS.values())


@guarded_route
def test_sl_72_without_a_token_a_route_refuses(
    application: Application, target: Target, attempts: Attempts
) -> None:
    answer = ask_recorded(application, target, "", attempts)
    check_refused(target, answer, "permission denied")


@guarded_route
def test_sl_40_with_an_invalid_token_a_route_refuses(
    application: Application, target: Target, attempts: Attempts
) -> None:
    answer = ask_recorded(application, target, "s.nobodyHasThisToken000000", attempts)
    check_refused(target, answer, "permission denied")


@guarded_route
def test_sl_12_a_token_whose_policy_covers_another_path_is_refused(
    application: Application, target: Target, narrow: str, attempts: Attempts
) -> None:
    answer = ask_recorded(application, target, narrow, attempts)
    if "service" in target.route.access.free_for:
        assert (answer.status, answer.json()) == (400, {"errors": ["missing path"]})
        return
    check_refused(target, answer, "1 error occurred:\n\t* permission denied\n\n")


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        ('path "elsewhere" { capabilities = ["read"] }', 200),
        ('path "sys/*" { capabilities = ["read"] }', 200),
        ('path "sys/internal/policies/explain" { capabilities = ["deny"] }', 403),
        ('path "sys/internal/*" { capabilities = ["update"] required_parameters = ["x"] }', 403),
        ('path "sys/+/policies/explain" { capabilities = ["update"] min_wrapping_ttl = "1s" }', 403),
    ],
)
def test_a_refused_caller_is_explained_to_unless_a_rule_says_otherwise(
    application: Application, policy: str, status: int
) -> None:
    token, place = application.token(policy), "/v1/sys/internal/policies/explain"
    answer = application.request("POST", place, {"path": "a", "capabilities": "read"}, token=token)
    assert answer.status == status
    about = {"path": "a", "policies": "default"}
    assert application.request("POST", place, about, token=token).status == 403


@pytest.mark.parametrize("target", [t for t in TARGETS if t.route.access.sudo], ids=str)
def test_a_route_that_needs_sudo_refuses_every_other_capability(
    application: Application, target: Target
) -> None:
    answer = ask(application, target, application.token(EVERYTHING))
    assert answer.status == 403


@every_route
def test_sl_54_with_the_root_token_a_route_answers_a_declared_status_and_is_recorded_twice(
    application: Application, target: Target, attempts: Attempts
) -> None:
    token = application.token(EVERYTHING) if "self" in target.route.template else "root"
    answer = ask_recorded(application, target, token, attempts)
    verb = "get" if target.method in {"GET", "LIST", "SCAN"} else target.method.lower()
    (path,) = (item for item in document({target.mount: [target.route]})["paths"].values())
    declared = {int(status) for status in path[verb]["responses"]}
    allowed = declared | (set(STATUS.values()) - {500}) | IN_OTHER_WORDS.get(target.route.template, set())
    allowed |= {202}  # accepted for later
    if target.route.template == "health":
        allowed |= HEALTH
    assert answer.status in allowed, answer.body
    if answer.status == 204:
        assert answer.body == b""
    elif answer.body and answer.headers["content-type"] != "text/plain":
        json.loads(answer.body)
    assert "defect" not in application.log.getvalue()


@pytest.mark.parametrize("method", sorted(METHODS.values()))
def test_sl_17_a_mount_that_is_missing_looks_like_one_that_is_there(
    application: Application, method: str, narrow: str
) -> None:
    for token in ("", narrow):
        answers = {
            (answer.status, answer.body, tuple((answer.headers | {"log-receipt": ""}).items()))
            for path in ("secret/data/x", "nowhere/data/x", "sys/nothing", "auth/nowhere/x")
            for answer in [application.request(method, f"/v1/{path}", token=token)]
        }
        assert len(answers) == 1, answers


@guarded_route
def test_a_sealed_vault_answers_503_and_nothing_else(application: Application, target: Target) -> None:
    if target.route.access.when_sealed:
        return
    application.request("PUT", "/v1/sys/seal", {}, token="root")
    answer = ask(application, target, "root")
    assert answer.status == 503
    assert answer.json() == {"errors": ["Vault is sealed"]}


@pytest.mark.parametrize(
    "path",
    [
        "storage/raft/join",
        "storage/raft/bootstrap/challenge",
        "storage/raft/bootstrap/answer",
        "storage/raft/remove-peer",
        "storage/raft/snapshot-force",
        "replication/primary/enable",
    ],
)
def test_sl_73_nobody_joins_removes_or_replaces_a_member_through_the_api(
    application: Application, path: str
) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        body = (
            {"leader_api_addr": "https://127.0.0.1:1", "server_id": "x"}
            if method in {"POST", "PUT"}
            else None
        )
        assert application.request(method, f"/v1/sys/{path}", body).status == 403
        assert application.request(method, f"/v1/sys/{path}", body, token="root").status == 404
    members = [t.route for t in TARGETS if "raft" in t.route.template or "replication" in t.route.template]
    assert all(route.operation is Operation.READ for route in members)
