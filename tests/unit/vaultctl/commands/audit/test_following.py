# SPDX-License-Identifier: EUPL-1.2
"""Of each process that writes, the last log may still grow."""

from vaultctl.commands.audit.following import newest


def test_the_last_log_of_each_writer_may_grow() -> None:
    logs = ["aa-0-9", "aa-0-10", "aa-1-3", "bb-0-0", "nonsense"]
    assert newest(logs) == ["aa-0-10", "aa-1-3", "bb-0-0", "nonsense"]
