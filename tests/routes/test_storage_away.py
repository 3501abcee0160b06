# SPDX-License-Identifier: EUPL-1.2
"""Storage that fails or does not answer: how the server is can be asked all the same, and it stays as open as it was."""

import asyncio
from collections.abc import Generator

import pytest

from tests.routes.driver import Application
from vault.engines.system.seal import last_answer, seal
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import ReadTx, StorageBusy, StorageFailure

PUBLIC = ("sys/health", "sys/seal-status", "sys/leader", "sys/init")
READ = ("GET", "/v1/secret/data/x")


class Away(MemoryStorage):
    """A storage that works until it is told otherwise: its reads fail then, or end never."""

    def __init__(self) -> None:
        super().__init__(on_statement=self._fail)
        self.fails = self.hangs = False
        self.how: type[StorageFailure] = StorageFailure

    def _fail(self, name: str) -> None:
        if self.fails:
            raise self.how("away")

    def reader(self) -> ReadTx:
        reader = super().reader()
        if self.hangs:
            reader.get = _never  # type: ignore[method-assign]  # of this reader alone
        return reader


async def _never(path: str) -> bytes | None:
    await asyncio.Event().wait()
    return None


@pytest.fixture
def away() -> Generator[tuple[Application, Away]]:
    storage = Away()
    with Application(storage) as application:
        yield application, storage


def test_whoever_balances_load_is_answered_within_a_second_and_sent_elsewhere_after_fifteen() -> None:
    """The tests below make both shorter."""
    assert (last_answer._PATIENCE, seal._TURNS_AWAY) == (1.0, 15.0)


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_health_and_seal_status_answer_what_was_so_last(
    away: tuple[Application, Away], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    application, storage = away
    monkeypatch.setattr(last_answer, "_PATIENCE", 0.05)
    usual = application.request("GET", "/v1/sys/health").json()
    status = application.request("GET", "/v1/sys/seal-status").json()
    assert "storage_unreachable" not in usual
    setattr(storage, how, True)
    for _ in range(3):
        health = application.request("GET", "/v1/sys/health")
        assert health.status == 200
        assert health.json() == usual | {
            "storage_unreachable": True,
            "server_time_utc": health.json()["server_time_utc"],
        }
        shown = application.request("GET", "/v1/sys/seal-status")
        assert (shown.status, shown.json()) == (200, status)
    monkeypatch.setattr(seal, "_TURNS_AWAY", 0.0)
    assert application.request("GET", "/v1/sys/health").status == 503
    if how == "fails":
        assert application.request(*READ, token="root").status == 500
    setattr(storage, how, False)
    health = application.request("GET", "/v1/sys/health")
    assert (health.status, "storage_unreachable" in health.json()) == (200, False)
    assert application.request(*READ, token="root").status == 200


def test_who_comes_while_too_many_wait_is_told_to_come_back(away: tuple[Application, Away]) -> None:
    application, storage = away
    storage.fails, storage.how = True, StorageBusy
    answer = application.request(*READ, token="root")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"errors": ["too much work is waiting; try again"]}
    storage.fails = False


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_who_shows_a_token_or_asks_wrongly_is_answered_as_others_are(
    away: tuple[Application, Away], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    application, storage = away
    monkeypatch.setattr(last_answer, "_PATIENCE", 0.05)
    uses = application.request("POST", "/v1/auth/token/create", {"num_uses": 1}, token="root")
    few = uses.json()["auth"]["client_token"]
    for path in PUBLIC:
        assert application.request("GET", f"/v1/{path}").status == 200
    setattr(storage, how, True)
    for token in ("root", "s.unknown", few, "b.AAAA"):
        for path in PUBLIC:
            assert application.request("GET", f"/v1/{path}", token=token).status == 200
    for wrong in ("standbyok=maybe", "sealedcode=x"):
        assert application.request("GET", f"/v1/sys/health?{wrong}", token="root").status == 400
    assert application.request("PUT", "/v1/sys/unseal", b"{").status == 400
    setattr(storage, how, False)
    assert application.request("GET", "/v1/auth/token/lookup-self", token=few).status == 200


def test_one_that_is_sealed_meanwhile_says_so(away: tuple[Application, Away]) -> None:
    application, storage = away
    assert application.request("GET", "/v1/sys/health").status == 200
    storage.fails = True
    application.vault.ground.barrier.seal()
    health = application.request("GET", "/v1/sys/health")
    assert (health.status, health.json()["sealed"]) == (503, True)
    storage.fails = False


def test_before_storage_has_ever_answered_nothing_is_known() -> None:
    async def fails() -> int:
        raise StorageFailure("away")

    async def story() -> None:
        answer = last_answer.LastAnswer(fails)
        assert answer.silent == 0
        with pytest.raises(StorageFailure, match="away"):
            await answer.get()
        assert answer.silent > 0

    asyncio.run(story())


def test_a_damaged_record_of_the_seal_is_named_and_is_no_defect_of_the_server(
    away: tuple[Application, Away],
) -> None:
    application, storage = away
    for path in ("core/seal/config", "core/seal/slots/shamir"):
        sound = storage.data.entries[path]
        storage.data.entries[path] = sound[:-1] + bytes([sound[-1] ^ 1])
        assert application.request("GET", "/v1/sys/health").status == 500
        storage.data.entries[path] = sound
        assert application.request("GET", "/v1/sys/health").status == 200
    log = application.log.getvalue()
    assert "met a defect" not in log
    assert log.count('storage, barrier or seal failed: reason="') == 2
