# SPDX-License-Identifier: EUPL-1.2
"""A clock that is set back or ahead while the server runs: nobody is shut out for it, and nothing outlives its end."""

import pytest

from tests.routes.driver import Application

HOUR = 3600
READER = 'path "secret/*" { capabilities = ["read", "update", "create"] }'
TARGET = "/v1/secret/data/x"


def made(application: Application, ttl: str) -> str:
    body = {"ttl": ttl, "policies": ["root"]}
    return str(
        application.request("POST", "/v1/auth/token/create", body, token="root").json()["auth"][
            "client_token"
        ]
    )


def left(application: Application, token: str) -> int:
    answer = application.request("GET", "/v1/auth/token/lookup-self", token=token)
    return int(answer.json()["data"]["ttl"])


def test_a_clock_set_back_gives_a_token_that_much_more_and_shuts_nobody_out(application: Application) -> None:
    token = made(application, "1h")
    application.clock.sleep(-2 * HOUR)
    assert 3 * HOUR - 60 < left(application, token) <= 3 * HOUR
    later = made(application, "1h")
    assert HOUR - 60 < left(application, later) <= HOUR
    renewed = application.request("POST", "/v1/auth/token/renew-self", {"increment": "1h"}, token=later)
    assert renewed.status == 200
    written = application.request("POST", TARGET, {"data": {"a": 1}}, token=later)
    assert (written.status, application.request("GET", TARGET, token=later).status) == (200, 200)
    application.clock.sleep(HOUR)
    refused = [application.request("GET", TARGET, token=one).status for one in (later, token)]
    assert refused == [403, 200]


def test_what_was_wrapped_before_the_clock_jumped_is_unwrapped_or_over(application: Application) -> None:
    headers = {"x-vault-wrap-ttl": "1h"}
    wrapped = [
        application.request("GET", TARGET, token="root", headers=headers).json()["wrap_info"]["token"]
        for _ in range(2)
    ]
    application.clock.sleep(-HOUR)
    assert application.request("POST", "/v1/sys/wrapping/unwrap", {}, token=wrapped[0]).status == 200
    application.clock.sleep(3 * HOUR)
    assert application.request("POST", "/v1/sys/wrapping/unwrap", {}, token=wrapped[1]).status == 400


@pytest.mark.asked_alone("each node counts by itself for a rate limit", nodes=True)
def test_a_limit_of_requests_lasts_its_own_time_whatever_the_clock_says(application: Application) -> None:
    token = application.token(READER)
    limit = {"rate": 1, "interval": "60s", "path": "secret/"}
    assert application.request("POST", "/v1/sys/quotas/rate-limit/few", limit, token="root").status == 204
    for jump in (0, -HOUR, 2 * HOUR):
        application.clock.sleep(jump)
        assert [application.request("GET", TARGET, token=token).status for _ in range(2)] == [200, 429], jump


def test_what_is_due_is_done_after_a_jump_in_either_direction(application: Application) -> None:
    ended = made(application, "1h")
    application.clock.sleep(-HOUR)
    other = made(application, "30m")
    application.clock.sleep(4 * HOUR)
    assert [application.request("GET", TARGET, token=one).status for one in (ended, other)] == [403, 403]
    assert application.request("GET", TARGET, token="root").status == 200
