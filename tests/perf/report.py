# SPDX-License-Identifier: EUPL-1.2
"""What a run says: a table for people, and which promises it broke."""

from collections.abc import Mapping
from typing import Any

RATE_RATIO = 5.0
OTHER_RATIOS = {"kv read, biscuit": 4.0, "kv read, new biscuit": 0.0}
"""What is wanted of operations that OpenBao does by other means; 0 for what is shown and not promised."""
BARE_SHARE = 0.40
START_SECONDS = 0.8
CLI_RATIO = 1.5
_OURS, _THEIRS, _BARE = "coffre", "openbao", "bare ASGI"

Servers = Mapping[str, Mapping[str, Any]]
"""By server name: `answering_after`, `resident` and `rounds`, as `bench` writes them to JSON."""


def table(figures: Servers, cli_seconds: Mapping[str, float]) -> str:
    """All figures, latencies in milliseconds, with the ratio ours / OpenBao where both were measured."""
    lines = [f"{'operation':<28}{'server':<12}{'req/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>8}"]
    for operation in figures[_THEIRS]["rounds"]:
        for name, of_server in figures.items():
            if operation in of_server["rounds"]:
                lines.append(_row(operation, name, figures))
    lines.append("")
    for name, of_server in figures.items():
        lines.append(
            f"{name:<12} answering after {of_server['answering_after']:.3f} s,"
            f" resident after the run {of_server['resident']:.1f} MiB"
        )
    lines += [f"{client:<12} kv get, whole process {s * 1000:.1f} ms" for client, s in cli_seconds.items()]
    return "\n".join(lines)


def verdicts(figures: Servers, cli_seconds: Mapping[str, float]) -> list[str]:
    """One line for each broken promise; empty when OpenBao ran alone or all held."""
    if _OURS not in figures:
        return []
    ours, theirs = figures[_OURS], figures[_THEIRS]
    broken = []
    for operation, reference in theirs["rounds"].items():
        measured = ours["rounds"][operation]
        wanted = OTHER_RATIOS.get(operation.rpartition(" c=")[0], RATE_RATIO)
        if measured["rate"] < wanted * reference["rate"]:
            broken.append(f"{operation}: {measured['rate'] / reference['rate']:.2f} x, wanted {wanted} x")
        if wanted and measured["p99"] >= reference["p99"]:
            broken.append(f"{operation}: p99 is not lower than OpenBao's")
    for operation, ceiling in figures[_BARE]["rounds"].items():
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
    rate, reference = measured["rate"], figures[_THEIRS]["rounds"][operation]["rate"]
    return (
        f"{operation:<28}{name:<12}{rate:>10.0f}{measured['p50'] / 1000:>9.2f}"
        f"{measured['p99'] / 1000:>9.2f}{rate / reference:>8.2f}"
    )
