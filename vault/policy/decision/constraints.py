# SPDX-License-Identifier: EUPL-1.2
"""What a rule asks beyond its capabilities: parameters, response wrapping, pages of listings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from vault.policy.decision.merge import MergedRule
from vault.policy.model import PolicyError

_MOST = 1 << 22
"""Characters that are searched for patterns with a `*` at both ends: 4 Mi take some 16 ms."""
_TIMES = 4
"""How often a value may be searched, however long it is."""
_LIMIT = re.compile(r"[+-]?[0-9]{1,18}")


def wrapping_passes(rule: MergedRule, wrap_ttl: float | None) -> bool:
    """Whether `wrap_ttl` (seconds, None where the request says nothing) lies within the rule's bounds.

    As in OpenBao, a request for 0 seconds satisfies a rule with only an upper bound, and is answered unwrapped.
    """
    least, most = rule.min_wrapping_ttl, rule.max_wrapping_ttl
    if not least and not most:
        return True
    return wrap_ttl is not None and wrap_ttl >= least and (not most or least <= most >= wrap_ttl)


def parameters_pass(rule: MergedRule, data: Mapping[str, object]) -> bool:
    """Whether the request has every required parameter, no denied one and only allowed ones.

    False as well where finding out would take too long.
    """
    if any(name not in data for name in rule.required):
        return False
    if not data:
        return True
    if "*" in rule.denied or ((rule.denied or rule.allowed) and _takes_long(rule, data)):
        return False
    for name, value in data.items():
        refused = rule.denied.get(name.lower())
        if refused is not None and _listed(value, refused):
            return False
    return _only_allowed(rule.allowed, data)


def _takes_long(rule: MergedRule, data: Mapping[str, object]) -> bool:
    """Whether long values would be searched for many patterns. Other comparisons cost by the patterns alone."""
    given = searched = 0
    for name, value in data.items():
        if isinstance(value, str):
            name = name.lower()
            patterns = (*rule.denied.get(name, ()), *rule.allowed.get(name, ()))
            given += len(value)
            searched += len(value) * sum(map(_is_anywhere, patterns))
    return searched > max(_MOST, _TIMES * given)


def _is_anywhere(pattern: object) -> bool:
    return isinstance(pattern, str) and pattern[:1] == "*" == pattern[-1:] and len(pattern) > 2


def _only_allowed(allowed: Mapping[str, Sequence[object]], data: Mapping[str, object]) -> bool:
    if not allowed:
        return True
    others = "*" in allowed
    if others and len(allowed) == 1:
        return True
    for name, value in data.items():
        accepted = allowed.get(name.lower())
        if accepted is None:
            if not others:
                return False
        elif not _listed(value, accepted):
            return False
    return True


def _listed(value: object, values: Sequence[object]) -> bool:
    """Whether `value` is among `values`; an empty tuple stands for any value."""
    return not values or any(_same(candidate, value) for candidate in values)


def _same(written: object, given: object) -> bool:
    """OpenBao's comparison: strings with `*` at either end, the rest by type. Numbers never match a number."""
    if isinstance(written, str) and isinstance(given, str):
        return _globbed(written, given)
    return _identical(written, given)


def _identical(written: object, given: object) -> bool:
    if isinstance(written, list) and isinstance(given, list):
        pairs = zip(written, given, strict=False)
        return len(written) == len(given) and all(_identical(a, b) for a, b in pairs)
    if isinstance(written, dict) and isinstance(given, dict):
        return written.keys() == given.keys() and all(_identical(written[k], given[k]) for k in written)
    return isinstance(written, str | bool | None) and type(written) is type(given) and written == given


def _globbed(pattern: str, text: str) -> bool:
    if len(pattern) < 2:
        return text == pattern
    starts, ends = pattern.endswith("*"), pattern.startswith("*")
    if starts and ends:
        return pattern[1:-1] in text
    if ends:
        return text.endswith(pattern[1:])
    return text.startswith(pattern[:-1]) if starts else text == pattern


def forced_limit(rule: MergedRule, data: Mapping[str, object]) -> int | None:
    """The page size a listing must use: the rule's own for no limit, 0 or `max`; None without a rule on it.

    Raises PolicyError, with what to do about it, for a limit that is required, no number, negative or too large.
    """
    most = rule.pagination_limit
    if not most:
        return None
    if "limit" not in data:
        if "limit" in rule.required:
            raise PolicyError("parameter limit")
        return most
    given = data["limit"]
    if given in ("", "max"):
        return most
    if isinstance(given, str) and _LIMIT.fullmatch(given):
        given = int(given)
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= most:
        raise PolicyError(f"a limit of 0 to {most}, or max")
    return given or most
