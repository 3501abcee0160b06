# SPDX-License-Identifier: EUPL-1.2
"""A request that is sent again with its `Idempotency-Key` has the effect of one, and gets one answer (ESA-KV-021)."""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from tests.routes.driver import Answer, Application, Target, targets
from tests.routes.test_again import Client
from tests.routes.test_written_again import WRITER, put
from tests.shared import Shared
from vault.barrier.stored import MARK
from vault.barrier.view import core_prefix
from vault.framework.request.operation import Operation
from vault.idempotency.kept_answers import _KIND as KEPT
from vault.idempotency.kept_answers import KEPT_KIND, expiry
from vault.storage.protocol import Timer
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

DATA = "/v1/secret/data/once"
KEY = '"8e03978e-40d5-43dd-bc93-6e8c88d7f8a2"'
OTHER = ["Idempotency-Key was used for another request"]
NO_KEY = ["Idempotency-Key is no text of 1 to 255 characters in double quotes"]
CANARY = "canary-19c4"
DAY = 86_400
WRITES = 'path "secret/*" { capabilities = ["create", "update"] }'


@pytest.fixture
def both(shared: Shared) -> Generator[tuple[Application, Application]]:
    """Two servers with one storage, neither of which is told what the other does."""
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        yield one, other


def _ask(
    server: Application,
    method: str,
    path: str,
    body: object = None,
    key: str = KEY,
    *,
    token: str = "root",
    **lines: str,
) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in lines.items()}
    if key:
        headers["idempotency-key"] = key
    return server.request(method, path, body, token=token, headers=headers)


def _write(server: Application, value: object = 1, key: str = KEY, **more: Any) -> Answer:
    return _ask(server, "POST", DATA, {"data": {"a": value}}, key, **more)


def _stored(server: Application, path: str = DATA) -> Any:
    found = server.request("GET", path, token="root").json()["data"]
    return found["data"], found["metadata"]["version"]


def _said(answer: Answer) -> Mapping[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def test_a_write_that_comes_again_gets_the_first_answer_and_writes_nothing(application: Application) -> None:
    first = _write(application)
    assert (first.status, "idempotency-replayed" in first.headers) == (200, False)
    _ask(application, "POST", DATA, {"data": {"a": 2}}, "")
    for method in ("POST", "PUT", "POST"):
        again = _ask(application, method, DATA, {"data": {"a": 1}})
        assert (again.status, again.headers["idempotency-replayed"]) == (200, "?1")
        assert _said(again) == _said(first)
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == "no-store"
    assert _stored(application) == ({"a": 2}, 2)
    assert _write(application, key='"another"').headers.keys() == first.headers.keys()
    assert _stored(application) == ({"a": 1}, 3)


def test_warnings_and_custom_metadata_are_those_of_the_first_answer(application: Application) -> None:
    _ask(application, "POST", "/v1/secret/metadata/once", {"custom_metadata": {"a": "1"}}, "")
    body = {"data": {"a": 1}, "unknown": 1}
    first = _ask(application, "POST", DATA, body)
    assert first.json()["warnings"] and first.json()["data"]["custom_metadata"] == {"a": "1"}
    _ask(application, "POST", "/v1/secret/metadata/once", {"custom_metadata": {"a": "2"}}, "")
    assert _said(_ask(application, "POST", DATA, body)) == _said(first)


@pytest.mark.parametrize(
    "other",
    [
        ("POST", {"data": {"a": 2}}, {}),
        ("POST", {"data": {"a": 1}, "options": {}}, {}),
        ("PATCH", {"data": {"a": 1}}, {}),
        ("DELETE", None, {}),
        ("POST", {"data": {"a": 1}}, {"if_match": "*"}),
        ("POST", {"data": {"a": 1}}, {"if_none_match": "*"}),
    ],
)
def test_another_request_with_the_key_is_refused_and_changes_nothing(
    application: Application, other: tuple[str, object, Mapping[str, str]]
) -> None:
    method, body, lines = other
    _write(application)
    answer = _ask(application, method, DATA, body, **lines)
    assert (answer.status, answer.json()["errors"]) == (422, OTHER)
    assert "idempotency-replayed" not in answer.headers and "etag" not in answer.headers
    problem = _ask(application, method, DATA, body, **lines, accept="application/problem+json")
    assert problem.json()["type"] == "urn:coffre:error:other-replay"
    assert _stored(application) == ({"a": 1}, 1)
    assert _write(application).headers["idempotency-replayed"] == "?1"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "secret/data/once", {"data": {"a": 2}}),
        ("DELETE", "secret/data/once", None),
        ("POST", "secret/delete/once", {"versions": [1]}),
        ("POST", "secret/undelete/once", {"versions": [1]}),
        ("POST", "secret/metadata/once", {"max_versions": 3}),
        ("PATCH", "secret/metadata/once", {"max_versions": 3}),
        ("DELETE", "secret/metadata/once", None),
        ("POST", "plain/once", {"a": 2}),
        ("DELETE", "plain/once", None),
    ],
)
def test_every_write_of_a_secret_is_done_once(
    application: Application, method: str, path: str, body: object
) -> None:
    _write(application, key="")
    first = _ask(application, method, f"/v1/{path}", body)
    assert first.status in {200, 204}, first.body
    _write(application, 3, key="")  # what a second effect would destroy
    _ask(application, "POST", "/v1/plain/once", {"a": 3}, "")
    again = _ask(application, method, f"/v1/{path}", body)
    assert (again.status, again.headers.pop("idempotency-replayed")) == (first.status, "?1")
    assert {*again.headers} == {*first.headers}
    assert not first.body or _said(again) == _said(first)
    assert _stored(application)[0] == {"a": 3}
    assert application.request("GET", "/v1/plain/once", token="root").json()["data"] == {"a": 3}


