# SPDX-License-Identifier: EUPL-1.2
"""Receipts that answers gave, and the records of the log that they name."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from tests.fuzz.process import Answer, Client, VaultProcess
from vault.log.format.segment import list_segments
from vault.log.format.trust import Trust
from vault.log.format.verify import verify_folder

_RECEIPT = re.compile(r'log="([0-9a-f-]+)", seq=(\d+)')
Receipt = tuple[str, int]
"""A log, and the number of a record in it."""


def receipt_of(answer: Answer) -> Receipt:
    """Return which record an answer says that it is kept in."""
    found = _RECEIPT.fullmatch(answer.headers["log-receipt"])
    assert found is not None
    return found[1], int(found[2])


class Keeper(Client):
    """A client of a server that puts the receipt of each answer into `receipts`."""

    def __init__(self, server: VaultProcess, receipts: list[Receipt]) -> None:
        super().__init__(server.port, server.root)
        self._receipts = receipts

    def heard(self, answer: Answer) -> None:
        if "log-receipt" in answer.headers:
            self._receipts.append(receipt_of(answer))


def outcomes(*folders: Path) -> dict[Receipt, str]:
    """Verify logs in all folders, from their beginning on, and return how each request of theirs came out."""
    found: dict[Receipt, str] = {}
    for folder in folders:
        report = verify_folder(folder, Trust())
        assert report.faults == (), report.faults
        for log in report.logs:
            assert log.first == 0
            for segment in list_segments(folder / log.log):
                for record in map(json.loads, segment.lines()):
                    if record["phase"] == "outcome":
                        found[log.log, record["seq"]] = record["outcome"]
    return found


def check_recorded(receipts: Iterable[Receipt], *folders: Path) -> None:
    """Make sure that logs are whole, and hold what every one of many answers said that they hold."""
    named = set(receipts)
    assert named
    lost = named - outcomes(*folders).keys()
    assert not lost, (len(lost), sorted(lost)[:5])
