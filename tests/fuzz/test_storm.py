# SPDX-License-Identifier: EUPL-1.2
"""Random and malformed requests against the real server: no 500, no traceback, and it lives on (SL-75)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.process import TRACEBACK, VaultProcess, initialised
from tests.fuzz.storm import Storm

LARGEST = 300
"""Resident MiB that the server may have after a storm; it starts with about 70."""


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[VaultProcess]:
    with initialised(tmp_path) as vault:
        yield vault


def check(vault: VaultProcess, storm: Storm) -> None:
    """Check that nothing broke: not an answer, not the log, not the process, not the audit file."""
    account = storm.account
    assert account.defects == []
    assert account.lost == []
    assert account.costly == []
    log = vault.log.read_bytes()
    assert not TRACEBACK.search(log) and b"[ERROR]" not in log, log[-3000:]
    assert vault.alive
    with vault.client() as client:
        assert client.request("GET", "/v1/auth/token/lookup-self").status == 200
        assert client.request("GET", "/v1/sys/health").status == 200
    with vault.audit.open("rb") as file:
        assert all(json.loads(line)["type"] in {"request", "response"} for line in file)
    assert vault.resident_mebibytes() < LARGEST


def rage(vault: VaultProcess, requests: int, connections: int) -> Storm:
    storm = Storm(vault, seed=requests)
    try:
        for _ in range(10):
            storm.requests(requests // 10)
            storm.connections(connections // 10)
    finally:
        storm.close()
    return storm


def test_sl_74_sl_75_three_thousand_random_requests_find_no_defect(vault: VaultProcess) -> None:
    storm = rage(vault, 2500, 500)
    check(vault, storm)
    assert {200, 204, 400, 403, 404, 405} <= set(storm.account.statuses)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_random_requests_find_no_defect(vault: VaultProcess) -> None:
    storm = rage(vault, 85_000, 15_000)
    print(  # noqa: T201 -- the figure is the result
        f"{storm.account.sent} requests, statuses {dict(sorted(storm.account.statuses.items()))}, "
        f"{storm.account.connections} connections of bytes, {vault.resident_mebibytes():.0f} MiB"
    )
    check(vault, storm)
