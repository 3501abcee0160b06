# SPDX-License-Identifier: EUPL-1.2
"""What a run says: a table for people, row by row, and which promises it broke."""

from collections.abc import Mapping
from typing import Any

from tests.perf import engines

RATE_RATIO = 5.0
OTHER_RATIOS = {"kv read, biscuit": 4.0, "kv read, new biscuit": 0.0, **engines.GOALS, engines.BESIDE: 0.0}
"""What is wanted of operations that OpenBao does by other means; 0 for what is shown and not promised."""
LONGEST_MS = {engines.BESIDE: 10.0}
"""What the 99th of a hundred requests may take at most, whatever OpenBao's does."""
BARE_SHARE = 0.40
START_SECONDS = 0.8
CLI_RATIO = 1.5
BEFORE_RATIO = 0.9
"""What is wanted of rates beside an earlier tree of ours: what is above it is the noise of rounds that alternate."""
OURS, THEIRS, BARE, BEFORE = "coffre", "openbao", "bare ASGI", "before"

Servers = Mapping[str, Mapping[str, Any]]
"""By server name: `answering_after`, `resident` and `rounds`, as `bench` writes them to JSON."""


def header(figures: Servers) -> str:
    """The head of the table, with a column `/before` when another tree of ours is measured."""
    ratios = f"{'ratio':>8}" + (f"{'/before':>9}" if BEFORE in figures else "")
    return f"{'operation':<28}{'server':<12}{'req/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'cpu us':>9}{ratios}"


def rows(operation: str, figures: Servers) -> str:
    """The lines of one operation, none if not measured: latencies in milliseconds, and the ratio to the rate of the first server, OpenBao's.

    The server's processor time for a request is in microseconds.
    """
    measured = [name for name, of_server in figures.items() if operation in of_server["rounds"]]
    return "".join(f"{_row(operation, name, figures)}\n" for name in measured)


def footer(figures: Servers, cli_seconds: Mapping[str, float]) -> str:
    """What belongs to no operation: start, memory, clients; memory only of a run that came so far."""
    lines = [""]
    for name, of_server in figures.items():
        resident = of_server["resident"]
        memory = f", resident after the run {resident:.1f} MiB" if resident else ""
        lines.append(f"{name:<12} answering after {of_server['answering_after']:.3f} s{memory}")
    lines += [f"{client:<12} kv get, whole process {s * 1000:.1f} ms" for client, s in cli_seconds.items()]
    return "\n".join(lines)


def verdicts(figures: Servers, cli_seconds: Mapping[str, float]) -> list[str]:
    """One line for each broken promise; empty when OpenBao ran alone or all held."""
    if OURS not in figures:
        return []
    ours, theirs = figures[OURS], figures[THEIRS]
    broken = []
    for operation, reference in theirs["rounds"].items():
        measured = ours["rounds"][operation]
        wanted = OTHER_RATIOS.get(operation.rpartition(" c=")[0], RATE_RATIO)
        if measured["rate"] < wanted * reference["rate"]:
            broken.append(f"{operation}: {measured['rate'] / reference['rate']:.2f} x, wanted {wanted} x")
        if wanted and measured["p99"] >= reference["p99"]:
            broken.append(f"{operation}: p99 is not lower than OpenBao's")
        longest = LONGEST_MS.get(operation.rpartition(" c=")[0])
        if longest is not None and measured["p99"] / 1000 >= longest:
            broken.append(f"{operation}: p99 is {measured['p99'] / 1000:.1f} ms, wanted {longest} ms")
        if (of_before := _of_before(operation, figures)) is not None and of_before < BEFORE_RATIO:
            broken.append(f"{operation}: {of_before:.2f} x of what it was before, wanted {BEFORE_RATIO} x")
    for operation, ceiling in figures[BARE]["rounds"].items():
        share = ours["rounds"][operation]["rate"] / ceiling["rate"]
        if share < BARE_SHARE:
            broken.append(f"{operation}: {share:.0%} of a bare ASGI application, wanted {BARE_SHARE:.0%}")
    if ours["answering_after"] >= START_SECONDS:
        broken.append(
            f"start to the first answer took {ours['answering_after']:.2f} s, wanted {START_SECONDS} s"
        )
    if ours["resident"] >= theirs["resident"]:
        broken.append("resident memory is not under OpenBao's")
    if cli_seconds["vaultctl"] > CLI_RATIO * cli_seconds["bao"]:
        ratio = cli_seconds["vaultctl"] / cli_seconds["bao"]
        broken.append(f"vaultctl kv get takes {ratio:.2f} x bao kv get, wanted {CLI_RATIO} x")
    return broken


def _row(operation: str, name: str, figures: Servers) -> str:
    measured = figures[name]["rounds"][operation]
    rate, reference = measured["rate"], next(iter(figures.values()))["rounds"][operation]["rate"]
    of_before = _of_before(operation, figures) if name == OURS else None
    return (
        f"{operation:<28}{name:<12}{rate:>10.0f}{measured['p50'] / 1000:>9.2f}"
        f"{measured['p99'] / 1000:>9.2f}{measured['processor']:>9.0f}{rate / reference:>8.2f}"
        + (f"{of_before:>9.2f}" if of_before is not None else "")
    )


def _of_before(operation: str, figures: Servers) -> float | None:
    """Our rate by that of another tree of ours, if both were measured."""
    before = figures.get(BEFORE, {"rounds": {}})["rounds"].get(operation)
    ours = figures.get(OURS, {"rounds": {}})["rounds"].get(operation)
    return ours["rate"] / before["rate"] if before and ours else None
