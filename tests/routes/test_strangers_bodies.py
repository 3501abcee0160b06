# SPDX-License-Identifier: EUPL-1.2
"""Who is not known may send little: a body over the limit of strangers is refused before anybody looks into it."""

import json
from collections.abc import Iterator

import pytest

from tests.routes.driver import TARGETS, Answer, Application, Target
from vault.framework.limits import USUAL_LIMITS

_TOO_LARGE = {"errors": ["http: request body too large"]}
_BODY = json.dumps({"x": "x" * USUAL_LIMITS.unknown}).encode()
_OPEN = [target for target in TARGETS if target.bodied and target.route.access.public]
_EARLY = ("sys/wrapping/unwrap", "sys/wrapping/rewrap")
"""What looks for a token in the body before it knows who calls."""


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with Application() as running:
        yield running


def _ask(application: Application, target: Target, token: str, body: bytes) -> Answer:
    answer = application.request(target.method, target.path(), body, token=token)
    application.reopen()
    return answer


def test_there_are_routes_that_need_no_token() -> None:
    assert {"POST sys/unseal", "POST sys/init", "POST auth/userpass/login/{username:word}"} <= {
        *map(str, _OPEN)
    }


@pytest.mark.parametrize("token", ["", "s.none", "biscuit:none", "b.none"])
@pytest.mark.parametrize("target", _OPEN, ids=str)
def test_a_large_body_of_a_stranger_is_refused(application: Application, target: Target, token: str) -> None:
    answer = _ask(application, target, token, _BODY)
    assert (answer.status, answer.json()) == (413, _TOO_LARGE)


@pytest.mark.parametrize("target", _OPEN, ids=str)
def test_a_body_within_the_limit_is_looked_into(application: Application, target: Target) -> None:
    assert _ask(application, target, "", _BODY[:-20] + b'"}').status != 413


@pytest.mark.parametrize("path", _EARLY)
def test_a_wrapping_token_is_not_looked_for_in_a_large_body(application: Application, path: str) -> None:
    assert application.request("POST", f"/v1/{path}", _BODY, token="s.none").status == 413


def test_where_a_token_is_needed_nothing_is_read_on_of_who_shows_none(application: Application) -> None:
    assert application.request("POST", "/v1/secret/data/x", _BODY).status == 413
    assert application.request("POST", "/v1/secret/data/x", _BODY, token="s.none").status == 403


def test_who_is_known_may_send_more(application: Application) -> None:
    body = json.dumps({"data": {"x": "x" * USUAL_LIMITS.unknown}}).encode()
    assert application.request("POST", "/v1/secret/data/large", body, token="root").status == 200
    login = "/v1/auth/userpass/login/x"
    assert application.request("POST", login, _BODY, token="root").json()["errors"] == ["missing password"]
