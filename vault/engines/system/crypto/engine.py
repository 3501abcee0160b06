# SPDX-License-Identifier: EUPL-1.2
"""`sys/crypto/inventory`: each key that the server, or a namespace, has in use (ESA-CRY-001). Never the key itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final, Literal

import msgspec

from vault.engines.system.crypto.rules import AT_RISK_AFTER, PostQuantum, Profile, findings, post_quantum
from vault.engines.system.crypto.sections import ListedKey, Section, page
from vault.framework.call import Call
from vault.framework.clock import rfc3339
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc
from vault.framework.keys.inventory import KeyUse
from vault.framework.route import Params, read
from vault.values.times import Millis, Seconds, millis_to_nanos, millis_to_seconds, time_between

USUAL_PAGE: Final = 200
LARGEST_PAGE: Final = 1000
_PROFILES: Final = ", ".join(Profile)


class InventoryParams(Params, frozen=True):
    """Which part of the inventory, and whose guidance it is held against."""

    profile: Annotated[str, Doc("Hold each key against the guidance of anssi or bsi.", clear=True)] = ""
    after: Annotated[str, Doc("Show only keys whose id comes after this one.")] = ""
    limit: Annotated[int, Doc("How many keys to show; 200, and 1000 at most.", clear=True)] = USUAL_PAGE


class RuleFinding(msgspec.Struct, frozen=True):
    """What a rule says of a key; `source` is empty where the rule is our own."""

    level: Literal["warning", "information"]
    reason: str
    source: str


class KeyCheck(msgspec.Struct, frozen=True):
    """What a profile says of a key: `warning` where a finding is one."""

    status: Literal["ok", "warning"]
    findings: Sequence[RuleFinding]


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One key, or several of one kind (`count`). What is null is not known, or does not apply.

    `age` is in seconds, since `rotated` or `created`; `rotation_period` too. `ends` is of a certificate. `mount` is the
    path of the mount that owns it, empty for the server's own.
    """

    id: str
    purpose: str
    protects: str
    algorithm: str
    bits: int | None
    version: str
    state: str
    origin: Literal["hsm", "software"]
    location: str
    mount: str
    count: int
    created: str | None
    rotated: str | None
    age: Seconds | None
    rotation_period: Seconds | None
    ends: str | None
    pq: PostQuantum
    at_risk_after: str | None
    check: KeyCheck | msgspec.UnsetType = msgspec.UNSET
    """With a profile alone."""


class Inventory(msgspec.Struct, frozen=True):
    """A page of the inventory. `next` is what the next page begins after; empty on the last one."""

    profile: str
    inventory: Sequence[KeyRow]
    next: str


class CryptoEngine(Engine):
    """Tells which keys are in use."""

    def __init__(self, sections: Callable[[Call], Sequence[Section]]) -> None:
        """`sections` returns what the inventory of a call's namespace consists of: what is its own, and nothing else."""
        self._sections = sections

    @read("crypto/inventory", event="crypto.inventory.read")
    async def read_inventory(self, call: Call, params: InventoryParams) -> Inventory:
        """Show each key in use: what for, how strong, how old, where it lies, and whether it withstands quantum computers.

        A namespace sees its own keys alone. No key is in the answer, and no secret. With `profile` each key is held
        against that guidance.
        """
        if not 0 < params.limit <= LARGEST_PAGE:
            raise Malformed(f"limit must be from 1 to {LARGEST_PAGE}")
        profile = _profile(params.profile)
        keys, more = await page(self._sections(call), after=params.after, limit=params.limit)
        rows, turn = [], TimeSlice()
        for key in keys:
            rows.append(_row(key, profile, call.now))
            await turn.step()
        return Inventory(params.profile, rows, rows[-1].id if more else "")


def _profile(name: str) -> Profile | None:
    if not name:
        return None
    if name not in list(Profile):
        raise Malformed(f"profile must be one of {_PROFILES}")
    return Profile(name)


def _row(key: ListedKey, profile: Profile | None, now: Millis) -> KeyRow:
    use = key.use
    strength = post_quantum(use)
    since = use.rotated or use.created
    return KeyRow(
        id=key.id,
        purpose=use.purpose,
        protects=use.protects,
        algorithm=use.algorithm,
        bits=use.bits or None,
        version=use.version,
        state=use.state,
        origin="hsm" if use.in_hsm else "software",
        location=use.location,
        mount=key.mount,
        count=use.count,
        created=_time(use.created),
        rotated=_time(use.rotated),
        age=_age(since, now),
        rotation_period=use.period or None,
        ends=_time(use.ends),
        pq=strength,
        at_risk_after=AT_RISK_AFTER if strength == "none" else None,
        check=msgspec.UNSET if profile is None else _check(profile, use, now),
    )


def _check(profile: Profile, use: KeyUse, now: Millis) -> KeyCheck:
    found = [RuleFinding(*finding) for finding in findings(profile, use, now)]
    return KeyCheck("warning" if any(one.level == "warning" for one in found) else "ok", found)


def _time(moment: Millis) -> str | None:
    return rfc3339(millis_to_nanos(moment)) if moment else None


def _age(since: Millis, now: Millis) -> Seconds | None:
    return max(millis_to_seconds(time_between(since, now)), Seconds(0)) if since else None
