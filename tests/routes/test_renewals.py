# SPDX-License-Identifier: EUPL-1.2
"""Tokens made in place of others: what is asked for them again, and that they end with what they came from."""

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest

from nhi.biscuit.credential.possession import certificate_thumbprint
from nhi.biscuit.records import renewals
from tests.routes.issuer import DB, READS, Issuer
from tests.unit.outbound.authority import Authority

MINE = Authority("trusted").issue("mine")


def _renewed(issuer: Issuer, token: str) -> str:
    answer = issuer.application.request("POST", "/v1/auth/token/renew-self", {}, token=token)
    found: str = answer.json()["auth"]["client_token"]
    return found


@pytest.mark.parametrize("how", ["token", "id", "itself", "as root"])
def test_revoking_a_token_ends_what_was_renewed_from_it_however_often(issuer: Issuer, how: str) -> None:
    first = issuer.issue()
    second, beside = _renewed(issuer, first), _renewed(issuer, first)
    third = _renewed(issuer, second)
    child = issuer.narrow(third, READS)
    assert {issuer.status(one, DB) for one in (second, child)} == {200}
    ids = [
        issuer.root("nhi/introspect", {"token": one})["data"]["blocks"][-1]["id"] for one in (second, third)
    ]
    shown = issuer.tree(first)
    assert [one["state"] for one in shown["renewals"]] == ["active"] * 3
    assert [one["token_id"] for one in shown["renewals"]] == [
        issuer.token_id(one) for one in (second, beside, third)
    ]
    assert [one["id"] for one in issuer.tree(second)["renewals"]] == [ids[1]]
    assert shown["renewals"][2]["parent"] == ids[0]

    what = {"id": ids[0]} if how == "id" else {"token": second}
    before = issuer.root("nhi/revoke/preview", what)["data"]
    assert (before["credentials"], before["blocks"]) == (2, 3)
    assert {one["token_id"] for one in before["dying"]} == {issuer.token_id(second), issuer.token_id(third)}
    narrowed = issuer.root("nhi/revoke/preview", {"token": issuer.narrow(second, READS)})["data"]
    assert narrowed["credentials"] == 1
    if how == "itself":
        assert issuer.status(second, "auth/token/revoke-self", "POST", {}) == 204
    elif how == "as root":
        issuer.root("auth/token/revoke", {"token": second})
    else:
        assert issuer.root("nhi/revoke", what)["data"]["blocks"] == 3

    alive = {one: issuer.status(one, DB) for one in (first, second, beside, third, child)}
    assert alive == {first: 200, second: 403, beside: 200, third: 403, child: 403}
    assert [one["state"] for one in issuer.tree(first)["renewals"]] == ["revoked", "active", "revoked"]
    assert issuer.tree(third)["credential"]["state"] == "revoked"
    assert issuer.root("nhi/revoke/preview", {"id": ids[0]})["data"]["credentials"] == 0
    assert issuer.status(third, "auth/token/renew-self", "POST", {}) == 403
    listed = issuer.application.request("GET", "/v1/nhi/revocations").json()["data"]["list"].split(".")[1]
    said = json.loads(urlsafe_b64decode(listed + "=="))["ids"]
    assert bytes.fromhex(ids[1]) in urlsafe_b64decode(said + "==")


@pytest.mark.parametrize("how", ["id", "token", "as root"])
def test_a_token_that_has_ended_still_takes_what_was_renewed_from_it_along(issuer: Issuer, how: str) -> None:
    short = issuer.issue(ttl=60)
    first = issuer.root("nhi/introspect", {"token": short})["data"]["blocks"][0]["id"]
    asked = issuer.application.request("POST", "/v1/auth/token/renew-self", {"increment": 90}, token=short)
    middle = asked.json()["auth"]["client_token"]
    last = issuer.application.request("POST", "/v1/auth/token/renew-self", {"increment": 3600}, token=middle)
    alive = last.json()["auth"]["client_token"]
    issuer.application.clock.sleep(120)
    issuer.application.settle()
    assert [issuer.status(one, DB) for one in (short, middle, alive)] == [403, 403, 200]
    if how == "as root":
        issuer.root("auth/token/revoke", {"token": short})
    else:
        what = {"id": first} if how == "id" else {"token": short}
        assert issuer.root("nhi/revoke", what)["data"]["credentials"] == 1
    assert issuer.status(alive, DB) == 403


