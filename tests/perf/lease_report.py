# SPDX-License-Identifier: EUPL-1.2
"""What a run with many leases says: a table for people, and which promises it broke."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.perf.load import Round

SERVING_SECONDS = 5.0
RESIDENT_MEBIBYTES = 50.0
SLOWER = 3.0


@dataclass(slots=True)
class Figures:
    """What was measured of one server that holds something. Seconds and MiB."""

    server: str
    held: str
    serving_after: float
    resident: float
    resident_after: float = 0.0
    idle: list[Round] = field(default_factory=list)
    revoking: dict[str, tuple[float, list[Round]]] = field(default_factory=dict)
    """By prefix: seconds until all was revoked, and the reads meanwhile."""


def p99(rounds: Sequence[Round]) -> float:
    """The median of the rounds' 99th percentiles, in milliseconds."""
    return statistics.median(each.p99 for each in rounds) / 1000


def worst(rounds: Sequence[Round]) -> float:
    """The highest of the rounds' 99th percentiles, in milliseconds."""
    return max(each.p99 for each in rounds) / 1000


def table(figures: Sequence[Figures]) -> str:
    """All figures, a server a paragraph."""
    lines = []
    for each in figures:
        rate = statistics.median(round_.rate for round_ in each.idle)
        lines += [
            f"{each.server} with {each.held}",
            f"  serving {each.serving_after:.2f} s after its start",
            f"  resident {each.resident:.1f} MiB, {each.resident_after:.1f} MiB at the end",
            f"  kv read, idle: p99 {p99(each.idle):.2f} ms (worst second {worst(each.idle):.2f}), {rate:.0f}/s",
        ]
        for prefix, (seconds, rounds) in each.revoking.items():
            rate = statistics.median(round_.rate for round_ in rounds)
            lines.append(
                f"  kv read, revoking {prefix} ({seconds:.1f} s): p99 {p99(rounds):.2f} ms"
                f" (worst second {worst(rounds):.2f}), {p99(rounds) / p99(each.idle):.2f} x idle, {rate:.0f}/s"
            )
    return "\n".join(lines)


def verdicts(figures: Sequence[Figures]) -> list[str]:
    """One line for each broken promise of ours; the first figures are those of the empty server."""
    empty, *held = [each for each in figures if each.server == "coffre"]
    broken = []
    for each in held:
        if each.serving_after >= SERVING_SECONDS:
            broken.append(
                f"{each.held}: serving after {each.serving_after:.2f} s, wanted {SERVING_SECONDS} s"
            )
        if each.resident - empty.resident >= RESIDENT_MEBIBYTES:
            broken.append(
                f"{each.held}: {each.resident - empty.resident:.1f} MiB over an empty server,"
                f" wanted {RESIDENT_MEBIBYTES}"
            )
        for prefix, (_, rounds) in each.revoking.items():
            ratio = p99(rounds) / p99(each.idle)
            if ratio >= SLOWER:
                broken.append(f"{each.held}: p99 is {ratio:.2f} x idle while {prefix} goes, wanted {SLOWER}")
    return broken
