# SPDX-License-Identifier: EUPL-1.2
"""Browsers: pages of origins that are not listed are refused, whatever they ask for; at first none is listed."""

from collections.abc import Iterator, Sequence

import pytest

from tests.routes.driver import Answer, Application
from tests.shared import Shared
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import StorageFailure

CORS = "/v1/sys/config/cors"
PAGE = "https://page.example"


@pytest.fixture
def server() -> Iterator[Application]:
    with Application() as application:
        yield application


def _set(server: Application, **body: object) -> int:
    return server.request("POST", CORS, body, token="root").status


def _from(server: Application, origin: str, method: str = "GET", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.request(method, "/v1/sys/leader", headers={"origin": origin, **named})


def test_at_first_an_origin_means_nothing(server: Application) -> None:
    assert server.request("GET", CORS, token="root").json()["data"] == {"enabled": False}
    answer = _from(server, PAGE)
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_listed_origin_is_told_that_it_may(server: Application) -> None:
    assert _set(server, allowed_origins=[PAGE], allow_credentials=True) == 204
    answer = _from(server, PAGE)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, PAGE)
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-allow-credentials"] == "true"
    refused = server.request("GET", "/v1/sys/mounts", headers={"origin": PAGE})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (403, PAGE)


@pytest.mark.parametrize(
    "origin", ["https://PAGE.example", "https://page.example.evil", "https://page", "null"]
)
def test_any_other_origin_is_refused(server: Application, origin: str) -> None:
    _set(server, allowed_origins=[PAGE])
    for method in ("GET", "POST", "OPTIONS"):
        answer = _from(server, origin, method)
        assert (answer.status, answer.body) == (403, b'{"errors":["origin not allowed"]}\n')
        assert "access-control-allow-origin" not in answer.headers
    assert server.request("GET", "/v1/sys/leader").status == 200


def test_a_browser_is_answered_before_it_calls(server: Application) -> None:
    _set(server, allowed_origins="*", allowed_headers="X-Own")
    answer = _from(server, PAGE, "OPTIONS", access_control_request_method="LIST")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "LIST" in answer.headers["access-control-allow-methods"].split(",")
    assert answer.headers["access-control-allow-headers"].split(",")[-1] == "X-Own"
    for method in ("PATCH", "get", ""):
        assert _from(server, PAGE, "OPTIONS", access_control_request_method=method).status == 405


def test_the_wildcard_stands_alone_and_something_must_be_listed(server: Application) -> None:
    assert _set(server) == 400
    assert _set(server, allowed_origins=["*", PAGE]) == 400
    assert server.request("GET", CORS, token="root").json()["data"] == {"enabled": False}


def test_settings_outlive_a_seal_and_end_when_they_are_deleted(server: Application) -> None:
    _set(server, allowed_origins=[PAGE])
    server.request("PUT", "/v1/sys/seal", token="root")
    assert _from(server, "https://other").status == 200
    server.reopen()
    assert _from(server, "https://other").status == 403
    assert server.request("DELETE", CORS, token="root").status == 204
    assert _from(server, "https://other").status == 200


def test_what_another_process_has_set_holds_for_the_next_browser() -> None:
    """A browser asks before anything is read, and sends the same bytes each time."""
    listed = {"origin": PAGE, "access-control-request-method": "GET"}
    shared = Shared("memory")
    with Application(shared.open()) as server, Application(shared.open(), beside=server) as other:

        def asked(origin: str) -> Sequence[object]:
            before = other.request("OPTIONS", "/v1/sys/leader", headers={**listed, "origin": origin})
            after = _from(other, origin)
            return before.status, after.status, after.headers.get("access-control-allow-origin")

        for _ in range(2):
            assert asked(PAGE) == (405, 200, None)
            assert _set(server, allowed_origins=[PAGE]) == 204
            assert asked(PAGE) == (200, 200, PAGE)
            assert _set(server, allowed_origins=["https://new.example"]) == 204
            assert asked(PAGE) == (403, 403, None)
            assert server.request("DELETE", CORS, token="root").status == 204


def test_where_storage_does_not_answer_browsers_are_told_what_held_last() -> None:
    away = False

    def fail(name: str) -> None:
        if away:
            raise StorageFailure(name)

    with Application(MemoryStorage(on_statement=fail)) as server:
        _set(server, allowed_origins=[PAGE])
        away = True
        asks = {"access_control_request_method": "GET"}
        assert [_from(server, each, "OPTIONS", **asks).status for each in ("https://other", PAGE)] == [
            403,
            200,
        ]
        away = False


CONSENT = "/ui/vault/identity/oidc/provider/default/authorize"
OWN = "https://vault.example:8200"


def _form(server: Application, origin: str, host: str = "vault.example:8200", **headers: str) -> Answer:
    """Send the form of the sign-in page, as a browser does for a page of `origin`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {"content-type": "application/x-www-form-urlencoded"}
    sent = {"host": host, "origin": origin, **kind, **named}
    return server.request("POST", CONSENT, b"client_id=x&action=allow", headers=sent)


@pytest.mark.parametrize("listed", [[PAGE], "*", []])
@pytest.mark.parametrize("site", ["", "same-origin"])
def test_the_servers_own_form_is_taken_whoever_else_may_call(
    server: Application, listed: object, site: str
) -> None:
    if listed:
        assert _set(server, allowed_origins=listed) == 204
    for origin in (OWN, OWN.replace("https", "http")):  # a proxy takes TLS away
        answer = _form(server, origin, sec_fetch_site=site)
        assert b"Scope parameter must contain" in answer.body  # so far it came
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["https://vault.example", "https://vault.example:8201", "https://VAULT.example:8200", "https://evil.example",
     "https://vault.example:8200.evil.example", "https://vault.example:8200/", "null", "ftp://vault.example:8200"],
)  # fmt: skip
def test_the_form_of_any_other_page_is_refused_before_and_after(server: Application, origin: str) -> None:
    assert b"from this page only" in _form(server, origin).body
    assert b"from this page only" in _form(server, OWN, sec_fetch_site="cross-site").body
    assert _set(server, allowed_origins=[PAGE]) == 204
    assert _form(server, origin).body == b'{"errors":["origin not allowed"]}\n'
    assert b"from this page only" in _form(server, PAGE).body
    assert b"from this page only" in _form(server, OWN, sec_fetch_site="cross-site").body


def test_no_origin_is_the_servers_own_where_it_is_asked_without_a_host(server: Application) -> None:
    _set(server, allowed_origins=[PAGE])
    for origin in ("https://", "http://", "https://127.0.0.1"):
        assert _from(server, origin).status == 403
