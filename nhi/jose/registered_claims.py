# SPDX-License-Identifier: EUPL-1.2
"""The claims that RFC 7519 names: who issued a token, about whom, for whom, and when it is good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.values.times import Seconds, time_after, time_between

_EXPIRED: Final = "invalid expiration time (exp) claim: token is expired"
_LARGEST_TIME: Final = 1 << 53
_USUAL_LEEWAY: Final = Seconds(150)
"""What OpenBao puts between the times of a token that lacks one of them, unless the role says otherwise."""
_USUAL_SKEW: Final = Seconds(60)
"""By how much OpenBao lets clocks differ, unless the role says otherwise."""


class ExpectedClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token must say; what is empty may be anything. Leeways in seconds: 0 for the usual, below 0 for none."""

    issuer: str = ""
    subject: str = ""
    audiences: Sequence[str] = ()
    clock_skew_leeway: Seconds = Seconds(0)
    expiration_leeway: Seconds = Seconds(0)
    not_before_leeway: Seconds = Seconds(0)


def check(claims: Mapping[str, Json], expected: ExpectedClaims, now: Seconds) -> None:
    """Check iss, sub, aud, exp, nbf and iat (RFC 7519 section 4.1) at `now`, in seconds.

    Raises `Malformed`, whose `detail` says in a word what is wrong.
    """
    audiences = audience(claims)
    issuer, subject = _text(claims, "iss"), _text(claims, "sub")
    times = {name: moment(claims, name) for name in ("exp", "nbf", "iat")}
    if expected.issuer and issuer != expected.issuer:
        raise Malformed("invalid issuer (iss) claim", detail="wrong-issuer")
    if expected.subject and subject != expected.subject:
        raise Malformed("invalid subject (sub) claim", detail="wrong-subject")
    if expected.audiences and not set(audiences) & set(expected.audiences):
        raise Malformed(
            "invalid audience (aud) claim: audience claim does not match any expected audience",
            detail="wrong-audience",
        )
    check_times(expected, expires=times["exp"], begins=times["nbf"], issued=times["iat"], now=now)


def audience(claims: Mapping[str, Json]) -> Sequence[str]:
    """Return whom the token is for: a string counts as a list of one (SL-26). Raises `Malformed`."""
    found = claims.get("aud", [])
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise Malformed("go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience")
    return listed


def _text(claims: Mapping[str, Json], name: str) -> str:
    found = claims.get(name)
    if found is not None and not isinstance(found, str):
        raise Malformed(f"the {name} claim must be a string")
    return found or ""


def moment(claims: Mapping[str, Json], name: str) -> Seconds:
    """Return a claim's time in seconds, 0 where there is none. Raises `Malformed`."""
    found = claims.get(name)
    if found is None:
        return Seconds(0)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Malformed("go-jose/go-jose/jwt: expected number value to unmarshal NumericDate")
    if abs(found) > _LARGEST_TIME:
        raise Malformed(_EXPIRED)
    return Seconds(int(found))


def _leeway(given: Seconds, usual: Seconds) -> Seconds:
    # OpenBao's: 0 is "not given", and only a number below it is none.
    return max(given, Seconds(0)) if given else usual


def check_times(
    expected: ExpectedClaims, *, expires: Seconds, begins: Seconds, issued: Seconds, now: Seconds
) -> None:
    """A token that lacks one time gets it from the others; one that has none is refused."""
    if not (expires or begins or issued):
        raise Malformed(
            "no issued at (iat), not before (nbf), or expiration time (exp) claims in token",
            detail="endless-token",
        )
    # OpenBao makes a missing time from the others before it compares any: first the end, then the beginning from it.
    if not expires:
        expires = time_after(max(begins, issued), _leeway(expected.expiration_leeway, _USUAL_LEEWAY))
    if not begins:
        begins = issued or time_between(_leeway(expected.not_before_leeway, _USUAL_LEEWAY), expires)
    skew = _leeway(expected.clock_skew_leeway, _USUAL_SKEW)
    if now + skew < begins:
        raise Malformed("invalid not before (nbf) claim: token not yet valid", detail="early-token")
    if now > expires + skew:
        raise Malformed(_EXPIRED, detail="expired-token")
    if issued and now + skew < issued:
        raise Malformed("invalid issued at (iat) claim: token issued in the future", detail="early-token")
