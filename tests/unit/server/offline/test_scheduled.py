# SPDX-License-Identifier: EUPL-1.2
"""How the process behaves that makes a backup for a server."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from vault.server.config.settings import StorageSettings
from vault.server.config.snapshots.settings import SnapshotSettings
from vault.server.offline.scheduled import make
from vault.server.snapshots.messages import Task
from vault.values.times import Millis

_TAKES = """
import resource, sys
from vault.server.offline.scheduled import behave
hard = int(sys.argv[1])
if hard:
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
behave()
try:
    bytearray(3 << 29)
except MemoryError:
    print(resource.getrlimit(resource.RLIMIT_AS)[0])
"""


def test_a_failure_names_the_key_of_the_configuration_that_a_file_was_given_by(tmp_path: Path) -> None:
    schedule = SnapshotSettings(
        kind="directory", name="nightly", path=str(tmp_path), recipients_file=str(tmp_path / "none")
    )
    storage = StorageSettings(kind="sqlite", path=str(tmp_path / "x.db"))
    outcome = make(Task(snapshot=schedule, storage=storage, begun=Millis(0)))
    assert outcome.failure == f"recipients_file: {tmp_path}/none: No such file or directory"


@pytest.mark.parametrize(("hard", "limit"), [(0, 1 << 30), (1 << 29, 1 << 29)])
def test_who_answers_without_end_does_not_have_the_memory_of_the_machine(hard: int, limit: int) -> None:
    """As a bucket's server whose lists never end."""
    assert resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", _TAKES, str(hard)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"{limit}\n"
