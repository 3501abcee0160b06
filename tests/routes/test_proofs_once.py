# SPDX-License-Identifier: EUPL-1.2
"""Proofs that count once count no second time, whatever the clock is set to, and however long they are good."""

from collections.abc import Generator

import pytest

from tests.clocks import DAY
from tests.routes.driver import Application
from tests.routes.issuer import Issuer
from tests.tokens import KEY, pem, token

ISSUER = "https://issuer.example"
LIFE = 600
"""Seconds that a token is good for, of those that an issuer signs here."""
SKEW = 60
"""Seconds for which a token that has ended is still taken."""


@pytest.fixture
def issuer() -> Generator[Issuer]:
    application = Application()
    yield Issuer(application)
    application.close()


def _register(issuer: Issuer, name: str, **fields: object) -> None:
    good = {
        "method": "jwt",
        "pubkeys": [pem(KEY)],
        "bound_issuer": ISSUER,
        "bound_subject": "s",
        "bound_audiences": "vault",
        "one_time": True,
    }
    issuer.root(f"nhi/registrations/{name}", {"workload": "w1", "policies": "app", **good, **fields})


def _seconds(issuer: Issuer) -> int:
    return issuer.application.clock.millis() // 1000


def _jwt(issuer: Issuer, name: str, life: int = LIFE) -> str:
    now = _seconds(issuer)
    claims = {"iss": ISSUER, "sub": "s", "aud": "vault", "iat": now, "exp": now + life, "jti": name}
    return token(claims)


def _login(issuer: Issuer, jwt: str = "", held: str = "", name: str = "r") -> int:
    body = {"client_id": name, "jwt": jwt} if jwt else {"client_id": name}
    return issuer.application.request("POST", "/v1/nhi/login", body, token=held).status


def _forget(issuer: Issuer) -> None:
    """Do what timers have come for."""
    issuer.application.settle()


def test_a_clock_that_was_far_ahead_makes_no_token_count_twice(issuer: Issuer) -> None:
    _register(issuer, "r")
    used, unused = _jwt(issuer, "used"), _jwt(issuer, "unused", LIFE + 30)
    assert _login(issuer, used) == 200
    issuer.application.clock.set_wall(DAY)
    _forget(issuer)
    issuer.application.clock.set_wall(-DAY)
    assert [_login(issuer, one) for one in (used, unused, unused)] == [403, 200, 403]


def test_what_is_refused_for_what_was_forgotten_is_one_registrations_and_no_later_token(
    issuer: Issuer,
) -> None:
    for name in ("r", "other"):
        _register(issuer, name)
    unused = _jwt(issuer, "unused")
    assert _login(issuer, _jwt(issuer, "long", DAY // 2)) == 200
    issuer.application.clock.set_wall(DAY)
    _forget(issuer)
    issuer.application.clock.set_wall(-DAY)
    assert [_login(issuer, unused, name=name) for name in ("r", "other", "other")] == [403, 200, 403]
    issuer.application.clock.sleep(2)
    assert _login(issuer, _jwt(issuer, "later")) == 200
    issuer.root("nhi/registrations/r", method="DELETE")
    _register(issuer, "r")
    assert [_login(issuer, unused) for _ in range(2)] == [200, 403]


def test_a_token_is_remembered_until_it_is_refused_as_too_old(issuer: Issuer) -> None:
    _register(issuer, "r")
    jwt = _jwt(issuer, "a")
    end = _seconds(issuer) + LIFE + SKEW
    assert _login(issuer, jwt) == 200
    clock = issuer.application.clock
    clock.sleep(end - clock.nanos() / 1e9 + 0.5)
    _forget(issuer)
    assert (_seconds(issuer), _login(issuer, _jwt(issuer, "b", -SKEW)), _login(issuer, jwt)) == (
        end,
        200,
        403,
    )


@pytest.mark.parametrize("life", [400 * DAY, (1 << 53) - 2_000_000_000])
def test_a_token_without_an_end_to_speak_of_counts_once(issuer: Issuer, life: int) -> None:
    _register(issuer, "r", max_age=300 * DAY)
    jwt = _jwt(issuer, "a", life)
    assert _login(issuer, jwt) == 200
    issuer.application.clock.sleep(299 * DAY)
    _forget(issuer)
    _register(issuer, "r", max_age=300 * DAY)
    issuer.root("nhi/workloads/w1", {"owner": "team-a", "ttl": "30d"})
    assert [_login(issuer, one) for one in (jwt, _jwt(issuer, "b"))] == [403, 200]


def test_an_approle_token_of_few_uses_that_is_renewed_is_a_proof_once(issuer: Issuer) -> None:
    role = {"token_num_uses": 5, "token_ttl": 60, "token_max_ttl": 3600}
    issuer.root("auth/approle/role/ci", role)
    issuer.root(
        "nhi/registrations/r",
        {
            "workload": "w1",
            "policies": "app",
            "method": "approle",
            "approle_mount": "approle",
            "approle_role": "ci",
        },
    )
    mine = issuer.logged_in("ci")
    assert _login(issuer, held=mine) == 200
    issuer.application.clock.sleep(50)
    assert issuer.status(mine, "auth/token/renew-self", "POST", {}) == 200
    issuer.application.clock.sleep(50)
    _forget(issuer)
    assert [_login(issuer, held=one) for one in (mine, issuer.logged_in("ci"))] == [403, 200]
    issuer.application.clock.sleep(3600)
    _forget(issuer)
    assert _login(issuer, held=mine) == 403