def test_a_key_is_of_a_caller_a_path_and_a_namespace(application: Application) -> None:
    writer = 'path "+/*" { capabilities = ["create", "update", "read"] }\npath "secret/*" { capabilities = ["update", "create"] }'
    application.request("POST", "/v1/sys/namespaces/team", token="root")
    application.request("POST", "/v1/team/sys/mounts/secret", {"type": "kv-v2"}, token="root")
    tokens = [application.token(writer) for _ in range(2)]
    assert "idempotency-replayed" not in _write(application).headers
    for token in tokens:
        assert "idempotency-replayed" not in _write(application, token=token).headers
    for path in ("/v1/secret/data/elsewhere", "/v1/team/secret/data/once"):
        assert "idempotency-replayed" not in _ask(application, "POST", path, {"data": {"a": 9}}).headers
    assert _stored(application) == ({"a": 1}, 3)
    for token in ("root", *tokens):
        assert _write(application, token=token).headers["idempotency-replayed"] == "?1"
    within = application.request(
        "POST",
        DATA,
        {"data": {"a": 9}},
        token="root",
        headers={"idempotency-key": KEY, "x-vault-namespace": "team"},
    )
    assert within.headers["idempotency-replayed"] == "?1"
    assert _stored(application) == ({"a": 1}, 3)


def test_who_logs_in_again_is_the_same_caller(application: Application) -> None:
    policy = 'path "secret/*" { capabilities = ["create", "update"] }'
    _ask(application, "PUT", "/v1/sys/policies/acl/writer", {"policy": policy}, "")
    _ask(application, "POST", "/v1/sys/auth/users", {"type": "userpass"}, "")
    user = {"password": CANARY, "token_policies": "writer"}
    _ask(application, "POST", "/v1/auth/users/users/ann", user, "")

    def log_in() -> str:
        answer = application.request("POST", "/v1/auth/users/login/ann", {"password": CANARY})
        return str(answer.json()["auth"]["client_token"])

    first = _write(application, token=log_in())
    again = _write(application, token=log_in())
    assert again.headers["idempotency-replayed"] == "?1" and _said(again) == _said(first)
    inline = {
        "x_vault_inline_auth_path": "auth/users/login/ann",
        "x_vault_inline_auth_parameter_password": "eyJrZXkiOiJwYXNzd29yZCIsInZhbHVlIjoiY2FuYXJ5LTE5YzQifQ",
    }
    answer = _write(application, token="", **inline)
    assert (answer.status, answer.headers.get("idempotency-replayed")) == (200, "?1"), answer.body


