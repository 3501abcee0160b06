# SPDX-License-Identifier: EUPL-1.2
"""What takes long is done neither on the event loop nor within a transaction: others are answered meanwhile."""

import asyncio
import gc
import json
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from nhi.identity.mfa import method_routes
from tests.routes.driver import Answer, Application
from vault.engines.totp import engine as totp
from vault.framework.concurrency.offload import WAITING, Pool
from vault.framework.errors import Busy, Unavailable
from vault.framework.limits import AT_ONCE, JsonLimits
from vault.repeated.audit_batch import AuditBatch
from vault.values.times import Seconds
from vault.wrap.wrapper import Wrapper

pytestmark = pytest.mark.asked_alone("holds up the threads of one process")
_KEY = {"generate": True, "issuer": "x", "account_name": "x"}


def _method(application: Application) -> dict[str, str]:
    """Make a TOTP method and an entity; return their ids."""
    made = [
        application.request("POST", f"/v1/identity/{path}", body, token="root").json()["data"]
        for path, body in (("mfa/method/totp", {"issuer": "x"}), ("entity", {"name": "y"}))
    ]
    return {"method_id": made[0]["method_id"], "entity_id": made[1]["id"]}


@pytest.mark.parametrize("where", ["totp", "mfa"])
def test_sl_74_a_picture_is_drawn_while_others_write(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, written = threading.Event(), threading.Event()

    def draw(*text: object, refusal: str) -> str:
        del text, refusal
        begun.set()
        assert threading.current_thread() is not threading.main_thread()
        assert written.wait(60)
        return "drawn"

    monkeypatch.setattr(totp if where == "totp" else method_routes, "barcode", draw)
    with Application() as application:
        path, body = (
            ("totp/keys/y", _KEY)
            if where == "totp"
            else ("identity/mfa/method/totp/admin-generate", _method(application))
        )

        async def both() -> Answer:
            drawn: asyncio.Task[Answer] = asyncio.create_task(
                application.ask("POST", f"/v1/{path}", body, token="root")
            )
            await asyncio.to_thread(begun.wait, 60)
            other = await application.ask("POST", "/v1/plain/y", {"a": 1}, token="root")
            assert other.status == 204
            written.set()
            return await drawn

        answer: Any = application.run(both())
        assert answer.status == 200, answer.body
        assert answer.json()["data"]["barcode"] == "drawn"
        assert answer.json()["data"]["url"].startswith("otpauth://totp/x:")


_FORM = {"content-type": "application/x-www-form-urlencoded"}
_SIZE = 12 << 20


def _share(
    application: Application, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
) -> float:
    """Which part of the processor time of a request the event loop spent.

    A collection of garbage goes through all that earlier tests have left in this process, on whichever thread it falls.
    """
    gc.disable()
    try:
        looped, whole = time.thread_time(), time.process_time()
        answer = application.request(method, f"/v1/{path}", body, token="root", headers=headers)
        looped, whole = time.thread_time() - looped, time.process_time() - whole
    finally:
        gc.enable()
    assert answer.status < 300, answer.body[:200]
    return looped / whole


def test_sl_74_a_long_form_is_decoded_off_the_loop() -> None:
    with Application() as application:
        body = b"a=" + b"%41" * (_SIZE // 3)
        assert _share(application, "POST", "cubbyhole/y", body, _FORM) < 0.5
        read = application.request("GET", "/v1/cubbyhole/y", token="root")
        assert read.json()["data"]["a"] == "A" * (_SIZE // 3)


@pytest.mark.parametrize("path", ["secret/data/y", "plain/y", "cubbyhole/y"])
def test_sl_74_a_long_answer_is_encoded_off_the_loop(path: str) -> None:
    """Each time, the first and those about which all is known but the answer; and each is recorded."""
    with Application() as application:
        secret = {"a": "<" * _SIZE}
        body = {"data": secret} if path.startswith("secret") else secret
        assert application.request("POST", f"/v1/{path}", body, token="root").status < 300
        application.records()
        for _ in range(3):
            assert _share(application, "GET", path, None, {}) < 0.5
        assert [record["type"] for record in application.records()] == ["request", "response"] * 3
        read = application.request("GET", f"/v1/{path}", token="root")
        assert b"<" not in read.body
        data = read.json()["data"]
        assert (data["data"] if path.startswith("secret") else data) == secret


@pytest.mark.parametrize("from_body", [False, True])
def test_sl_74_what_waits_is_encoded_off_the_loop(from_body: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is wrapped, be it an answer or a body, and as it is handed out within another answer."""
    threads: list[threading.Thread] = []
    made = {name: getattr(Wrapper, name) for name in ("_made", "_text", "renewed", "present")}

    def seen(name: str) -> Any:
        def make(*given: Any) -> Any:
            threads.append(threading.current_thread())
            return made[name](*given)

        return make

    for name in made:
        monkeypatch.setattr(Wrapper, name, seen(name))
    secret = {"a": "<" * (AT_ONCE + 1)}
    with Application() as application:
        application.request("POST", "/v1/secret/data/y", {"data": secret}, token="root")
        method, path = ("POST", "sys/wrapping/wrap") if from_body else ("GET", "secret/data/y")
        body = secret if from_body else None
        headers = {"x-vault-wrap-ttl": "60"}
        wrapped = application.request(method, f"/v1/{path}", body, token="root", headers=headers)
        assert len(threads) == 1
        token = wrapped.json()["wrap_info"]["token"]
        token = _post(application, "rewrap", token).json()["wrap_info"]["token"]
        _post(application, "lookup", token)
        text = application.request("GET", "/v1/cubbyhole/response", token=token).json()["data"]["response"]
    assert "<" not in text
    data = json.loads(text)["data"]
    assert (data if from_body else data["data"]) == secret
    assert len(threads) == 3 and threading.main_thread() not in threads


def _post(application: Application, verb: str, token: str) -> Answer:
    """Use `sys/wrapping` with a wrapping token in the body."""
    answer = application.request("POST", f"/v1/sys/wrapping/{verb}", {"token": token}, token="root")
    assert answer.status == 200, answer.body[:200]
    return answer


@pytest.mark.parametrize("sign", ["a", "<"])
def test_sl_74_a_long_response_is_looked_at_moved_and_fetched_off_the_loop(sign: str) -> None:
    """No step takes so long that `tests.stalls` fails this; and it comes out as it would have without waiting."""
    with Application() as application:
        application.request("POST", "/v1/secret/data/y", {"data": {"a": sign * (16 << 20)}}, token="root")
        read = application.request("GET", "/v1/secret/data/y", token="root").body
        for own in (False, True):
            headers = {"x-vault-wrap-ttl": "60"}
            wrapped = application.request("GET", "/v1/secret/data/y", token="root", headers=headers)
            token = wrapped.json()["wrap_info"]["token"]
            assert _post(application, "lookup", token).json()["data"]["creation_path"] == "secret/data/y"
            token = _post(application, "rewrap", token).json()["wrap_info"]["token"]
            application.records()
            answer = (
                application.request("POST", "/v1/sys/wrapping/unwrap", token=token)
                if own
                else _post(application, "unwrap", token)
            )
            assert answer.body[:15] == read[:15]
            assert answer.body[51:] == read[51:-1]
            assert answer.headers["content-type"] == "application/json"
            recorded = application.records()[-1]["response"]["data"]
            hashed = application.vault.controls.audit.hash("file", answer.body.decode())
            assert recorded["http_raw_body"] == hashed
            assert application.request("POST", "/v1/sys/wrapping/unwrap", token=token).status == 400


def test_a_long_answer_is_refused_where_it_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    with Application() as application:
        application.request("POST", "/v1/plain/y", {"a": "b" * (1 << 20)}, token="root")
        for _ in range(2):
            assert application.request("GET", "/v1/plain/y", token="root").status == 200
        with monkeypatch.context() as patched:
            patched.setattr(AuditBatch, "flush", lambda _: Unavailable())
            assert application.request("GET", "/v1/plain/y", token="root").status == 500
        assert application.request("GET", "/v1/plain/y", token="root").status == 200


@asynccontextmanager
async def _full(pool: Pool) -> AsyncGenerator[None]:
    """Let a pool have no thread that is free, and no place where to wait for one: others wait there, one job each."""
    free = threading.Event()
    work = partial(free.wait, 60)
    busy = [asyncio.create_task(pool.run((str(number), ""), work)) for number in range(WAITING + 1)]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        free.set()
        assert all(await asyncio.gather(*busy))


async def _until(there: Callable[[], bool]) -> None:
    for _ in range(60_000):
        if there():
            return
        await asyncio.sleep(0.001)
    raise AssertionError


def _waiting(application: Application) -> str:
    """Wrap a long secret; return the token."""
    application.request("POST", "/v1/secret/data/y", {"data": {"a": "b" * (1 << 20)}}, token="root")
    headers = {"x-vault-wrap-ttl": "60"}
    wrapped = application.request("GET", "/v1/secret/data/y", token="root", headers=headers)
    token: str = wrapped.json()["wrap_info"]["token"]
    return token


_POOLS: Mapping[str, Callable[[Application], Pool]] = {
    "fetch": lambda application: application.vault.credentials.wrapper._fetching,
    "record": lambda application: application.vault.controls.audit._long._pool,
    "answer": lambda application: application.vault._requests.pool,
}


@pytest.mark.parametrize("place", ["fetch", "record", "answer"])
@pytest.mark.parametrize(("method", "path"), [("POST", "sys/wrapping/unwrap"), ("GET", "cubbyhole/response")])
@pytest.mark.in_memory("counts turns of the event loop")
def test_an_answer_that_cannot_be_asked_for_again_waits_for_its_turn(
    place: str, method: str, path: str
) -> None:
    """The use of the token is taken, so that a refusal would lose what it was for."""
    with Application() as application:
        token = _waiting(application)

        async def both() -> Answer:
            async with _full(_POOLS[place](application)):
                asked = asyncio.create_task(application.ask(method, f"/v1/{path}", token=token))
                for _ in range(50):
                    await asyncio.sleep(0.001)
                assert asked.done() is (place == "answer" and method == "POST")  # that is encoded already
            return await asked

        answer: Answer = application.run(both())
        assert answer.status == 200, answer.body[:200]


def test_an_answer_that_can_be_asked_for_again_is_refused_where_too_many_wait_and_recorded_so() -> None:
    with Application() as application:
        token = _waiting(application)

        async def crowded(place: str, *asked: Any) -> Answer:
            async with _full(_POOLS[place](application)):
                return await application.ask(*asked, token="root")

        asked: tuple[Any, ...]
        for place, asked in (
            ("record", ("GET", "/v1/secret/data/y")),
            ("answer", ("GET", "/v1/secret/data/y")),
            ("fetch", ("POST", "/v1/sys/wrapping/unwrap", {"token": token})),
            ("record", ("POST", "/v1/sys/wrapping/unwrap", {"token": token})),
        ):
            application.records()
            answer = application.run(crowded(place, *asked))
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            record = application.records()[-1]
            assert record["type"] == "response" and "error" in record
            assert application.request("GET", "/v1/secret/data/y", token="root").status == 200
        assert _post(application, "unwrap", token).status == 200


def test_an_answer_that_is_being_encoded_is_a_request_that_runs_and_may_take_too_long() -> None:
    with Application() as application:
        token = _waiting(application)
        requests = application.vault._requests

        async def late() -> Answer:
            async with _full(requests.pool):
                asked = asyncio.create_task(application.ask("GET", "/v1/cubbyhole/response", token=token))
                await _until(lambda: requests.pool.waiting > WAITING)
                assert [call.path for call in requests.running()] == ["cubbyhole/response"]
                for lane in requests._lanes:
                    lane.longest = -1  # type: ignore[misc]  # the end of what a request may take
                assert requests.end_overdue() == 1
                return await asked

        answer = application.run(late())
        assert answer.status == 500 and b"context deadline exceeded" in answer.body
        assert "context deadline exceeded" in application.records()[-1]["error"]
        assert not list(requests.running()) and not requests.pool.waiting


def test_sl_74_who_is_unknown_does_not_wait_with_a_long_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bodies wait to be decoded: one that is refused by its size is no work, and is not kept."""

    async def crowded(*work: object) -> None:
        del work
        raise Busy(retry_after=Seconds(1))

    body = {"password": "a" * JsonLimits().unknown}
    with Application() as application:
        application.request("POST", "/v1/sys/auth/userpass", {"type": "userpass"}, token="root")
        monkeypatch.setattr(Pool, "run", crowded)
        assert application.request("POST", "/v1/auth/userpass/login/x", body, token="made-up").status == 413


@pytest.mark.parametrize("name", ["issuer", "account_name"])
def test_sl_70_no_url_is_spelled_of_what_is_too_long_for_one(name: str) -> None:
    with Application() as application:
        for length, status in ((4096, 200), (4097, 400)):
            body = {**_KEY, name: "a" * length, "qr_size": 0}
            answer = application.request("POST", "/v1/totp/keys/y", body, token="root")
            assert answer.status == status
        assert answer.json()["errors"] == [f"field '{name}' may have at most 4096 characters"]
