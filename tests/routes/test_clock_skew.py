# SPDX-License-Identifier: EUPL-1.2
"""A server whose clock is far from the database's makes no tokens and says so; all else goes on, and timers go by the database."""

from collections.abc import Callable, Iterator

import pytest

from tests.postgres import Cluster, Lent
from tests.routes.driver import Answer, Application
from tests.routes.issuer import Issuer
from vault.storage.postgres.storage import PostgresStorage

_POLICY = 'path "secret/*" { capabilities = ["read"] }'


class Timed(Lent):
    """A storage that tells the database's time."""

    now = PostgresStorage.now


@pytest.fixture
def application(postgres: Callable[[], Cluster]) -> Iterator[Application]:
    with Application(Timed(postgres(), postgres().empty())) as application:
        yield application


def _makers(application: Application, token: str) -> Iterator[tuple[str, Answer]]:
    """Yield what makes a token, or makes it last longer, each way that there is."""
    for name, target, body in (
        ("create", "auth/token/create", {"policies": ["default"]}),
        ("batch", "auth/token/create", {"policies": ["default"], "type": "batch"}),
        ("orphan", "auth/token/create-orphan", {}),
        ("login", "auth/userpass/login/x", {"password": "x"}),
        ("approle", "auth/approle/login", {"role_id": "x", "secret_id": _secret_id(application)}),
        ("renew", "auth/token/renew", {"token": token}),
        ("biscuit", "nhi/issue/r1", {}),
        ("wrapping", "sys/wrapping/wrap", {"a": "b"}),
    ):
        headers = {"x-vault-wrap-ttl": "60"} if name == "wrapping" else {}
        yield name, application.request("POST", f"/v1/{target}", body, token="root", headers=headers)


def _secret_id(application: Application) -> str:
    made = application.request("POST", "/v1/auth/approle/role/x/secret-id", {}, token="root")
    secret: str = made.json()["data"]["secret_id"]
    return secret


@pytest.mark.parametrize("minutes", [10, -10])
def test_far_off_it_makes_no_tokens_and_is_unhealthy_until_that_is_repaired(
    application: Application, minutes: int
) -> None:
    token = application.token(_POLICY)
    Issuer(application)
    application.work()
    assert application.request("GET", "/v1/sys/health").status == 200
    application.clock.set_wall(minutes * 60)
    application.work()
    health = application.request("GET", "/v1/sys/health")
    assert health.status == 503
    assert abs(health.json()["clock_skew_ms"] / 60_000 - minutes) < 1
    for name, answer in _makers(application, token):
        assert answer.status == 500, (name, answer.body)
        assert "clock differs from the database's by more than 30 s" in answer.json()["errors"][0], name
    assert application.request("GET", "/v1/secret/data/x", token=token).status == 200
    assert application.request("POST", "/v1/secret/data/x", {"data": {}}, token="root").status == 200
    assert application.request("POST", "/v1/auth/token/revoke", {"token": token}, token="root").status == 204
    assert application.request("GET", "/v1/secret/data/x", token=token).status == 403
    application.clock.set_wall(-minutes * 60)
    application.work()
    assert application.request("GET", "/v1/sys/health").status == 200
    assert application.request("POST", "/v1/auth/token/create", {}, token="root").status == 200
