# SPDX-License-Identifier: EUPL-1.2
"""Answers that say not now say when: 429 and 503, wherever they come from, and never longer than a client would wait."""

from collections.abc import Iterator

import pytest

from tests.routes.driver import Answer, Application
from vault.framework.display.page import page
from vault.framework.errors import Busy, Limited, Locked, Sealed, VaultError
from vault.values.times import Seconds
from vault.wire import v1

HEALTH = "/v1/sys/health"


@pytest.fixture
def server() -> Iterator[Application]:
    with Application() as application:
        yield application


def _again(answer: Answer) -> tuple[int, str | None]:
    return answer.status, answer.headers.get("retry-after")


def test_a_sealed_vault_says_it_to_every_request_and_probe(server: Application) -> None:
    server.request("PUT", "/v1/sys/seal", token="root")
    for method, path in (
        ("GET", "/v1/secret/data/x"), ("LIST", "/v1/secret/metadata"), ("POST", "/v1/auth/token/create"),
        ("GET", HEALTH), ("HEAD", HEALTH), ("OPTIONS", "/v1/secret/data/x"),
    ):  # fmt: skip
        assert _again(server.request(method, path, token="root")) == (503, "1"), path
    problem = server.request("GET", "/v1/secret/data/x", headers={"accept": "application/problem+json"})
    assert _again(problem) == (503, "1")
    assert _again(server.request("GET", HEALTH + "?sealedcode=200")) == (200, None)
    assert _again(server.request("GET", HEALTH + "?sealedcode=429")) == (429, "1")
    assert _again(server.request("GET", "/v1/sys/seal-status")) == (200, None)


def test_a_page_says_it_too(server: Application) -> None:
    server.request("PUT", "/v1/sys/seal", token="root")
    consent = "/ui/vault/identity/oidc/provider/default/authorize"
    assert _again(server.request("GET", consent)) == (503, "1")
    headers = [page("x", "", status=status).headers or {} for status in (200, 429, 503)]
    assert [found.get("retry-after") for found in headers] == [None, "1", "1"]


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [
        (Limited("x", retry_after=Seconds(0)), "1"),
        (Limited("x", retry_after=Seconds(7199)), "2"),
        (Busy("x", retry_after=Seconds(30)), "2"),
        (Busy("x"), "1"),
        (Sealed(), "1"),
        (Locked("x"), "1"),
    ],
)
def test_no_refusal_lets_a_client_sleep_for_long(
    server: Application, monkeypatch: pytest.MonkeyPatch, refusal: VaultError, seconds: str
) -> None:
    def refuses(*_: object) -> None:
        raise refusal

    monkeypatch.setattr("vault.wire.http.within", refuses)
    answer = server.request("GET", "/v1/secret/data/x", token="root", headers={"x-vault-namespace": "a"})
    assert _again(answer) == (v1.STATUS[type(refusal)], seconds)
