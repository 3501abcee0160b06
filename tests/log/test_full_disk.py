# SPDX-License-Identifier: EUPL-1.2
"""A full disk under the log: every request is refused and nothing changes; then all goes on, and no number is missing."""

import json
from pathlib import Path

import pytest

from tests.fuzz.process import VaultProcess
from vault.log.format.trust import Trust
from vault.log.format.verify import verify_folder

pytestmark = pytest.mark.loopback


def _size(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.rglob("*.jsonl"))


@pytest.mark.parametrize("room", [0, 100, 2000])
def test_a_full_disk_under_the_log_refuses_everything_and_loses_nothing(tmp_path: Path, room: int) -> None:
    folder = tmp_path / "log"
    vault = VaultProcess(tmp_path, audit=Path("discard"), more=f'log {{ path = "{folder}" }}\n')
    try:
        vault.start()
        vault.initialise()
        with vault.client() as client:
            client.request("POST", "/v1/secret/data/a", {"data": {"n": 0}})
            while _size(folder) < 1_500_000:
                assert client.request("GET", "/v1/secret/data/a").status == 200
            vault.limit_files(_size(folder) + room)
            answers = [client.request("GET", "/v1/secret/data/a") for _ in range(5)]
            answers += [client.request("POST", "/v1/secret/data/a", {"data": {"n": 1}}) for _ in range(5)]
            refused = [answer for answer in answers if answer.status == 500]
            assert len(refused) >= 8
            assert [answer.body for answer in refused] == [b'{"errors":["internal error"]}\n'] * len(refused)
            vault.limit_files(None)
            assert client.request("GET", "/v1/secret/data/a").json()["data"]["data"] == {"n": 0}
            last = client.request("POST", "/v1/secret/data/a", {"data": {"n": 2}})
            assert last.status == 200
    finally:
        vault.stop()
    assert "the log cannot be written: File too large" in vault.log.read_text()
    report = verify_folder(folder, Trust())
    assert report.faults == ()
    lines = [line for path in sorted(folder.rglob("*.jsonl")) for line in path.read_bytes().splitlines()]
    records = [json.loads(line) for line in lines]
    assert [record["seq"] for record in records] == list(range(len(lines)))
    for answer in refused:
        if (
            "log-receipt" in answer.headers
        ):  # the refusal is shorter than what was refused, and there was room for it
            record = records[int(answer.headers["log-receipt"].partition("seq=")[2])]
            assert (record["outcome"], record["status_code"]) == ("failed", 500)
