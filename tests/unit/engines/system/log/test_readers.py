# SPDX-License-Identifier: EUPL-1.2
"""What a client is told where the log reader does not answer, or refuses."""

import time
from pathlib import Path
from typing import cast

import pytest

from vault.engines.system.log.readers import LogReading
from vault.framework.errors import Busy, Malformed, NotFound, Unavailable, VaultError
from vault.log.reader.client import LogReader, LogReaderAway
from vault.log.reader.messages import Refused
from vault.namespace.book import Namespaces
from vault.wire.v1 import STATUS


@pytest.mark.parametrize(
    ("said", "told", "status"),
    [
        (LogReaderAway(), Busy, 503),
        (Refused("rebuilding", "the index is made anew; ask again"), Busy, 503),
        (Refused("busy", "too many"), Busy, 503),
        (Refused("purged", "gone"), NotFound, 404),
        (Refused("malformed", "wrong"), Malformed, 400),
        (Refused("failed", "it failed"), Unavailable, 500),
    ],
)
def test_what_passes_asks_to_come_again(
    tmp_path: Path, said: Exception, told: type[VaultError], status: int
) -> None:
    reading = LogReading(
        LogReader(tmp_path, time.monotonic, defect=list[Exception]().append),
        cast("Namespaces", None),
        root_reads=False,
    )
    with pytest.raises(told, match=str(said)) as refusal, reading.asking():
        raise said
    assert STATUS[type(refusal.value)] == status
