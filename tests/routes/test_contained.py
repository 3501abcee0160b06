# SPDX-License-Identifier: EUPL-1.2
"""Writes that reach no further than their transaction: request and response are recorded together, before the commit."""

import hashlib
import json
import os

import pytest

from nhi.biscuit.login.proof import LoginEvidence, ProofChecker, WorkloadProof
from tests.routes.driver import TARGETS, Application
from tests.routes.issuer import Issuer
from vault.audit.device import DeviceFailure
from vault.framework.call import Call
from vault.storage.memory import _Transaction
from vault.storage.protocol import Conflict

TARGET = "/v1/secret/data/x"
_ONLY_LOOK = {
    "POST sys/wrapping/unwrap",
    "POST sys/wrapping/rewrap",
    "POST ssh/verify",
    "POST transit/keys/{name:word}/config",
    "POST transit/keys/{name:word}/soft-delete-restore",
    "POST transit/keys/{name:word}/trim",
    "DELETE transit/keys/{name:word}/soft-delete",
}
"""What they do before the transaction is a read, of what is answered only once the transaction has found it still good."""


def test_what_is_done_before_the_transaction_is_never_done_unrecorded() -> None:
    contained = [target for target in TARGETS if target.route.access.contained]
    assert len(contained) >= 10
    assert {str(target) for target in contained if target.route.access.before} == _ONLY_LOOK


@pytest.mark.in_memory("reads what is stored from within a request")
def test_both_records_are_one_write_and_stand_before_the_commit(application: Application) -> None:
    (device,) = application.vault.controls.audit._devices.values()
    write, taken, versions = device.write, list[bytes](), list[object]()

    def noting(line: bytes, now: float) -> None:
        taken.append(line)
        versions.append(application.storage.data.entries.copy())  # type: ignore[attr-defined]  # the memory's
        write(line, now)

    before = application.storage.data.entries.copy()  # type: ignore[attr-defined]  # the memory's
    device.write = noting  # type: ignore[method-assign]  # a device that is watched
    body = {"data": {"a": "new"}}
    assert application.request("POST", TARGET, body, token="root").status == 200
    (lines,) = taken
    request, response = (json.loads(line) for line in lines.splitlines())
    assert (request["type"], response["type"]) == ("request", "response")
    assert request["request"] == response["request"] and request["time"] < response["time"]
    assert versions == [before]


@pytest.mark.parametrize("body", [None, {"data": {"a": "new"}}])
@pytest.mark.asked_alone("has one process open its audit file anew")
def test_a_file_that_became_a_pipe_is_waited_for_from_its_first_record_on(body: object) -> None:
    with Application() as application:
        method = "GET" if body is None else "POST"
        for _ in range(3):
            assert application.request(method, TARGET, body, token="root").status == 200
        application.audit.rename(application.audit.with_suffix(".1"))
        os.mkfifo(application.audit)
        reader = os.open(application.audit, os.O_RDONLY | os.O_NONBLOCK)
        application.run(application.vault.controls.audit.reopen())
        assert application.request(method, TARGET, body, token="root").status == 200
        assert len(os.read(reader, 1 << 16).splitlines()) == 2
        os.close(reader)


def test_sl_53_what_no_device_takes_is_undone_and_a_refusal_is_recorded_with_its_request(
    application: Application,
) -> None:
    (device,) = application.vault.controls.audit._devices.values()
    write = device.write
    before = application.request("GET", TARGET, token="root").json()["data"]

    def refuse(line: bytes, now: float) -> None:
        raise DeviceFailure("the disk went away")

    device.write = refuse  # type: ignore[method-assign]  # a device whose target is gone
    body = {"data": {"a": "new"}}
    assert application.request("POST", TARGET, body, token="root").status == 500
    device.write = write  # type: ignore[method-assign]  # mended
    assert application.request("GET", TARGET, token="root").json()["data"] == before
    application.records()
    refused = {"options": {"cas": 99}, "data": {}}
    assert application.request("POST", TARGET, refused, token="root").status == 400
    records = application.records()
    assert [record["type"] for record in records] == ["request", "response"]
    assert "error" in records[1] and "error" not in records[0]


@pytest.mark.in_memory("has a commit of the memory lose")
@pytest.mark.parametrize("lost", [True, False])
def test_sl_53_what_lost_against_another_is_tried_again_only_where_a_device_has_its_records(
    application: Application, monkeypatch: pytest.MonkeyPatch, *, lost: bool
) -> None:
    audit = application.vault.controls.audit
    (device,) = audit._devices.values()
    before = application.request("GET", TARGET, token="root").json()["data"]
    application.records()

    def refuse(line: bytes, now: float) -> None:
        raise DeviceFailure("the disk went away")

    def lose(_: object) -> None:
        undone.undo()
        with monkeypatch.context() as away:
            if lost:
                away.setattr(device, "write", refuse)
            assert audit._batch is not None
            audit._batch.flush()  # as whatever is recorded next does
        raise Conflict("another transaction changed what this one had read")

    with monkeypatch.context() as undone:
        undone.setattr(_Transaction, "commit", lose)
        status = application.request("POST", TARGET, {"data": {"a": "newest"}}, token="root").status
    kinds = [record["type"] for record in application.records()]
    if lost:
        assert (status, kinds) == (500, ["response"])
        assert application.request("GET", TARGET, token="root").json()["data"] == before
    else:
        assert (status, kinds) == (200, ["request", "response", "response"])


@pytest.mark.parametrize("right", [True, False])
def test_what_asks_others_first_is_recorded_before_they_are_asked(
    application: Application, monkeypatch: pytest.MonkeyPatch, right: bool
) -> None:
    issuer = Issuer(application)
    kept = f"sha256:{hashlib.sha256(b'right').hexdigest()}"
    issuer.root("nhi/registrations/r1/secret", {"secret_hash": kept})
    seen, prove = list[list[str]](), ProofChecker.prove

    async def watched(self: ProofChecker, call: Call, name: str, shown: LoginEvidence) -> WorkloadProof:
        seen.append([record["type"] for record in application.records()])
        return await prove(self, call, name, shown)

    monkeypatch.setattr(ProofChecker, "prove", watched)
    application.records()
    body = {"client_id": "r1", "client_secret": "right" if right else "wrong"}
    answer = application.request("POST", "/v1/nhi/login", body)
    assert answer.status == (200 if right else 403)
    assert seen == [["request"]]
    (response,) = application.records()
    assert (response["type"], "error" in response) == ("response", not right)


@pytest.mark.in_memory("reads what is stored from within a request")
def test_a_refusal_that_keeps_what_it_wrote_is_recorded_before_that_is_kept(application: Application) -> None:
    (device,) = application.vault.controls.audit._devices.values()
    write, kept = device.write, list[bool]()
    entries = application.storage.data.entries  # type: ignore[attr-defined]  # the memory's
    wrong = {"role_id": "x", "secret_id": "wrong"}
    before = entries.copy()

    def noting(line: bytes, now: float) -> None:
        kept.append(entries != before)
        write(line, now)

    def refuse(line: bytes, now: float) -> None:
        raise DeviceFailure("the disk went away")

    device.write = refuse  # type: ignore[method-assign]  # a device whose target is gone
    assert application.request("POST", "/v1/auth/approle/login", wrong).status == 500
    assert entries == before
    device.write = noting  # type: ignore[method-assign]  # a device that is watched
    application.records()
    assert application.request("POST", "/v1/auth/approle/login", wrong).status == 400
    request, response = application.records()
    assert (request["type"], "error" in request) == ("request", False)
    assert (response["type"], "error" in response) == ("response", True)
    assert kept == [False, True]