@pytest.mark.parametrize(
    "key", ["bare", '""', '"a', '"a" ', '"a";b', '"é"', f'"{"k" * 256}"', '"a", "b"', '"a\\b"', "?1"]
)
def test_what_is_no_key_is_refused_and_not_repeated(application: Application, key: str) -> None:
    answer = _write(application, key=key)
    if key == '"a" ':  # blanks around a value are not of it
        assert answer.status == 200
        return
    assert (answer.status, answer.json()["errors"]) == (400, NO_KEY)
    assert application.request("GET", DATA, token="root").status == 404


def test_two_keys_are_none(application: Application) -> None:
    headers = {"idempotency-key": ['"a"', '"b"']}
    answer = application.request("POST", DATA, {"data": {}}, token="root", headers=headers)
    assert (answer.status, answer.json()["errors"]) == (400, NO_KEY)


def test_what_is_refused_may_be_tried_again_with_its_key(application: Application) -> None:
    _write(application, key="")
    body = {"data": {"a": 2}, "options": {"cas": 2}}
    for _ in range(2):
        answer = _ask(application, "POST", DATA, body)
        assert (answer.status, "idempotency-replayed" in answer.headers) == (400, False)
    assert _ask(application, "PATCH", "/v1/secret/data/nothing", {"data": {"a": 1}}).status == 404
    _write(application, key="")
    assert _ask(application, "POST", DATA, body).status == 200
    assert _ask(application, "POST", DATA, body).headers["idempotency-replayed"] == "?1"
    _ask(application, "POST", "/v1/secret/data/nothing", {"data": {}}, "")
    patched = _ask(application, "PATCH", "/v1/secret/data/nothing", {"data": {"a": 1}})
    assert (patched.status, "idempotency-replayed" in patched.headers) == (200, False)


def test_who_may_only_create_gets_the_answer_again(application: Application) -> None:
    token = application.token('path "secret/data/*" { capabilities = ["create"] }')
    assert _write(application, token=token).status == 200
    again = _write(application, token=token)
    assert (again.status, again.headers["idempotency-replayed"]) == (200, "?1")
    assert _write(application, 2, key='"new"', token=token).status == 403
    assert _write(application, 2, token=token).status == 422
    assert _write(application, key="none", token=token).status == 403
    assert _stored(application) == ({"a": 1}, 1)


def test_who_may_no_longer_gets_no_answer_again(application: Application) -> None:
    policy = 'path "secret/data/*" { capabilities = ["create", "update"] }'
    _ask(application, "PUT", "/v1/sys/policies/acl/writer", {"policy": policy}, "")
    made = application.request("POST", "/v1/auth/token/create", {"policies": ["writer"]}, token="root")
    token = made.json()["auth"]["client_token"]
    assert _write(application, token=token).status == 200
    assert _write(application, token=token).status == 200
    _ask(application, "DELETE", "/v1/sys/policies/acl/writer", None, "")
    for key in (KEY, '"x"', "none"):
        assert _write(application, key=key, token=token).status == 403


