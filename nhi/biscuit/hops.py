# SPDX-License-Identifier: EUPL-1.2
"""What each block of a chain takes away from what was there before it, in words, and what is odd about it.

Read off the structure of its checks; nothing is evaluated. What no form here describes is shown as Datalog.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from nhi.biscuit.datalog import Block, Check, CheckKind, Op, OpKind, Rule, Term, TermKind
from nhi.biscuit.failure import BiscuitError
from nhi.biscuit.lint import RESERVED
from nhi.biscuit.narrowing import end_of, ends
from nhi.biscuit.printer import print_check, print_key
from vault.framework.clock import rfc3339

NO_OP: Final = "no-op"
OUTLIVES: Final = "outlives-parent"
RESERVED_FACT: Final = "reserved-fact"
_MOST_TEXTS: Final = 8
_LONGEST_TEXT: Final = 240
_CONTAINS, _STARTS = 5, 6
_EQUAL: Final = frozenset({4, 21})

_NOTHING: Final = "nothing"
"""A check that asks about nothing: it takes away everything, or nothing at all."""

Limit = tuple[str, object]
"""One thing that a block demands: `operations` with a set, `path` or `below` with a text, else its Datalog."""


class Hop(msgspec.Struct, frozen=True):
    """One block: what it takes away, whom it is by if not by a holder, and its oddities."""

    narrowing: tuple[str, ...]
    approver: str
    anomalies: tuple[str, ...]


def hops(blocks: Sequence[Block]) -> tuple[Hop, ...]:
    """Return what each block of a chain does. It raises nothing: what does not print is said to be so."""
    found: list[Hop] = []
    before: list[Limit] = []
    until = 0
    for place, block in enumerate(blocks):
        limits = [limit for check in block.checks for limit in _limits(check)]
        end = ends((block,))
        fresh = [
            limit
            for limit in limits
            if limit[0] != _NOTHING and not any(_implies(old, limit) for old in before)
        ]
        shorter = bool(end) and (not until or end < until)
        odd = []
        if place and not fresh and not shorter and block.external is None:
            odd.append(NO_OP)
        if place and end and until and end > until:
            odd.append(OUTLIVES)
        if place and any(fact.name in RESERVED for fact in block.facts):
            odd.append(RESERVED_FACT)
        texts = [_text(limit) for limit in limits]
        if end:
            texts.append(f"until {rfc3339(end * 1_000_000)}")
        found.append(
            Hop(_short(texts), print_key(block.external) if block.external is not None else "", tuple(odd))
        )
        before += fresh
        until = end if shorter else until
    return tuple(found)


def _short(texts: Sequence[str]) -> tuple[str, ...]:
    """Return texts that fit a record: holders make them, and a symbol is as long as they like."""
    shown = [text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…" for text in texts]
    if len(shown) > _MOST_TEXTS:
        shown = [*shown[:_MOST_TEXTS], f"and {len(shown) - _MOST_TEXTS} more checks"]
    return tuple(shown)


def _text(limit: Limit) -> str:
    kind, value = limit
    if kind == "operations":
        return f"operations: {', '.join(sorted(cast('frozenset[str]', value)))}"
    return f"{kind}: {value}" if kind in {"path", "below"} else str(value)


def _implies(old: Limit, new: Limit) -> bool:
    """Whether a limit that was there before makes another one superfluous."""
    if old == new:
        return True
    if old[0] == new[0] == "operations":
        return cast("frozenset[str]", old[1]) <= cast("frozenset[str]", new[1])
    return new[0] == "below" and old[0] in {"path", "below"} and str(old[1]).startswith(str(new[1]))


def _limits(check: Check) -> list[Limit]:
    """Return what a check demands, but for an end in time, which is told elsewhere."""
    if end_of(check):
        return []
    if check.kind is CheckKind.ONE and len(check.queries) == 1 and not check.queries[0].scopes:
        known = _known(check.queries[0])
        if known is not None:
            return known
    kind = "check" if any(query.body for query in check.queries) else _NOTHING
    try:
        return [(kind, print_check(check))]
    except BiscuitError:
        return [("check", "a check that does not print")]


def _known(query: Rule) -> list[Limit] | None:
    """Return the limits of a query in which each part has a form that is known; else None."""
    found: list[Limit] = []
    variables: dict[object, str] = {}
    for predicate in query.body:
        if predicate.name not in {"operation", "resource"} or len(predicate.terms) != 1:
            return None
        term = predicate.terms[0]
        if term.kind is TermKind.VARIABLE:
            variables[term.value] = predicate.name
        elif term.kind is TermKind.STRING:
            found.append(_equal(predicate.name, term))
        else:
            return None
    for ops in query.expressions:
        limit = _expression(ops, variables)
        if limit is None:
            return None
        found += limit
    return found


def _expression(ops: Sequence[Op], variables: dict[object, str]) -> list[Limit] | None:
    if len(ops) != 3 or ops[2].kind is not OpKind.BINARY or ops[0].term is None or ops[1].term is None:
        return None
    left, right, code = ops[0].term, ops[1].term, ops[2].code
    if code == _CONTAINS and right.kind is TermKind.VARIABLE and variables.get(right.value) == "operation":
        terms = left.value
        if left.kind in {TermKind.SET, TermKind.ARRAY} and isinstance(terms, tuple):
            if all(term.kind is TermKind.STRING for term in terms):
                return [("operations", frozenset(str(term.value) for term in terms))]
        return None
    name = variables.get(left.value) if left.kind is TermKind.VARIABLE else None
    if name is not None and right.kind is TermKind.STRING:
        if code in _EQUAL:
            return [_equal(name, right)]
        if code == _STARTS and name == "resource":
            return [("below", str(right.value))]
    return None


def _equal(name: str, term: Term) -> Limit:
    if name == "operation":
        return ("operations", frozenset([str(term.value)]))
    return ("path", str(term.value))
