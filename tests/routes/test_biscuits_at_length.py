# SPDX-License-Identifier: EUPL-1.2
"""Biscuits in great numbers: no valid request is refused on a busy machine, and a million revocations cost little."""

import multiprocessing
import os
import sys
from collections.abc import Generator
from pathlib import Path
from time import thread_time

import pytest

from nhi.biscuit.records import store
from nhi.biscuit.records.model import MountRef, Revocation
from tests.routes.driver import Application
from tests.routes.issuer import DB, OTHER, READS, TO_DB, Issuer
from vault.storage.sqlite.storage import SqliteStorage
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
REQUESTS = 20_000
REVOCATIONS = 1_000_000
PAGE = 10_000
MOST = 250 * 1024 * 1024


@pytest.fixture
def issuer(tmp_path: Path) -> Generator[Issuer]:
    application = Application(SqliteStorage.open(tmp_path / "coffre.db"))
    made = Issuer(application)
    for path in (DB, OTHER):
        made.root(path, {"data": {"a": "1"}})
    yield made
    application.close()


def _spin() -> None:
    while True:
        sum(range(10_000))


def test_no_valid_request_is_refused_on_a_busy_machine(issuer: Issuer) -> None:
    token = issuer.issue()
    moody = issuer.narrow(token, READS, "check if time($t), $t > 2020-01-01T00:00:00Z;")
    busy = [multiprocessing.get_context("spawn").Process(target=_spin, daemon=True) for _ in range(4)]
    for one in busy:
        one.start()
    try:
        refused = 0
        for place in range(REQUESTS):
            held = moody if place % 10 else issuer.narrow(moody, f'check if resource($r), $r != "{place}";')
            refused += issuer.status(held, DB) != 200
    finally:
        for one in busy:
            one.kill()
            one.join()
    assert refused == 0


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _spent(issuer: Issuer, tokens: list[str]) -> float:
    """The least that a first request with one of these tokens takes of the processor, and of a later one."""
    found = []
    for token in tokens:
        began = thread_time()
        assert issuer.status(token, DB) == 200
        found.append(thread_time() - began)
    return min(found)


async def _revoke(application: Application) -> None:
    table = application.vault.mounts.router.root
    mount = next(mount for mount in table if mount.entry.path == "nhi/")
    owner = MountRef(ROOT_ID, mount.entry.uuid)
    now = application.clock.millis()
    for begin in range(0, REVOCATIONS, PAGE):
        async with application.vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
            view = core.mount(mount.entry.uuid)
            for number in range(begin, begin + PAGE):
                row = Revocation(at=now, until=Millis(now + 86_400_000), reason="")
                await store.revoke(view, owner, f"{number:032x}", row)
        await application.vault.ground.follower.follow()


def test_a_million_revocations_cost_little_memory_and_no_time(issuer: Issuer) -> None:
    token = issuer.issue()
    before_tokens = [issuer.narrow(token, READS, TO_DB) for _ in range(100)]
    after_tokens = [issuer.narrow(token, READS, TO_DB) for _ in range(100)]
    before = _spent(issuer, before_tokens)
    memory = _memory()
    issuer.application.run(_revoke(issuer.application))
    grown = _memory() - memory
    after = _spent(issuer, after_tokens)
    issuer.root("nhi/revoke", {"token": token})
    sys.stdout.write(
        f"memory {grown / 2**20:.0f} MiB; first request {before * 1e3:.2f} ms before, {after * 1e3:.2f} ms after"
    )
    assert issuer.status(after_tokens[0], DB) == 403
    assert grown < MOST
    assert after < 2 * before + 0.001
