# SPDX-License-Identifier: EUPL-1.2
"""What no audit device takes has not happened: neither the request that cannot be recorded nor its answer (SL-53)."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.routes.driver import TARGETS, Application, Target
from vault.audit.device import DeviceFailure
from vault.barrier.failure import BarrierFailure
from vault.barrier.formats import FORMATS_PATH
from vault.barrier.keyring import KEYRING_PATH, Keyring
from vault.framework.request.operation import Operation
from vault.log.writer import LogFailure

pytestmark = pytest.mark.asked_alone("takes the audit device of one process away")
_READS = {Operation.READ, Operation.LIST, Operation.SCAN}
_CHANGING = [target for target in TARGETS if target.route.operation not in _READS]
_ONE = {"secret_shares": 1, "secret_threshold": 1}
_MOST_FIELDS = {
    "type": "kv",
    "policy": 'path "a" { capabilities = ["read"] }',
    "data": {"a": "b"},
    "password": "x",
    "name": "x",
    "rate": 10,
    "path": "x",
    "versions": [1],
    "options": {},
    "token": "root",
    "from": "plain",
    "to": "other",
    "owner": "somebody",
    **_ONE,
}
"""What makes many routes do something."""


class Deaf:
    """An audit device that takes no record of one kind."""

    def __init__(self, device: Any, kind: str) -> None:
        self._device = device
        self._kind = kind

    def write(self, line: bytes, now: float) -> None:
        """Refuse such a record."""
        if any(json.loads(one)["type"] == self._kind for one in line.splitlines()):
            raise DeviceFailure("full")
        self._device.write(line, now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with Application() as application:
        yield application


def kept(application: Application) -> tuple[object, ...]:
    """Everything that storage holds, and whether the vault is open; but for what a node notes by itself."""
    timers = {(timer.kind, timer.key): timer for timer in application.timers()}
    stored = application.stored()
    stored.pop(FORMATS_PATH, None)  # once it knows that no older one lives
    barrier = application.vault.ground.barrier
    terms: object = None
    if not barrier.sealed:
        with contextlib.suppress(
            BarrierFailure
        ):  # another one has replaced the root key: it is compared as it is
            keyring = Keyring.unwrap(barrier.root_key, stored[KEYRING_PATH])
            terms = keyring.rotation, [(term.number, term.key.reveal()) for term in keyring._terms.values()]
            del stored[KEYRING_PATH]  # it has how often each key was used, too, now and then
    return stored, terms, timers, barrier.sealed


def unheard(application: Application, kind: str, method: str, path: str, body: object) -> int:
    """Ask while no device takes records of `kind`; return the status, and see that nothing has changed."""
    device = application.vault.controls.audit._open["file"]
    heard = device.device
    before = kept(application)
    device.device = Deaf(heard, kind)
    try:
        status = application.request(method, path, body, token="root").status
    finally:
        device.device = heard
    assert kept(application) == before, (kind, method, path)
    return status


@pytest.mark.parametrize("target", _CHANGING, ids=str)
def test_sl_53_what_cannot_be_recorded_has_not_happened(application: Application, target: Target) -> None:
    bodies: list[object] = [{}, _MOST_FIELDS] if target.bodied else [None]
    for body in bodies:
        for kind in ("request", "response"):
            status = unheard(application, kind, target.method, target.path(), body)
            assert status >= 400 or target.route.access.unaudited, (kind, status)


@pytest.mark.parametrize("target", _CHANGING, ids=str)
def test_sl_53_what_the_log_does_not_take_has_not_happened(
    application: Application, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    """Although the audit device took it: the log is no device among others."""
    common = application.vault.controls.audit.common
    assert common is not None
    writer = common.writer

    def refuse(line: bytes, now: float) -> None:
        del line, now
        writer.chain.take_back()
        raise LogFailure("the disk is full")

    bodies: list[object] = [{}, _MOST_FIELDS] if target.bodied else [None]
    for body in bodies:
        before = kept(application)
        with monkeypatch.context() as patched:
            patched.setattr(writer, "write", refuse)
            status = application.request(target.method, target.path(), body, token="root").status
        assert status >= 400 or target.route.access.unaudited
        assert kept(application) == before
    assert application.request("GET", "/v1/secret/config", token="root").status == 200


def test_sl_53_while_no_device_takes_records_health_and_metrics_say_so() -> None:
    with Application() as application:

        def seen() -> tuple[object, float, int]:
            health = application.request("GET", "/v1/sys/health").json()
            metrics = application.request("GET", "/v1/sys/metrics?format=prometheus", token="root")
            shown = {line.rpartition(b" ")[0]: line.rpartition(b" ")[2] for line in metrics.body.splitlines()}
            secret = application.request("GET", "/v1/secret/config", token="root").status
            return health.get("audit_blocked"), float(shown[b"coffre_audit_blocked"]), secret

        assert seen() == (None, 0, 200)
        device = application.vault.controls.audit._open["file"]
        heard = device.device
        device.device = Deaf(heard, "response")
        assert seen()[2] == 500  # what no device took is seen by the next look
        assert seen() == (True, 1, 500)
        assert application.request("GET", "/v1/sys/health").json()["audit_failing"] == 1
        nobody = application.request("GET", "/v1/sys/metrics", token=application.key)
        assert nobody.status == 500  # a refusal is recorded, or it is this one
        device.device = heard
        assert seen()[2] == 200
        assert seen() == (None, 0, 200)


def test_sl_53_metrics_that_nobody_records_make_no_token() -> None:
    """Only to be looked at they are answered then: wrapping them would leave a token that no record tells of."""
    with Application() as application:
        device = application.vault.controls.audit._open["file"]
        before, heard = kept(application), device.device
        for kind in ("request", "response"):
            device.device = Deaf(heard, kind)
            for headers in (
                {"x-vault-wrap-ttl": "60"},
                {"x-vault-wrap-ttl": "60", "x-vault-wrap-format": "jwt"},
            ):
                answer = application.request("GET", "/v1/sys/metrics", token="root", headers=headers)
                assert (answer.status, kept(application)) == (500, before), (kind, headers)
            assert application.request("GET", "/v1/sys/metrics", token="root").status == 200


def test_sl_53_shares_and_root_tokens_that_nobody_was_shown_do_not_exist() -> None:
    with Application() as application:  # of its own: another may have an attempt under way
        wishes = {
            "rotate/root/init": ("rotate/root/update", _ONE),
            "generate-root-token/attempt": ("generate-root-token/update", {}),
        }
        for begin, (update, wish) in wishes.items():
            for kind in ("request", "response"):
                begun = application.request("POST", f"/v1/sys/{begin}", wish, token="root").json()["data"]
                share = {"key": application.key, "nonce": begun["nonce"]}
                assert unheard(application, kind, "POST", f"/v1/sys/{update}", share) == 500
                assert application.request("DELETE", f"/v1/sys/{begin}", token="root").status == 204
        assert application.request("PUT", "/v1/sys/seal", token="root").status == 204
        application.reopen()
        assert application.request("GET", "/v1/sys/seal-status").json()["sealed"] is False
