# SPDX-License-Identifier: EUPL-1.2
"""What was asked of a new token, merged with its role. Of two limits the lesser counts, as in OpenBao."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from vault.engines.token.model import CreateToken
from vault.engines.token.roles import TokenRole
from vault.framework.errors import Malformed
from vault.framework.fields import Mismatch, parse_duration
from vault.values.times import Seconds

N = TypeVar("N", bound=int)

_CUSTOM_ID: Final = (
    "Supplying a custom ID for the token uses the weaker SHA1 hashing instead of the more secure SHA2-256 HMAC "
    "for token obfuscation. SHA1 hashed tokens on the wire leads to less secure lookups."
)


class TokenSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A new token. Durations in seconds, 0 for none; the `own` ones are the caller's, without the role's."""

    params: CreateToken
    role: TokenRole | None
    batch: bool
    ttl: Seconds
    period: Seconds
    explicit_max: Seconds
    own_period: Seconds
    own_explicit_max: Seconds
    uses: int
    renewable: bool
    warnings: tuple[str, ...]


def merged_spec(params: CreateToken, role: TokenRole | None) -> TokenSpec:
    """Return what the token is to be like. Raises `Malformed` for durations that cannot be, or not together."""
    ttl = _seconds("ttl", params.ttl or params.lease)
    explicit_max = _seconds("explicit_max_ttl", params.explicit_max_ttl)
    period = _seconds("period", params.period)
    batch = _is_batch(params, role)
    if batch:
        _check_batch({"explicit_max_ttl": explicit_max, "num_uses": params.num_uses, "period": period})
    warnings = [_CUSTOM_ID] if params.id else []
    of_role = (Seconds(0), Seconds(0)) if role is None or batch else (role.explicit_max_ttl, role.period)
    if explicit_max and of_role[0]:
        warnings.append(_both("Explicit max TTL", min(explicit_max, of_role[0])))
    if period and of_role[1]:
        warnings.append(_both("Period", min(period, of_role[1])))
    if role is not None and role.no_default_policy:
        params = msgspec.structs.replace(params, no_default_policy=True)
    return TokenSpec(
        params=params,
        role=role,
        batch=batch,
        ttl=ttl,
        period=lesser(period, of_role[1]),
        explicit_max=lesser(explicit_max, of_role[0]),
        own_period=period,
        own_explicit_max=explicit_max,
        uses=lesser(params.num_uses, role.num_uses if role is not None else 0),
        renewable=params.renewable and (role is None or role.renewable),
        warnings=tuple(warnings),
    )


def lesser(one: N, other: N) -> N:
    """Return the lesser of two limits, of which 0 is none."""
    return min(one, other) if one and other else one or other


def _is_batch(params: CreateToken, role: TokenRole | None) -> bool:
    if role is not None and role.type in {"service", "batch"}:
        return role.type == "batch"
    wanted = params.type or (role.type.removeprefix("default-") if role is not None else "service")
    return wanted == "batch"


def _both(what: str, seconds: Seconds) -> str:
    return (
        f"{what} specified both during creation call and in role; using the lesser value of {seconds} seconds"
    )


def _check_batch(limits: Mapping[str, int]) -> None:
    for name, value in limits.items():
        if value:
            raise Malformed(f'batch tokens cannot have "{name}" set')


def _seconds(name: str, text: str) -> Seconds:
    if not text:
        return Seconds(0)
    try:
        seconds = parse_duration(text)
    except Mismatch as mismatch:
        raise Malformed(str(mismatch)) from None
    if seconds < 0:
        raise Malformed(f"{name} must be positive")
    return seconds