def test_a_wrapped_answer_comes_again_under_a_token_of_its_own(application: Application) -> None:
    first, again = (_write(application, x_vault_wrap_ttl="60") for _ in range(2))
    assert again.headers["idempotency-replayed"] == "?1"
    tokens = [answer.json()["wrap_info"]["token"] for answer in (first, again)]
    assert tokens[0] != tokens[1]
    waiting = [application.request("POST", "/v1/sys/wrapping/unwrap", token=token) for token in tokens]
    assert _said(waiting[0]) == _said(waiting[1])
    assert waiting[0].json()["data"]["version"] == 1
    assert _stored(application)[1] == 1


def test_an_answer_is_kept_for_a_day() -> None:
    with Application() as server:
        clock = server.clock
        _write(server)
        clock.sleep(DAY - 1)
        server.work()
        assert _write(server).headers["idempotency-replayed"] == "?1"
        clock.sleep(2)
        later = _write(server)  # no sweep has come by
        assert (later.json()["data"]["version"], "idempotency-replayed" in later.headers) == (2, False)
        server.work()
        assert _write(server).headers["idempotency-replayed"] == "?1"
        assert len(server.run(_paths(server))) == 1
        clock.sleep(DAY + 1)
        server.work()
        assert len(server.run(_paths(server))) == 0


def test_an_answer_that_was_kept_anew_is_not_removed_by_the_timer_of_before(application: Application) -> None:
    _write(application)

    async def fire() -> list[Timer]:
        (path,) = await _paths(application)
        key = f"root/{path.removeprefix('idempotency/')}"
        async with application.vault.ground.barrier.write(ROOT_ID, core_prefix(ROOT_ID)) as core:
            await core.cancel(KEPT_KIND, key)
            await expiry(application.clock)(core, key)
        timers = await application.storage.claim(Millis(1 << 60), 1000, hold=Millis(1))
        return [timer for timer in timers if timer.kind == KEPT_KIND]

    (timer,) = application.run(fire())
    assert abs(timer.due - application.clock.millis() - DAY * 1000) < 60_000
    assert _write(application).headers["idempotency-replayed"] == "?1"


def test_neither_key_nor_request_is_stored(application: Application) -> None:
    _write(application, CANARY)

    async def stored() -> str:
        core = application.vault.ground.barrier.reader(ROOT_ID, core_prefix(ROOT_ID))
        (path,) = await _paths(application)
        timers = await application.storage.claim(Millis(1 << 60), 1000, hold=Millis(1))
        (timer,) = [timer for timer in timers if timer.kind == KEPT_KIND]
        return str([path, await core.get(path), timer])

    found: str = application.run(stored())
    assert CANARY not in found and KEY.strip('"') not in found and "once" not in found


def test_a_caller_has_so_many_keys_and_no_more(application: Application) -> None:
    _write(application)
    (path,) = application.run(_paths(application))
    folder = path.rpartition("/")[0]

    async def fill() -> None:
        async with application.vault.ground.barrier.write(ROOT_ID, core_prefix(ROOT_ID)) as core:
            for number in range(63):
                await core.put(f"{folder}/{number}", MARK)

    application.run(fill())
    mounts = application.request("GET", "/v1/sys/mounts", token="root").json()["data"]
    mount = mounts["secret/"]["uuid"]
    full = next(key for key in map(str, range(10_000)) if _slice(mount, key) == folder[-2:])
    answer = _write(application, 2, key=f'"{full}"')
    assert (answer.status, answer.json()["errors"]) == (
        429, ["too many keys of Idempotency-Key are remembered for this caller"]
    )  # fmt: skip
    assert "retry-after" in answer.headers
    assert _stored(application) == ({"a": 1}, 1)
    assert _write(application).headers["idempotency-replayed"] == "?1"
    empty = next(key for key in map(str, range(10_000)) if _slice(mount, key) != folder[-2:])
    assert _write(application, 2, key=f'"{empty}"').status == 200
    assert _write(application, 2, key=f'"{full}"', token=application.token(WRITES)).status == 200


def _slice(mount: str, key: str) -> str:
    of = [mount, "data/{path:any}", "secret/data/once", key.encode()]
    return sha256(msgspec.json.encode(of)).hexdigest()[:2]


