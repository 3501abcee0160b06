# SPDX-License-Identifier: EUPL-1.2
"""Why a call is refused is known where it is recorded, and told to no client."""

from collections.abc import Iterator

import pytest

from tests.routes.driver import Application
from tests.routes.issuer import DB, READS, Issuer
from vault.audit.broker import Broker, Taken
from vault.framework.call import Call
from vault.framework.errors import Reason, VaultError
from vault.framework.reply import Reply

DENY = 'path "secret/data/x" { capabilities = ["deny"] }'
READ = 'path "secret/data/*" { capabilities = ["read"] } path "sys/raw/*" { capabilities = ["read"] }'
NO_SUDO = 'path "sys/auth/a" { capabilities = ["update", "delete"] }'


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Call, VaultError]]:
    """The calls that were recorded with a refusal, as the broker saw them."""
    seen: list[tuple[Call, VaultError]] = []
    record = Broker.response

    def response(
        self: Broker, call: Call, reply: Reply[object] | None, error: VaultError | None = None
    ) -> Taken:
        if error is not None:
            seen.append((call, error))
        return record(self, call, reply, error)

    monkeypatch.setattr(Broker, "response", response)
    return seen


@pytest.fixture
def application() -> Iterator[Application]:
    with Application() as application:
        yield application


@pytest.mark.parametrize(
    ("policy", "method", "path", "reason", "rule"),
    [
        (READ, "GET", "plain/x", Reason.NO_RULE, ""),
        (READ, "POST", "secret/data/x", Reason.UPDATE, "secret/data/*"),
        (READ, "POST", "secret/data/new", Reason.CREATE, "secret/data/*"),
        (DENY, "GET", "secret/data/x", Reason.DENIED, "secret/data/x"),
        (NO_SUDO, "DELETE", "sys/auth/a", Reason.SUDO, "sys/auth/a"),
    ],
)
def test_a_refusal_says_why_to_the_record_alone(
    application: Application,
    refused: list[tuple[Call, VaultError]],
    policy: str,
    method: str,
    path: str,
    reason: Reason,
    rule: str,
) -> None:
    answer = application.request(method, f"/v1/{path}", {"data": {}}, token=application.token(policy))
    assert answer.status == 403
    ((call, error),) = refused
    assert error.reason is reason
    assert call.decision is not None
    assert call.decision.rule == rule
    assert reason.encode() not in answer.body


def test_who_is_of_another_namespace_is_refused_for_that(
    application: Application, refused: list[tuple[Call, VaultError]]
) -> None:
    for name in ("one", "two"):
        application.request("POST", f"/v1/sys/namespaces/{name}", {}, token="root")
    made = application.request("POST", "/v1/one/auth/token/create", {"policies": ["default"]}, token="root")
    token = made.json()["auth"]["client_token"]
    assert application.request("GET", "/v1/two/sys/mounts", token=token).status == 403
    assert [error.reason for _, error in refused] == [Reason.NAMESPACE]


def test_a_token_that_is_none_is_refused_for_that(
    application: Application, refused: list[tuple[Call, VaultError]]
) -> None:
    assert application.request("GET", "/v1/secret/data/x", token="s.nobody").status == 403
    assert [error.reason for _, error in refused] == [Reason.NO_TOKEN]


def test_what_the_credential_itself_forbids_is_told_from_what_its_policies_do(
    issuer: Issuer, refused: list[tuple[Call, VaultError]]
) -> None:
    narrow = issuer.narrow(issuer.issue(), READS)
    refused.clear()
    assert issuer.status(narrow, DB, "POST", {"data": {}}) == 403
    assert issuer.status(narrow, "sys/mounts") == 403
    assert [error.reason for _, error in refused] == [Reason.CREDENTIAL, Reason.NO_RULE]
