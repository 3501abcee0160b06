# SPDX-License-Identifier: EUPL-1.2
"""How long a token lives: pure arithmetic on absolute deadlines (SL-33). All durations in seconds."""

from __future__ import annotations

import msgspec

from vault.values.times import Seconds, time_between


class LifetimeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The default and longest lifetime of the mount or the system."""

    default: Seconds
    longest: Seconds


class Lifetime(msgspec.Struct, frozen=True):
    """The lifetime of a token, and the warnings for the client that asked for another one."""

    ttl: Seconds
    warnings: tuple[str, ...] = ()


def go_duration(seconds: Seconds) -> str:
    """Write a duration as OpenBao does: `768h`, `1h30m`, `8m20s`, `0s`."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    text = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "") + (f"{left}s" if left else "")
    return text or "0s"


def capped(name: str, wanted: Seconds, *, longest: Seconds) -> Lifetime:
    """Cut `wanted` to `longest`, with OpenBao's warning where that changes it."""
    if wanted <= longest:
        return Lifetime(wanted)
    text = (
        f'{name} of "{go_duration(wanted)}" exceeded the effective max_ttl of "{go_duration(longest)}"; '
        f"{name} value is capped accordingly"
    )
    return Lifetime(longest, (text,))


def first_lifetime(
    limits: LifetimeLimits, *, requested: Seconds, period: Seconds, explicit_max: Seconds
) -> Lifetime:
    """Return the lifetime of a new token. A period goes before a TTL; 0 asks for the default."""
    longest = min(explicit_max, limits.longest) if explicit_max else limits.longest
    if period:
        return capped("period", period, longest=longest)
    return capped("TTL", requested or limits.default, longest=longest)


def renewed_lifetime(
    limits: LifetimeLimits,
    *,
    increment: Seconds,
    current: Seconds,
    period: Seconds,
    explicit_max: Seconds,
    age: Seconds,
) -> Lifetime:
    """Return the lifetime from now on. It never reaches beyond issue time plus the longest lifetime."""
    longest = min(explicit_max, limits.longest) if explicit_max else limits.longest
    # A periodic token may be renewed for ever, so its age counts against an explicit maximum alone, as in OpenBao.
    if period:
        life = capped("period", period, longest=longest)
        left = capped(
            "TTL",
            life.ttl,
            longest=max(Seconds(0), time_between(age, explicit_max)) if explicit_max else longest,
        )
        return Lifetime(left.ttl, life.warnings + left.warnings)
    return capped(
        "TTL", increment or current or limits.default, longest=max(Seconds(0), time_between(age, longest))
    )