async def _paths(server: Application) -> Sequence[str]:
    core = server.vault.ground.barrier.reader(ROOT_ID, core_prefix(ROOT_ID))
    return [path for path in await core.scan("") if path.startswith("idempotency/")]


def test_of_those_that_come_at_once_one_writes(shared: Shared) -> None:
    with Application(shared.open()) as server:
        for turn in range(4):

            async def several(turn: int = turn) -> list[Answer]:
                body, headers = {"data": {"a": turn}}, {"idempotency-key": f'"{turn}"'}
                asked = (server.ask("POST", DATA, body, token="root", headers=headers) for _ in range(5))
                return [*await asyncio.gather(*asked)]

            answers: list[Answer] = server.run(several())
            assert {answer.status for answer in answers} == {200}
            assert {answer.json()["data"]["version"] for answer in answers} == {turn + 1}
            assert ["idempotency-replayed" in answer.headers for answer in answers].count(False) == 1
            assert _stored(server) == ({"a": turn}, turn + 1)


def test_what_one_server_has_answered_the_other_does_not_do(both: tuple[Application, Application]) -> None:
    for turn in range(1, 4):
        first, second = both[:: -1 if turn % 2 else 1]
        assert "idempotency-replayed" not in _write(first, turn, key=f'"{turn}"').headers
        assert _write(second, turn, key=f'"{turn}"').headers["idempotency-replayed"] == "?1"
        assert _write(second, -1, key=f'"{turn}"').status == 422
        assert _stored(second) == ({"a": turn}, turn)


def test_the_log_and_the_audit_record_tell_a_repetition(application: Application) -> None:
    _write(application, CANARY)
    application.records()
    _write(application, CANARY)
    request, response = application.records()
    assert (request["type"], response["response"]["idempotency"]) == ("request", {"replayed": True})
    told = [record for record in application.logged() if record["event_name"] == "esa.kv.write"]
    assert [record.get("fields", {}).get("idempotency") for record in told] == [None, {"replayed": True}]
    assert [record["outcome"] for record in told] == ["success"] * 2
    said = str(application.logged()) + str(application.records())
    assert CANARY not in said and KEY.strip('"') not in said


def test_other_routes_know_nothing_of_keys(application: Application) -> None:
    for key in (KEY, "no key"):
        for _ in range(2):
            answer = _ask(application, "POST", "/v1/auth/token/create", {}, key)
            assert (answer.status, "idempotency-replayed" in answer.headers) == (200, False)
        assert _ask(application, "GET", "/v1/secret/data/x", None, key).status == 200


def test_the_head_of_a_write_with_a_key_is_not_kept(application: Application) -> None:
    client, token = Client(application), application.token(WRITER)
    line = b'idempotency-key: "a"'
    assert [status for status, _ in client.send(*(put(token, "a", line) for _ in "abc"))] == [200] * 3
    assert not client.passes(put(token, "a", line))


def test_no_route_that_takes_keys_brings_a_credential(application: Application) -> None:
    taking = [target for target in targets() if target.route.access.repeatable]
    assert {target.mount for target in taking} == {"plain/", "secret/"}
    assert {target.route.operation for target in taking} == {
        Operation.UPDATE,
        Operation.PATCH,
        Operation.DELETE,
    }
    assert all(target.route.access.contained and isinstance(target, Target) for target in taking)


def _mount(server: Application, version: str, **lines: str) -> None:
    body = {"type": "kv", "options": {"version": version}}
    assert _ask(server, "POST", "/v1/sys/mounts/anew", body, "", **lines).status == 204


