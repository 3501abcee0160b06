# SPDX-License-Identifier: EUPL-1.2
"""Writes `docs/metrics.md` from what is known of each metric: `python -m vault.framework.telemetry.reference`.

A test compares the file with what this returns, and others look for metrics of a server that are not in it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from vault.framework.telemetry.described import ABSENT, MEANINGS, OWN, PROCESS, ROUTE, MetricFacts
from vault.framework.telemetry.exposition import full_name

_INTRODUCTION = """\
# Metrics

<!-- Written by `python -m vault.framework.telemetry.reference > docs/metrics.md`; change it there. -->

What `sys/metrics?format=prometheus` answers; how it is read and watched is in [observability.md](observability.md).
Names that begin with `vault_` are OpenBao's, with its units, so that its dashboards carry over; `metrics_prefix` replaces `vault`.
Durations under them are in milliseconds, as there, and of all the time since the start. Names that begin with `coffre_` are
our own, whatever the prefix: seconds, bytes, `_total` for what only grows, histograms instead of quantiles.

The label `cluster` is `cluster_name` of the configuration, and nothing where there is none: the name that a vault gives itself
cannot be read while it is sealed, and no series changes its labels by sealing. With several workers each gauge has the
label `worker`. What is not known, as the room on a disk that does not answer, is `NaN`, and left out of the JSON.
"""


def render() -> str:
    """Return the whole page."""
    names = sorted(MEANINGS)
    theirs = {name: MEANINGS[name] for name in names if not name.startswith((OWN, PROCESS))}
    theirs["route.OPERATION.MOUNT-"] = ROUTE
    sections = (
        ("Our own", {name: MEANINGS[name] for name in names if name.startswith(OWN)}),
        ("OpenBao's", theirs),
        ("The process", {name: MEANINGS[name] for name in names if name.startswith(PROCESS)}),
    )
    parts = [_INTRODUCTION]
    for title, meanings in sections:
        parts.append(f"\n## {title}\n\n| name | kind | labels | says |\n|---|---|---|---|\n")
        parts += [f"{line}\n" for line in _lines(meanings)]
    parts.append("\n## OpenBao's that are not here\n\n| name | why |\n|---|---|\n")
    parts += [f"| `{full_name(name, 'vault')}` | {why} |\n" for name, why in sorted(ABSENT.items())]
    return "".join(parts)


def _lines(meanings: dict[str, MetricFacts]) -> Iterator[str]:
    for name, found in meanings.items():
        labels = ", ".join(f"`{label}`" for label in found.labels)
        yield f"| `{full_name(name, 'vault')}` | {found.kind} | {labels} | {found.says} |"


if __name__ == "__main__":
    sys.stdout.write(render())
