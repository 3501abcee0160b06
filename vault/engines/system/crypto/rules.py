# SPDX-License-Identifier: EUPL-1.2
"""What national guidance says of a key, as data: one row for each rule, with the document that it is from.

A rule without a source is our own. Where a document's clause is not certain there is no rule: silence is no approval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from vault.framework.keys.inventory import KeyState, KeyUse
from vault.values.times import DAY, Millis, Seconds, seconds_to_millis, time_between

PostQuantum = Literal["none", "hybrid", "pq"]
SYMMETRIC: Final = frozenset(
    {
        "aes-128-gcm",
        "aes-256-cbc-hmac-sha256",
        "aes-256-gcm",
        "chacha20-poly1305",
        "hmac-sha-256",
        "shamir",
        "totp",
        "xchacha20-poly1305",
    }
)
"""Algorithms with one secret key."""
_HYBRID: Final = frozenset({"hpke-mlkem768-x25519"})
"""Algorithms of which a classical and a post-quantum one must both be broken."""
_LATTICES: Final = "ml-dsa-"
"""How the names of algorithms begin that are made against quantum computers (FIPS 204)."""
QUANTUM_SAFE_BITS: Final = 256
"""A symmetric key of this size counts as post-quantum: Grover's search leaves half of its bits. ANSSI-PG-083 v3.00 asks
for 192 at least against quantum attackers; keys of 192 to 255 bits do not exist here."""
AT_RISK_AFTER: Final = "2030-01-01"
"""ANSSI-PG-083 v3.00, RecoSecuLongTerme: what is to be protected after this day should have post-quantum protection."""
ENDS_SOON: Final = Seconds(30 * DAY)
"""A certificate that ends within this time is warned of."""

_ANSSI: Final = "ANSSI-PG-083 v3.00"
_BSI: Final = "BSI TR-02102-1 2026-01"
_ROADMAP: Final = "NIS Cooperation Group, roadmap for the transition to post-quantum cryptography, 2025-06"
"""What the BSI works by; dates of TR-02102-1 itself are not here, as no clause of it is certain to us."""


class Profile(StrEnum):
    """Whose guidance keys are held against."""

    ANSSI = "anssi"
    BSI = "bsi"


class Finding(NamedTuple):
    """What a rule says of a key. `information` is no reason to act today."""

    level: Literal["warning", "information"]
    reason: str
    source: str


class _Rule(NamedTuple):
    profiles: tuple[Profile, ...]
    level: Literal["warning", "information"]
    holds: Callable[[KeyUse, Millis], bool]
    """Whether it has to be told of a key, at a time."""
    reason: str
    source: str = ""


def post_quantum(use: KeyUse) -> PostQuantum:
    """Return what of a key withstands a quantum computer."""
    if use.algorithm in _HYBRID:
        return "hybrid"
    if use.algorithm.startswith(_LATTICES):
        return "pq"
    return "pq" if use.algorithm in SYMMETRIC and use.bits >= QUANTUM_SAFE_BITS else "none"


def findings(profile: Profile, use: KeyUse, now: Millis) -> Sequence[Finding]:
    """Return what a profile says of a key at `now` (ms); nothing where all is well."""
    return [
        Finding(rule.level, rule.reason, rule.source)
        for rule in _RULES
        if profile in rule.profiles and rule.holds(use, now)
    ]


def _short(use: KeyUse, _: Millis) -> bool:
    return use.algorithm in SYMMETRIC and 0 < use.bits < QUANTUM_SAFE_BITS


def _rsa_below(bits: int) -> Callable[[KeyUse, Millis], bool]:
    return lambda use, _: use.algorithm.startswith("rsa-") and 0 < use.bits < bits


def _too_old(use: KeyUse, now: Millis) -> bool:
    since = use.rotated or use.created
    return (
        use.state is KeyState.ACTIVE
        and bool(use.period and since)
        and time_between(since, now) > seconds_to_millis(use.period)
    )


def _ends_soon(use: KeyUse, now: Millis) -> bool:
    return bool(use.ends) and time_between(now, use.ends) <= seconds_to_millis(ENDS_SOON)


def _classical(use: KeyUse, _: Millis) -> bool:
    return post_quantum(use) == "none" and use.algorithm not in {"", *SYMMETRIC}


_BOTH: Final = (Profile.ANSSI, Profile.BSI)
_RULES: Final = (
    _Rule(
        (Profile.ANSSI,),
        "warning",
        _rsa_below(3072),
        "RSA below 3072 bits is for use until the end of 2030 at the latest",
        _ANSSI,
    ),
    _Rule((Profile.BSI,), "warning", _rsa_below(3000), "RSA needs 3000 bits at least", _BSI),
    _Rule(
        (Profile.ANSSI,),
        "information",
        lambda use, _: use.algorithm == "ed25519",
        "Ed25519 is not among the conforming examples: conformity has to be argued",
        _ANSSI,
    ),
    _Rule(
        (Profile.ANSSI,),
        "information",
        _classical,
        "no post-quantum protection: not for what has to hold after 2030-01-01",
        f"{_ANSSI}, RecoSecuLongTerme",
    ),
    _Rule(
        (Profile.ANSSI,),
        "information",
        _classical,
        "products without post-quantum cryptography enter no qualification from 2027 on, and are not bought from 2030 on",
        "ANSSI, Assises de la cybersécurité, 2025-10-08",
    ),
    _Rule(
        (Profile.ANSSI,),
        "information",
        _short,
        "192 bits or more are asked for against quantum attackers",
        _ANSSI,
    ),
    _Rule(
        (Profile.BSI,),
        "information",
        _classical,
        "no post-quantum protection: uses of high risk are moved by the end of 2030, of medium risk by the end of 2035",
        _ROADMAP,
    ),
    _Rule(_BOTH, "warning", _ends_soon, "its certificate has ended, or ends within 30 days"),
    _Rule(_BOTH, "warning", _too_old, "it is older than its rotation period"),
    _Rule(
        _BOTH,
        "warning",
        lambda use, _: use.state is KeyState.UNREACHABLE,
        "it cannot be reached: what it protects is not served, or not renewed",
    ),
)
