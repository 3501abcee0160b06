# SPDX-License-Identifier: Apache-2.0
"""Numbers of secrets, digit by digit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from esa_conformance.binding.replies import Reply
from esa_conformance.run.declare import Tests
from esa_conformance.run.trial import Trial

TESTS = Tests()
_LARGE: Final = ("9007199254740993", "-18446744073709551617", "1000000000000000000001")
_FRACTIONS: Final = (
    "3.141592653589793238462643383279502884",
    "0.1000",
    "1.0",
    "-0.0",
    "2.50",
    "1.5e-7",
    "6.02E+23",
)


def _write(t: Trial, path: str, numbers: Sequence[str]) -> Reply:
    body = f'{{"data": {{"numbers": [{", ".join(numbers)}]}}}}'.encode()
    return t.kv.send("POST", t.kv.data_path(path), body)


def _same(t: Trial, path: str, numbers: Sequence[str], version: int | None = None) -> bool:
    """Whether a version has these numbers; `1e5` and `1E+5` have the same digits, `1.0` and `1` have not."""
    found = t.kv.get(path, version=version).answer.exact_json
    try:
        got = found["data"]["data"]["numbers"]
        return [Decimal(one).as_tuple() for one in got] == [Decimal(one).as_tuple() for one in numbers]
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return False


@TESTS.test("ESA-KV-002", feature="exact-numbers")
def numbers_are_exact(t: Trial) -> None:
    """Every JSON number comes back with the same digits."""
    path = t.secret()
    t.done(_write(t, path, _LARGE), "numbers are written")
    t.served(_same(t, path, _LARGE), "numbers come back exactly")
    t.done(_write(t, path, _FRACTIONS), "numbers are written")
    t.must(_same(t, path, _FRACTIONS), "numbers with a fraction come back with the same digits")
    t.must(_same(t, path, _LARGE, version=1), "an earlier version keeps its digits")


@TESTS.test("ESA-KV-002", feature="exact-numbers")
def numbers_beyond_floats_are_exact_or_refused(t: Trial) -> None:
    """A number that no 64-bit float has comes back with its digits, or is refused and changes nothing."""
    path = t.secret()
    t.done(_write(t, path, _LARGE), "numbers are written")
    t.served(_same(t, path, _LARGE), "numbers come back exactly")
    beyond = ("1e400", "-2.50E-400")
    reply = _write(t, path, beyond)
    if reply.ok:
        t.must(_same(t, path, beyond), "a number beyond the range of floats comes back with the same digits")
    else:
        t.is_so(reply, reply.malformed or reply.too_large, "a number that is not taken is refused as such")
        t.must(_same(t, path, _LARGE), "a refused write changes nothing")


@TESTS.test("ESA-KV-002", feature="exact-numbers")
def patches_keep_digits(t: Trial) -> None:
    """A patch leaves the digits of what it does not name, and keeps those that it brings."""
    path = t.secret()
    t.done(_write(t, path, _LARGE), "numbers are written")
    t.served(_same(t, path, _LARGE), "numbers come back exactly")
    reply = t.kv.patch(path, {"other": 1})
    if reply.not_served:
        return
    t.is_so(reply, reply.ok, "a patch is accepted")
    t.must(_same(t, path, _LARGE), "a patch leaves the digits of what it does not name")
