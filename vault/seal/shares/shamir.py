# SPDX-License-Identifier: EUPL-1.2
"""Shamir's secret sharing over GF(2^8), in the share format of Vault and OpenBao.

A share is the secret's length in y bytes, then one x byte (1 to 255). Every byte of the secret is
the constant term of its own random polynomial, reduced by 0x11b (as in AES).

No library in reach has this format, takes its entropy as an argument and is widely reviewed, so this
is a small one. About time (SL-87): secret bytes are only ever shifted, masked and xored, all bytes
of a share at once in one integer; no table is indexed by them and nothing branches on them.
Branches depend on x coordinates alone, which are no secret. CPython cannot promise more than that:
its integers drop leading zero digits of 30 bits, so an integer's length, and time, would show a
secret that starts with 30 zero bits; a guard bit above the top byte keeps the length the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from vault.barrier.key import Random

MAX_SHARES = 255
"""There are 255 non-zero x coordinates."""


class CombineFailure(ValueError):
    """These shares cannot belong together; the text is OpenBao's, and holds nothing of them."""


def split(secret: bytes, shares: int, threshold: int, random: Random) -> list[bytes]:
    """Split `secret` so that any `threshold` of `shares` give it back, and fewer tell nothing.

    Requires 2 <= threshold <= shares <= 255; raises `ValueError` otherwise.
    """
    if not 2 <= threshold <= shares <= MAX_SHARES or not secret:
        raise ValueError("shares and threshold must be 2 <= threshold <= shares <= 255, the secret not empty")
    size = len(secret)
    coefficients = [_load(random(size)) for _ in range(threshold - 1)]
    coefficients.append(_load(secret))
    result = []
    for x in _coordinates(shares, random):
        value = 0
        for coefficient in coefficients:
            value = _times(value, x, size) ^ coefficient
        result.append(_store(value, size) + bytes([x]))
    return result


def combine(shares: Sequence[bytes]) -> bytes:
    """Return the secret of at least `threshold` different shares; of fewer, or wrong ones, noise.

    Raises `CombineFailure` when two shares have the same x coordinate or different lengths.
    """
    return interpolate(shares, 0)


def interpolate(shares: Sequence[bytes], at: int) -> bytes:
    """Return the y bytes at x = `at` of the polynomials through `shares`; `combine` is x = 0."""
    size = len(shares[0]) - 1
    if any(len(share) - 1 != size for share in shares):
        raise CombineFailure("all parts must be the same length")
    xs = [share[-1] for share in shares]
    if len(set(xs)) != len(xs):
        raise CombineFailure("duplicate part detected")
    total = 0
    for share, x in zip(shares, xs, strict=True):
        total ^= _times(_load(share[:-1]), _weight(x, xs, at), size)
    return _store(total, size)


def _coordinates(count: int, random: Random) -> list[int]:
    """Return `count` different x coordinates, uniformly drawn from 1 to 255."""
    chosen: list[int] = []
    while len(chosen) < count:
        chosen += [x for x in dict.fromkeys(random(count)) if x and x not in chosen]
    return chosen[:count]


def _weight(x: int, xs: Sequence[int], at: int) -> int:
    """Return the Lagrange weight, at `at`, of the point at `x` among `xs`."""
    above, below = 1, 1
    for other in xs:
        if other != x:
            above = _scalar(above, at ^ other)
            below = _scalar(below, x ^ other)
    return _scalar(above, _inverse(below))


def _inverse(a: int) -> int:
    """Return a^254, the inverse of a non-zero scalar."""
    result = 1
    for _ in range(7):
        a = _scalar(a, a)
        result = _scalar(result, a)
    return result


def _scalar(a: int, b: int) -> int:
    """Multiply two single field elements."""
    return _store(_times(_load(bytes([a])), b, 1), 1)[0]


def _load(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _store(value: int, size: int) -> bytes:
    return (value & ((1 << 8 * size) - 1)).to_bytes(size, "big")


def _times(value: int, factor: int, size: int) -> int:
    """Multiply each of the `size` bytes in `value` by the scalar `factor`."""
    ones = _load(b"\x01" * size)
    guard = 1 << (8 * size)
    value |= guard
    product = guard
    for bit in range(8):
        product ^= (value & (guard - 1)) * (factor >> bit & 1)
        product |= guard
        high = value >> 7 & ones
        value = ((value & (ones * 0x7F)) << 1 ^ high * 0x1B) | guard
    return product
