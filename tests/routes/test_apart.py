# SPDX-License-Identifier: EUPL-1.2
"""What takes long is done neither on the event loop nor within a transaction: others are answered meanwhile."""

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from nhi.identity.mfa import method_routes
from tests.routes.driver import Answer, Application
from vault.engines.totp import engine as totp
from vault.framework.batch import Batch
from vault.framework.errors import Busy, Unavailable
from vault.framework.limits import AT_ONCE, JsonLimits
from vault.framework.offload import Pool
from vault.wire import v1

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
    """Which part of the processor time of a request the event loop spent."""
    looped, whole = time.thread_time(), time.process_time()
    answer = application.request(method, f"/v1/{path}", body, token="root", headers=headers)
    looped, whole = time.thread_time() - looped, time.process_time() - whole
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
    escape = v1.escape_html

    def escaped(body: bytes) -> bytes:
        if len(body) > AT_ONCE:
            threads.append(threading.current_thread())
        return escape(body)

    secret = {"a": "<" * (AT_ONCE + 1)}
    with Application() as application:
        application.request("POST", "/v1/secret/data/y", {"data": secret}, token="root")
        monkeypatch.setattr(v1, "escape_html", escaped)
        method, path = ("POST", "sys/wrapping/wrap") if from_body else ("GET", "secret/data/y")
        wrapped = application.request(
            method,
            f"/v1/{path}",
            secret if from_body else None,
            token="root",
            headers={"x-vault-wrap-ttl": "60"},
        )
        count = len(threads)
        token = wrapped.json()["wrap_info"]["token"]
        text = application.request("GET", "/v1/cubbyhole/response", token=token).json()["data"]["response"]
    data = json.loads(text)["data"]
    assert (data if from_body else data["data"]) == secret
    assert 0 < count < len(threads)
    assert threading.main_thread() not in threads


def test_a_long_answer_is_refused_where_it_is_not_recorded_or_too_many_are_encoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def crowded(*work: object) -> None:
        del work
        raise Busy(retry_after=1)

    with Application() as application:
        application.request("POST", "/v1/plain/y", {"a": "b" * (1 << 20)}, token="root")
        for _ in range(2):
            assert application.request("GET", "/v1/plain/y", token="root").status == 200
        with monkeypatch.context() as patched:
            patched.setattr(Batch, "flush", lambda _: Unavailable())
            assert application.request("GET", "/v1/plain/y", token="root").status == 500
        with monkeypatch.context() as patched:
            patched.setattr(Pool, "run", crowded)
            answer = application.request("GET", "/v1/plain/y", token="root")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert application.request("GET", "/v1/plain/y", token="root").status == 200


def test_sl_74_who_is_unknown_does_not_wait_with_a_long_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bodies wait to be decoded: one that is refused by its size is no work, and is not kept."""

    async def crowded(*work: object) -> None:
        del work
        raise Busy(retry_after=1)

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
