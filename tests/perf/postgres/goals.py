# SPDX-License-Identifier: EUPL-1.2
"""What is wanted beside OpenBao on the same PostgreSQL, and what a run missed of it."""

from typing import Final

from tests.perf.report import OURS, THEIRS, Servers

_AT_16: Final = {
    "kv read": 15.0,
    "kv write, one key": 5.0,
    "kv write, 200 keys": 8.0,
    "token create": 8.0,
    "token lookup": 6.0,
    "approle login": 5.0,
}
_AT_64: Final = 8.0
"""By operation, how many times OpenBao's rate: at 16 connections, and at 64."""


def wanted(row: str) -> float:
    """How many times OpenBao's rate a row of the table is to have; 0 where nothing was promised."""
    operation, _, connections = row.rpartition(" c=")
    if connections == "16":
        return _AT_16.get(operation, 0.0)
    return _AT_64 if connections == "64" else 0.0


def missed(figures: Servers) -> list[str]:
    """One line for each goal that was missed, with the ratio of the processor times beside."""
    short = []
    for row, theirs in figures[THEIRS]["rounds"].items():
        ours = figures[OURS]["rounds"][row]
        ratio, goal = ours["rate"] / theirs["rate"], wanted(row)
        if ratio < goal:
            by_processor = theirs["processor"] / ours["processor"]
            short.append(f"{row}: {ratio:.2f} x, wanted {goal:g} x; by processor time {by_processor:.2f} x")
    return short
