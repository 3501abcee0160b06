# SPDX-License-Identifier: EUPL-1.2
"""One-time passcodes (RFC 6238): each is good once, and guesses are limited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from nhi.identity.mfa import reach
from nhi.identity.records import mfa as model
from nhi.identity.records.mfa import Enforcement, Method, Seed
from vault.barrier.view import View
from vault.cache.ages import Ages
from vault.framework.call import Namespace
from vault.framework.clock import Clock
from vault.values.ids import EntityId
from vault.values.times import Seconds, nanos_to_seconds, seconds_to_nanos, time_between

HASHES: Final[Mapping[str, type[SHA1 | SHA256 | SHA512]]] = {
    "SHA1": SHA1,  # what authenticators know; RFC 6238 needs no collision resistance
    "SHA256": SHA256,
    "SHA512": SHA512,
}
_WRONG: Final = "MFA credentials not supplied or incorrect"


class FactorError(Exception):
    """A second factor is missing or wrong; the text is for who completes a login."""


class Passcodes:
    """Checks what came with a login against the enforcements that are about it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ages = Ages(clock)

    async def satisfy(
        self,
        core: View,
        chain: Sequence[Namespace],
        one: Enforcement,
        given: Mapping[str, Sequence[str]],
        entity_id: EntityId,
        passed: set[str],
    ) -> None:
        """Check one factor for an enforcement; `given` has codes by method id, or by name with the
        method's namespace before it. Raises `FactorError`.

        `passed` are the methods that this login has passed already: a code is good once, for every enforcement that
        asks for it.

        Failures are counted in the transaction, which must be kept although this raises. `core` is the data of the
        namespace that the login is in, `chain` that namespace and all above it.
        """
        problems: list[str] = []
        for method_id in one.methods:
            found = await reach.method(core, chain, method_id)
            if found is None:
                continue
            place, method = found
            if method.id in passed:
                return
            codes = given.get(method.id) or (given.get(place.path + method.name) if method.name else None)
            if not codes:
                continue
            problem = await self._check(core, method, codes[0], entity_id)
            if not problem:
                passed.add(method.id)
                return
            problems.append(problem)
        unfit = "" if problems else "failed to sanitize MFA creds, "
        if problems:
            problems.append(f"login MFA validation failed for methodID: [{' '.join(one.methods)}]")
        else:
            problems = [
                f"failed to find MFA credentials associated with an MFA method ID {method_id}, method name "
                f"{await _name(core, chain, method_id)}"
                for method_id in one.methods
            ]
        lines = "".join(f"\t* {problem}\n" for problem in problems)
        errors = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        raise FactorError(
            f"failed to satisfy enforcement {one.name}. error: {unfit}{errors} occurred:\n{lines}\n"
        )

    async def _check(self, core: View, method: Method, given: str, entity_id: EntityId) -> str:
        """Return what is wrong with a code, "" for nothing; it is good once."""
        seed = await model.seed(core, method.id, entity_id)
        if seed is None:
            return f'MFA secret for method name "{method.name}" not present in entity "{entity_id}"'
        left = time_between(self._ages.of(seed.failed), seconds_to_nanos(seed.period))
        if seed.failures >= method.max_validation_attempts and left > 0:
            return (
                f"maximum TOTP validation attempts exceeded the allowed attempts "
                f"{method.max_validation_attempts}. Please try again in {nanos_to_seconds(left) + 1}s"
            )
        period = matching(seed, given, nanos_to_seconds(self._clock.nanos()))
        if period is None:
            count = 1 if left <= 0 else seed.failures + 1
            failed = msgspec.structs.replace(seed, failures=count, failed=self._ages.begin())
            await model.put_seed(core, method.id, entity_id, failed)
            return _WRONG
        used = msgspec.structs.replace(seed, used=period, failures=0, failed=0)
        await model.put_seed(core, method.id, entity_id, used)
        return ""


def matching(seed: Seed, given: str, now: Seconds) -> int | None:
    """Return the period whose code was given, None for none that still counts; `now` in seconds.

    The code is taken as digits or not at all, so that no spelling of it counts a second time (SL-24).
    """
    code = given.removeprefix("passcode=")
    if len(code) != seed.digits or not (code.isascii() and code.isdigit()):
        return None
    totp = TOTP(seed.secret, seed.digits, HASHES[seed.algorithm](), seed.period, enforce_key_length=False)
    current = now // seed.period
    for period in range(max(0, current - seed.skew), current + seed.skew + 1):
        if period <= seed.used:
            continue
        try:
            totp.verify(code.encode(), period * seed.period)
        except InvalidToken:
            continue
        return period
    return None


async def _name(core: View, chain: Sequence[Namespace], method_id: str) -> str:
    found = await reach.method(core, chain, method_id)
    return f"{found[0].path}{found[1].name}" if found is not None else ""