@pytest.mark.parametrize("versions", [("2", "2"), ("2", "1"), ("1", "2"), ("1", "1")])
def test_another_mount_at_the_same_path_never_had_the_key(
    application: Application, versions: tuple[str, str]
) -> None:
    path, body = "/v1/anew/data/s", {"data": {"a": 1}}
    for version in versions:
        _mount(application, version)
        first = _ask(application, "POST", path, body)
        assert (first.status, "idempotency-replayed" in first.headers) == (
            200 if version == "2" else 204,
            False,
        )
        assert application.request("GET", path, token="root").status == 200
        again = _ask(application, "POST", path, body)
        assert (again.status, again.headers["idempotency-replayed"]) == (first.status, "?1")
        assert _ask(application, "DELETE", "/v1/sys/mounts/anew", None, "").status == 204


def test_a_server_that_learns_of_the_mount_by_the_request_knows_it_again(
    both: tuple[Application, Application],
) -> None:
    """The path leads nowhere at first, where keys say nothing."""
    one, other = both
    path, body = "/v1/anew/data/s", {"data": {"a": 1}}
    _mount(one, "2")
    assert _ask(other, "POST", path, body).status == 200
    for server in (other, one):
        again = _ask(server, "POST", path, body)
        assert (again.status, again.headers.get("idempotency-replayed")) == (200, "?1")


def test_a_mount_that_was_upgraded_never_had_the_key(application: Application) -> None:
    path, body = "/v1/anew/data/s", {"data": {"a": 1}}
    _mount(application, "1")
    assert _ask(application, "POST", path, body).status == 204
    tuned = _ask(application, "POST", "/v1/sys/mounts/anew/tune", {"options": {"version": "2"}}, "")
    assert tuned.status < 300
    written = _ask(application, "POST", path, body)
    assert (written.status, "idempotency-replayed" in written.headers) == (200, False)
    assert application.request("GET", path, token="root").json()["data"]["data"] == {"a": 1}


def test_another_namespace_of_the_same_name_never_had_the_key(application: Application) -> None:
    path, body = "/v1/anew/data/s", {"data": {"a": 1}}
    for _ in range(2):
        assert _ask(application, "POST", "/v1/sys/namespaces/tenant", {}, "").status == 200
        _mount(application, "2", x_vault_namespace="tenant")
        written = _ask(application, "POST", path, body, x_vault_namespace="tenant")
        assert (written.status, "idempotency-replayed" in written.headers) == (200, False)
        assert _ask(application, "GET", path, None, "", x_vault_namespace="tenant").status == 200
        again = _ask(application, "POST", path, body, x_vault_namespace="tenant")
        assert again.headers["idempotency-replayed"] == "?1"
        assert _ask(application, "DELETE", "/v1/sys/namespaces/tenant", None, "").status < 300
        application.work()
        assert _ask(application, "GET", "/v1/sys/namespaces/tenant", None, "").status == 404


async def _alter(server: Application) -> None:
    """Make the one kept answer one that no route gives."""
    (path,) = await _paths(server)
    async with server.vault.ground.barrier.write(ROOT_ID, core_prefix(ROOT_ID)) as core:
        stored = await core.get(path)
        assert stored is not None
        other = msgspec.structs.replace(KEPT.decode(stored), data=b'{"version":"none"}')
        await core.put(path, KEPT.encode(other))


def test_what_a_route_can_no_longer_answer_is_no_kept_answer(application: Application) -> None:
    """As after a release whose answers are others: whoever may only create does not overwrite by it either."""
    token = application.token('path "secret/data/*" { capabilities = ["create"] }')
    assert _write(application, token=token).status == 200
    application.run(_alter(application))
    assert _write(application, token=token).status == 403
    assert _stored(application) == ({"a": 1}, 1)


def test_a_write_whose_kept_answer_cannot_be_read_is_carried_out(application: Application) -> None:
    _write(application)
    application.run(_alter(application))
    answer = _write(application)
    assert (answer.status, "idempotency-replayed" in answer.headers) == (200, False)
    assert _stored(application) == ({"a": 1}, 2)
    assert _write(application).headers["idempotency-replayed"] == "?1"
