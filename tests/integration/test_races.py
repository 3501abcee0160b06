# SPDX-License-Identifier: EUPL-1.2
"""What may be used a limited number of times, by many at once, on the real server: no more than that."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fuzz.process import PATIENCE, Answer, Client, VaultProcess, initialised

AT_ONCE = 12


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultProcess]:
    with initialised(tmp_path_factory.mktemp("races")) as running:
        yield running


def do(vault: VaultProcess, method: str, path: str, body: object = None, **more: Any) -> Any:
    with vault.client() as client:
        answer = client.request(method, f"/v1/{path}", body, **more)
    assert answer.status < 300, (path, answer.body)
    return answer.json() if answer.body else {}


def at_once(vault: VaultProcess, ask: Callable[[Client], Answer], count: int = AT_ONCE) -> list[Answer]:
    """Ask from so many connections at the same moment."""
    start, answers = threading.Barrier(count), []

    def one() -> None:
        with vault.client("") as client:
            client.request("GET", "/v1/sys/health")
            start.wait(PATIENCE)
            answers.append(ask(client))

    threads = [threading.Thread(target=one, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE)
    assert len(answers) == count
    assert {answer.status for answer in answers} <= {200, 204, 400, 403, 429}
    return answers


def good(answers: list[Answer]) -> int:
    return sum(answer.status in {200, 204} for answer in answers)


@pytest.mark.parametrize("way", ["body", "header", "cubbyhole", "rewrap"])
def test_what_is_wrapped_is_had_once(vault: VaultProcess, way: str) -> None:
    wrapped = do(vault, "PUT", "sys/wrapping/wrap", {"a": "b"}, headers={"X-Vault-Wrap-TTL": "1h"})
    token = wrapped["wrap_info"]["token"]

    def ask(client: Client) -> Answer:
        if way == "body":
            return client.request("PUT", "/v1/sys/wrapping/unwrap", {"token": token}, token=vault.root)
        if way == "rewrap":
            return client.request("PUT", "/v1/sys/wrapping/rewrap", {"token": token}, token=vault.root)
        if way == "header":
            return client.request("PUT", "/v1/sys/wrapping/unwrap", token=token)
        return client.request("GET", "/v1/cubbyhole/response", token=token)

    assert good(at_once(vault, ask)) == 1


@pytest.mark.parametrize("uses", [1, 5])
def test_a_token_is_used_as_often_as_it_says(vault: VaultProcess, uses: int) -> None:
    made = do(vault, "POST", "auth/token/create", {"policies": ["default"], "num_uses": uses})
    token = made["auth"]["client_token"]
    answers = at_once(vault, lambda client: client.request("GET", "/v1/auth/token/lookup-self", token=token))
    assert good(answers) == uses


@pytest.mark.parametrize("uses", [1, 5])
def test_a_secret_id_is_used_as_often_as_it_says(vault: VaultProcess, uses: int) -> None:
    with vault.client() as client:
        client.request("POST", "/v1/sys/auth/approle", {"type": "approle"})
    do(vault, "POST", f"auth/approle/role/r{uses}", {"secret_id_num_uses": uses, "role_id": f"id{uses}"})
    secret = do(vault, "POST", f"auth/approle/role/r{uses}/secret-id")["data"]["secret_id"]
    body = {"role_id": f"id{uses}", "secret_id": secret}
    answers = at_once(vault, lambda client: client.request("POST", "/v1/auth/approle/login", body))
    assert good(answers) == uses


def test_a_name_is_locked_by_wrong_passwords_that_come_at_once(vault: VaultProcess) -> None:
    do(vault, "POST", "sys/auth/people", {"type": "userpass"})
    do(vault, "POST", "sys/mounts/auth/people/tune", {"user_lockout_config": {"lockout_threshold": "3"}})
    do(vault, "POST", "auth/people/users/u", {"password": "right"})
    login = "/v1/auth/people/login/u"
    assert good(at_once(vault, lambda client: client.request("POST", login, {"password": "wrong"}))) == 0
    with vault.client("") as client:
        assert client.request("POST", login, {"password": "right"}).status == 403


def test_of_writes_that_expect_the_same_version_one_is_kept(vault: VaultProcess) -> None:
    body = {"data": {"a": "b"}, "options": {"cas": 0}}
    path = "/v1/secret/data/race"
    assert good(at_once(vault, lambda client: client.request("POST", path, body, token=vault.root))) == 1
    assert do(vault, "GET", "secret/data/race")["data"]["metadata"]["version"] == 1


def test_nobody_gets_a_child_of_a_token_that_is_revoked_meanwhile(vault: VaultProcess) -> None:
    policy = {"policy": 'path "auth/token/create" { capabilities = ["update"] }'}
    do(vault, "POST", "sys/policies/acl/maker", policy)
    for _ in range(3):
        token = do(vault, "POST", "auth/token/create", {"policies": ["maker"]})["auth"]["client_token"]
        first = threading.Lock()

        def ask(client: Client, token: str = token, first: Any = first) -> Answer:
            if first.acquire(blocking=False):
                return client.request("POST", "/v1/auth/token/revoke", {"token": token}, token=vault.root)
            return client.request("POST", "/v1/auth/token/create", {}, token=token)

        for answer in at_once(vault, ask):
            if answer.status == 200:
                child = answer.json()["auth"]["client_token"]
                with vault.client(child) as client:
                    assert client.request("GET", "/v1/auth/token/lookup-self").status == 403
