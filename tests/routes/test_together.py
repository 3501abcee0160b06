# SPDX-License-Identifier: EUPL-1.2
"""Two workers of one server on one storage, linked in one process: open, sealed and rekeyed together."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.routes.crew import Linked
from tests.routes.driver import _LISTENER, Application
from vault.framework.clock import Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.compose.app import Vault
from vault.server.config.settings import AuditDevice, Config, StorageSettings
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import StorageFailure

ONE = 'seal "shamir" { shares = 1 threshold = 1 }'


class Crew:
    """The first worker, and others that are made beside it."""

    def __init__(self) -> None:
        self._linked: list[Linked] = []
        self.first = Application(MemoryStorage())
        self.key = self.first.key
        self.first.run(self.first.vault.stop())
        self.first.vault = self._vault()
        self.first.run(self.first.vault.start())
        self._made = [self.first]
        self.unseal(self.first)

    def _vault(self) -> Vault:
        clock = self.first.clock
        device = AuditDevice(kind="file", path="file", options={"file_path": str(self.first.audit)})
        config = Config(listeners=(_LISTENER,), storage=StorageSettings(kind="inmem"), audit=(device,))
        return Vault(
            config,
            self.first.storage,
            clock=clock,
            entropy=Entropy(),
            metrics=Metrics(clock),
            log=Log(stream=self.first.log, clock=clock),
            colleagues=Linked(self._linked),
        )

    def another(self) -> Application:
        """Start one more worker."""
        made = copy.copy(self.first)
        made.vault = self._vault()
        made.run(made.vault.start())
        self._made.append(made)
        return made

    def unseal(self, worker: Application) -> None:
        assert do(worker, "PUT", "sys/unseal", {"key": self.key})["sealed"] is False

    def close(self) -> None:
        for each in self._made[1:]:
            each.run(each.vault.stop())
        self.first.close()


@pytest.fixture
def crew() -> Iterator[Crew]:
    made = Crew()
    try:
        yield made
    finally:
        made.close()


def do(worker: Application, method: str, path: str, body: object = None) -> Any:
    answer = worker.request(method, f"/v1/{path}", body, token="root")
    assert answer.status < 300, (path, answer.body)
    return answer.json() if answer.body else None


def status(worker: Application, path: str = "secret/data/x", namespace: str = "") -> int:
    return worker.request("GET", f"/v1/{path}", token="root", headers={"x-vault-namespace": namespace}).status


def test_a_worker_that_is_started_beside_an_open_one_is_open(crew: Crew) -> None:
    assert status(crew.another()) == 200


def test_a_worker_that_is_started_in_a_sealed_vault_stays_sealed_until_all_are_opened(crew: Crew) -> None:
    do(crew.first, "PUT", "sys/seal")
    other = crew.another()
    assert status(other) == status(crew.first) == 503
    assert other.vault.key_slots.lifecycle.stays_sealed()
    crew.unseal(crew.first)
    assert status(other) == status(crew.first) == 200


@pytest.mark.parametrize("through", [0, 1])
def test_a_seal_holds_in_all_workers_and_so_does_an_unseal(crew: Crew, through: int) -> None:
    workers = crew.first, crew.another()
    do(workers[through], "PUT", "sys/seal")
    assert [status(each) for each in workers] == [503, 503]
    crew.unseal(workers[1 - through])
    assert [status(each) for each in workers] == [200, 200]


def test_a_root_key_that_one_worker_replaced_by_new_shares_is_had_by_the_others_at_once(crew: Crew) -> None:
    other = crew.another()
    begun = do(crew.first, "POST", "sys/rotate/root/init", {"secret_shares": 1, "secret_threshold": 1})
    update = {"key": crew.key, "nonce": begun["data"]["nonce"]}
    (crew.key,) = do(crew.first, "POST", "sys/rotate/root/update", update)["data"]["keys"]
    assert status(other) == 200
    do(other, "PUT", "sys/seal")
    crew.unseal(other)
    assert status(crew.first) == 200


def test_namespaces_are_open_and_sealed_in_all_workers_and_those_that_come_later(crew: Crew) -> None:
    other = crew.another()
    (share,) = do(crew.first, "POST", "sys/namespaces/own", {"seal": ONE})["data"]["key_shares"]
    do(crew.first, "PUT", "sys/namespaces/own/unseal", {"key": share})
    later = crew.another()
    workers = crew.first, other, later
    assert [status(each, "sys/mounts", "own") for each in workers] == [200] * 3
    do(later, "PUT", "sys/namespaces/own/seal")
    assert [status(each, "sys/mounts", "own") for each in workers] == [503] * 3
    do(other, "PUT", "sys/namespaces/own/unseal", {"key": share})
    assert [status(each, "sys/mounts", "own") for each in workers] == [200] * 3


def test_new_shares_of_a_namespace_close_it_in_no_worker(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    other = crew.another()
    (share,) = do(crew.first, "POST", "sys/namespaces/own", {"seal": ONE})["data"]["key_shares"]
    do(crew.first, "PUT", "sys/namespaces/own/unseal", {"key": share})
    assert status(other, "sys/mounts", "own") == 200
    within = {"x-vault-namespace": "own"}
    shares = {"secret_shares": 1, "secret_threshold": 1}
    begun = crew.first.request("POST", "/v1/sys/rotate/root/init", shares, token="root", headers=within)
    update = {"key": share, "nonce": begun.json()["data"]["nonce"]}

    async def untold(self: Linked, state: bytes) -> None:
        del self, state

    monkeypatch.setattr(Linked, "share", untold)  # the other asks, before it is told
    made = crew.first.request("POST", "/v1/sys/rotate/root/update", update, token="root", headers=within)
    assert made.json()["data"]["complete"] is True, made.body
    assert [status(each, "sys/mounts", "own") for each in (crew.first, other)] == [200, 200]


def test_keys_that_storage_kept_a_worker_from_using_are_asked_for_again(crew: Crew) -> None:
    other = crew.another()
    do(crew.first, "PUT", "sys/seal")

    async def away(*_: object) -> Any:
        raise StorageFailure("storage x: it does not answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(other.vault.key_slots.lifecycle, "take_over", away)
        crew.unseal(crew.first)
    assert (status(crew.first), status(other)) == (200, 503)
    assert "cannot be used yet" in crew.first.log.getvalue()
    other.run(other.vault._together.look())
    assert status(other) == 200


def test_metrics_of_one_worker_are_those_of_all(crew: Crew) -> None:
    crew.another()
    text = crew.first.request("GET", "/v1/sys/metrics?format=prometheus", token="root").body.decode()
    unsealed = [line for line in text.splitlines() if line.startswith("vault_core_unsealed{")]
    assert [line.partition('worker="')[2] for line in unsealed] == ['1"} 1.0', '2"} 1.0']


def test_a_log_level_is_that_of_all_workers_and_of_those_that_come_later(crew: Crew) -> None:
    other = crew.another()
    do(other, "POST", "sys/loggers/audit", {"level": "debug"})
    for worker in (crew.first, crew.another()):
        assert do(worker, "GET", "sys/loggers/audit")["data"] == {"audit": "debug"}
        assert do(worker, "GET", "sys/loggers/core")["data"] == {"core": "info"}
    do(crew.first, "DELETE", "sys/loggers")
    assert do(other, "GET", "sys/loggers/audit")["data"] == {"audit": "info"}


def test_no_state_of_a_worker_shows_a_key(crew: Crew) -> None:
    held = crew.first.vault.key_slots.lifecycle.held()
    assert repr(held) == "HeldKeys(…)"
    assert held.root_key == crew.first.vault.ground.barrier.root_key.reveal()
