# SPDX-License-Identifier: EUPL-1.2
"""Requests that bring their login along, in the whole application; every answer is compared with OpenBao elsewhere."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator

import pytest

from tests.routes.driver import Answer, Application

LOGIN = "x-vault-inline-auth-"
PATH = "auth/userpass/login/ada"
KEPT = "/v1/plain/kept"


@pytest.fixture(scope="module")
def server() -> Iterator[Application]:
    with Application() as application:
        rules = 'path "plain/*" { capabilities = ["read"] }'
        for target, body in (
            ("sys/policies/acl/reader", {"policy": rules}),
            ("plain/kept", {"of": "value"}),
            ("auth/userpass/users/ada", {"password": "opensesame", "token_policies": "reader"}),
            ("auth/userpass/users/eve", {"password": "opensesame", "token_policies": "reader"}),
        ):
            assert application.request("POST", f"/v1/{target}", body, token="root").status == 204
        yield application


def given(key: object, value: object) -> str:
    return urlsafe_b64encode(json.dumps({"key": key, "value": value}).encode()).decode().rstrip("=")


def ask(
    server: Application,
    method: str = "GET",
    target: str = KEPT,
    *,
    path: str = PATH,
    body: object = None,
    **parameters: str,
) -> Answer:
    headers = {LOGIN + "path": path, LOGIN + "parameter-a": given("password", "opensesame")}
    headers |= {f"{LOGIN}parameter-{name}": value for name, value in parameters.items()}
    return server.request(method, target, body, headers=headers)


def tokens(server: Application) -> int:
    answer = server.request("GET", "/v1/sys/internal/counters/tokens", token="root")
    return int(answer.json()["data"]["counters"]["service_tokens"]["total"])


def test_a_login_that_comes_along_leaves_no_token_behind(server: Application) -> None:
    before = tokens(server)
    assert ask(server).json()["data"] == {"of": "value"}
    assert ask(server, target="/v1/secret/data/x").status == 403
    assert tokens(server) == before


def test_it_is_recorded_as_a_login_and_as_who_asked_and_never_in_the_clear(server: Application) -> None:
    begins = server.audit.stat().st_size
    assert ask(server).status == 200
    text = server.audit.read_text()[begins:]
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(one["type"], one["request"]["path"]) for one in lines] == [
        ("request", PATH),
        ("response", PATH),
        ("request", "plain/kept"),
        ("response", "plain/kept"),
    ]
    assert lines[2]["auth"]["display_name"] == "userpass-ada"
    assert lines[2]["auth"]["client_token"] == lines[1]["response"]["auth"]["client_token"]
    assert "opensesame" not in text + server.log.getvalue()


def test_wrong_passwords_that_come_along_lock_a_user_out_too(server: Application) -> None:
    eve = {"path": "auth/userpass/login/eve"}
    for _ in range(5):
        assert ask(server, **eve, a=given("password", "no")).status == 400
    assert ask(server, **eve).status == 403
    assert ask(server).status == 200


def test_a_parameter_comes_once(server: Application) -> None:
    answer = ask(server, b=given("password", "opensesame"))
    assert (answer.status, answer.json()["errors"]) == (
        400,
        ["failed to perform inline authentication: a parameter is given twice"],
    )


@pytest.mark.parametrize(
    "value",
    [
        "hunter2!",
        "hunter2hunter2",
        given("hunter2", "hunter2") + "=",
        urlsafe_b64encode(b'{"key":"hunter2"}').decode().rstrip("="),
        urlsafe_b64encode(b'["hunter2"]').decode().rstrip("="),
        given(["hunter2"], "hunter2"),
        given("hunter2", [["hunter2"] * 100] * 100),
    ],
)
def test_what_cannot_be_read_is_refused_and_not_repeated(server: Application, value: str) -> None:
    answer = ask(server, a=value)
    assert answer.status == 400
    assert b"hunter2" not in answer.body


def test_parameters_are_few(server: Application) -> None:
    many = {f"n{number}": given(f"n{number}", "x") for number in range(101)}
    assert "more than 100 parameters" in ask(server, **many).json()["errors"][0]


@pytest.mark.parametrize(
    "path", ["auth/token/create", "sys/mounts", "sys/decode-token", "sys/internal/specs/openapi"]
)
def test_only_a_login_logs_in(server: Application, path: str) -> None:
    answer = ask(server, path=path)
    assert answer.status in {400, 403}
    assert b"of" not in answer.body or b"value" not in answer.body


def test_nothing_is_kept_for_a_login_of_one_request(server: Application) -> None:
    assert ask(server, "POST", "/v1/cubbyhole/a", body={"a": "b"}).status in {400, 403}
    assert ask(server, "POST", "/v1/auth/token/create", body={}).status in {400, 403}
