# SPDX-License-Identifier: EUPL-1.2
"""What is refused before the pipeline is counted by its class; what the pipeline refuses is in the audit log instead."""

import pytest

from tests.routes.driver import MERGE_PATCH, Application
from tests.routes.test_again import Client

pytestmark = pytest.mark.asked_alone("reads what one process counted")


def counted(application: Application) -> dict[str, int]:
    metrics = application.vault.ground.metrics
    return {
        labels[0][1]: c.count
        for name, labels, c in metrics.counters()
        if name == "coffre.server.refused_total"
    }


@pytest.mark.parametrize(
    ("method", "target", "headers", "reason"),
    [
        ("GET", "/v1/secret/%00", {}, "path"),
        ("GET", "/v1/secret/%2e%2e/x", {}, "head"),
        ("GET", "/v1/secret/data/x", {"x-vault-wrap-ttl": "never"}, "head"),
        ("GET", "/v1/secret/metadata?list=maybe", {}, "head"),
        ("TRACE", "/v1/secret/data/x", {}, "head"),
        ("PATCH", "/v1/secret/data/x", {"content-type": "text/plain"}, "head"),
    ],
)
def test_a_head_that_is_refused_is_counted_and_told(
    application: Application, method: str, target: str, headers: dict[str, str], reason: str
) -> None:
    answer = application.request(method, target, token="root", headers=headers)
    assert answer.status >= 400
    assert counted(application) == {**dict.fromkeys(("body", "head", "path", "size", "time"), 0), reason: 1}
    line = application.log.getvalue().splitlines()[-1]
    assert f"reason={reason} address=127.0.0.1" in line
    assert target not in line and not any(value in line for value in headers.values())


@pytest.mark.parametrize(
    "name", ["x-vault-index", "x-vault-inconsistent", "x-vault-list-filter", "x-vault-wrap-ttl"]
)
def test_a_head_that_is_refused_is_answered_as_the_rest_of_it_asks(
    application: Application, name: str
) -> None:
    headers = {"x-vault-namespace": "team/", "accept": "application/problem+json", name: "never"}
    plain, problem = (
        application.request("GET", "/v1/secret/data/x", token="root", headers=given)
        for given in (headers | {"accept": "*/*"}, headers)
    )
    assert (plain.status, plain.headers["x-vault-namespace"]) == (400, "team/")
    assert problem.headers["content-type"] == "application/problem+json"


def test_a_body_that_is_too_large_or_ends_early_is_counted(application: Application) -> None:
    application.request("POST", "/v1/secret/data/x", b"x" * (33 << 20), token="root")
    assert counted(application)["size"] == 1


def test_a_body_that_is_refused_on_its_way_is_counted_once(application: Application) -> None:
    client = Client(application)
    head = b"POST /v1/secret/data/x HTTP/1.1\r\nhost: x\r\nx-vault-token: root\r\ntransfer-encoding: chunked\r\n\r\n"
    client.pass_on(head, b"1\r\n{\r\n", b"zz\r\n")
    assert client.written.startswith(b"HTTP/1.1 400 ") and client.written.count(b"HTTP/1.1") == 1
    assert counted(application) == {**dict.fromkeys(("head", "path", "size", "time"), 0), "body": 1}


def test_what_the_pipeline_refuses_is_not_counted_but_recorded(application: Application) -> None:
    application.records()
    for token in ("", "s.nobody"):
        assert application.request("GET", "/v1/secret/data/x", token=token).status == 403
    assert application.request("POST", "/v1/secret/data/x", b"{", token="root").status == 400
    assert (
        application.request(
            "PATCH", "/v1/secret/data/x", b"{", token="root", headers={"content-type": MERGE_PATCH}
        ).status
        == 400
    )
    login = {"x-vault-inline-auth-path": "auth/approle/login"}
    assert application.request("GET", "/v1/secret/data/x", headers=login).status >= 400
    assert sum(counted(application).values()) <= 1  # such a login may lack what makes it one
    assert len(application.records()) >= 4