def test_what_is_known_of_renewals_has_a_bound_and_goes_with_the_last_of_them(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewals, "MOST", 3)
    issuer.root("nhi/registrations/r1", {"workload": "w1", "policies": "app,default", "max_ttl": "7d"})
    token = issuer.issue()
    for _ in range(3):
        token = _renewed(issuer, token)
    assert issuer.status(token, "auth/token/renew-self", "POST", {}) == 400
    last = issuer.application.request(
        "POST", "/v1/auth/token/renew-self", {"increment": "1d"}, token=issuer.issue(ttl=3600)
    ).json()["auth"]["client_token"]
    assert _lines(issuer) == 6
    for _ in range(6):
        issuer.application.clock.sleep(80_000)
        issuer.application.settle()
        last = issuer.application.request(
            "POST", "/v1/auth/token/renew-self", {"increment": "1d"}, token=last
        ).json()["auth"]["client_token"]
    issuer.application.clock.sleep(200_000)
    issuer.application.settle()
    assert _lines(issuer) == 0


def _lines(issuer: Issuer) -> int:
    """Return how many rows are kept of renewals."""
    paths = [path.split("/") for path in issuer.application.stored() if path.startswith("ns/root/mnt/")]
    return sum(path[4] in {"line", "renewed"} for path in paths)


def _renewal(issuer: Issuer, token: str, **body: object) -> Any:
    return issuer.application.request("POST", "/v1/auth/token/renew-self", body, token=token)


def test_a_renewal_asks_again_where_from_and_for_how_long(issuer: Issuer) -> None:
    fields = {"workload": "w1", "policies": "app,default", "ttl": "1h", "max_ttl": "8h"}
    issuer.root("nhi/registrations/r1", {**fields, "cidrs": "10.0.0.0/8"})
    token = issuer.issue()
    assert issuer.status(token, DB) == 200
    assert _renewal(issuer, token).status == 403
    by_another = issuer.application.request("POST", "/v1/auth/token/renew", {"token": token}, token="root")
    assert by_another.status == 403
    issuer.application.client = ("10.1.1.1", 1)
    again = _renewal(issuer, token).json()["auth"]["client_token"]
    issuer.application.clock.sleep(1800)
    issuer.root("nhi/registrations/r1", {**fields, "max_ttl": "1h"})
    assert _renewal(issuer, again, increment="1h").json()["auth"]["lease_duration"] in range(1790, 1801)
    issuer.root("nhi/registrations/r1", {**fields, "ttl": "10m", "max_ttl": "20m"})
    assert _renewal(issuer, again).status == 400
    issuer.root("nhi/registrations/r1", fields)
    assert _renewal(issuer, again, increment="8h").json()["auth"]["lease_duration"] in range(26_990, 27_001)
    issuer.root("nhi/registrations/r1", method="DELETE")
    assert _renewal(issuer, again).status == 400


def test_nobody_renews_a_bound_token_without_its_key(issuer: Issuer) -> None:
    mine = MINE.der
    issuer.root("nhi/registrations/r1", {"workload": "w1", "policies": "app,default", "pop": "mtls"})
    token = issuer.issue(x5t=certificate_thumbprint(mine))

    def renewed() -> int:
        body = {"token": token}
        return issuer.application.request("POST", "/v1/auth/token/renew", body, token="root").status

    assert renewed() == 403
    issuer.application.certificate = mine
    assert renewed() == 200


def test_a_workload_that_has_ended_renews_nothing(issuer: Issuer) -> None:
    token = issuer.issue()
    issuer.root("nhi/workloads/w1/revoke")
    assert _renewal(issuer, token).status == 403
    issuer.root("nhi/workloads/w1", {"owner": "team-a", "ttl": "30d"})
    assert _renewal(issuer, token).status == 403
