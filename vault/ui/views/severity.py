# SPDX-License-Identifier: EUPL-1.2
"""The severity of anomalies, and the reasons, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final

from nhi.picture.lineage import ANOMALIES
from vault.ui.html.components import lines
from vault.ui.html.elements import Child, Html, el


class Severity(IntEnum):
    """Severities, the highest first."""

    HIGH = 0
    MEDIUM = 1
    LOW = 2

    @property
    def word(self) -> str:
        """The word on the page."""
        return self.name.lower()


_MEANINGS: Final = {
    "used-after-revocation": (
        Severity.HIGH,
        "A copy of it, or all of it, was revoked, and somebody still uses that. Find out who has that address.",
    ),
    "reserved-fact": (
        Severity.HIGH,
        "Its holder wrote into it what only the issuer may say: an attempt to get more rights.",
    ),
    "several-sources": (
        Severity.MEDIUM,
        "A stolen copy looks like this, and so does a workload that moved or has several addresses.",
    ),
    "refused-block": (
        Severity.MEDIUM,
        "Its holder added something that this server does not accept: a mistake, or an attack.",
    ),
    "too-deep": (
        Severity.MEDIUM,
        "It was handed on more often than its registration allows: it reached somebody it should not.",
    ),
    "more-than-recorded": (
        Severity.MEDIUM,
        "So many copies were made that the rest is in the audit log only.",
    ),
    "no-op": (
        Severity.LOW,
        "A holder passed it on without narrowing it: no harm in itself, probably a mistake.",
    ),
    "outlives-parent": (
        Severity.LOW,
        "A holder gave it a later end than it has. It does not last longer: probably a mistake.",
    ),
}


def severity(name: str) -> Severity:
    """Return the severity of an anomaly; medium for one that this page does not know."""
    return _MEANINGS[name][0] if name in _MEANINGS else Severity.MEDIUM


def worst(names: Iterable[str]) -> Severity:
    """Return the highest severity of some anomalies."""
    return min((severity(name) for name in names), default=Severity.LOW)


def odd(names: Iterable[str]) -> Child:
    """Return anomalies in words, the most severe first."""
    return lines([_named(name) for name in _ordered(names)], "")


def explained(names: Iterable[str]) -> Child:
    """Return anomalies in words, the most severe first, each with the reason for its severity."""
    found = [[_named(name), el("p", _why(name), class_="why")] for name in _ordered(names)]
    return lines(found, "")


def options() -> Sequence[tuple[str, str]]:
    """Return the anomalies that can be searched for, the most severe first, as names and words."""
    return [(name, f"{severity(name).word}: {ANOMALIES[name]}") for name in _ordered(ANOMALIES)]


def tally(found: Iterable[Iterable[str]]) -> str:
    """Return the number of credentials by their highest severity; empty for none."""
    counts = Counter(worst(names) for names in found)
    return ", ".join(f"{counts[one]} {one.word}" for one in Severity if counts[one])


def _named(name: str) -> Html:
    grave = severity(name)
    return el("span", f"{grave.word.capitalize()}: {ANOMALIES.get(name, name)}", class_=f"odd {grave.word}")


def _why(name: str) -> str:
    return _MEANINGS[name][1] if name in _MEANINGS else "This page does not know this kind of anomaly."


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=severity)
