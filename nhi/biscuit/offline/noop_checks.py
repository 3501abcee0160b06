# SPDX-License-Identifier: EUPL-1.2
"""Checks without effect, however they are written: they hold for every request that can be made here.

Read off their structure, and nothing is evaluated but two constants that are compared. A check that is said to
have no effect has none; one without effect for any other reason is not found.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Final, cast

from nhi.biscuit.format.datalog import Block, Check, CheckKind, Op, OpKind, Predicate, Rule, Term, TermKind
from nhi.biscuit.offline.lint import RESERVED

_ALWAYS: Final = frozenset(
    {"time", "operation", "resource", "namespace_req", "method", "audience_srv", "body_sha256"}
)
"""Facts of one term that the server states of every request."""
_NOT, _PARENTHESES = 0, 1
_EQUAL: Final = frozenset({4, 21})
_ALIKE: Final[dict[int, Callable[[object, object], bool]]] = {
    4: operator.eq,
    20: operator.ne,
    21: operator.eq,
    22: operator.ne,
}
_ORDERED: Final[dict[int, Callable[[int, int], bool]]] = {
    0: operator.lt,
    1: operator.gt,
    2: operator.le,
    3: operator.ge,
}
_SCALARS: Final = frozenset({TermKind.INTEGER, TermKind.STRING, TermKind.DATE, TermKind.BYTES, TermKind.BOOL})


def always_holds(check: Check, block: Block, authority: Block) -> bool:
    """Whether a check of `block` holds for every request of every client."""
    if check.kind is CheckKind.REJECT:
        return bool(check.queries) and all(_never(query, block, authority) for query in check.queries)
    for query in check.queries:
        truths = _truths(query)
        if all(truths) and _always_fits(query, block, authority):
            return True
        if None in truths:  # it may come to an error, and then nothing after it counts
            return False
    return False


def _always_fits(query: Rule, block: Block, authority: Block) -> bool:
    """Whether what a query asks for is there for every request, and it compares that with nothing."""
    bound = _variables(query)
    stated = block.facts if query.scopes or block.scopes else (*authority.facts, *block.facts)
    return len(set(bound)) == len(bound) and all(_is_there(predicate, stated) for predicate in query.body)


def _truths(query: Rule) -> list[bool | None]:
    """Return what each expression comes to, as `_truth`."""
    bound = _variables(query)
    return [_truth(ops, bound) for ops in query.expressions]


def _variables(query: Rule) -> list[Term]:
    return [term for predicate in query.body for term in predicate.terms if term.kind is TermKind.VARIABLE]


def _is_there(predicate: Predicate, stated: Sequence[Predicate]) -> bool:
    """Whether some fact fits a part of a query for every request; its variables must be nowhere else."""
    if predicate.name in _ALWAYS:
        return [term.kind for term in predicate.terms] == [TermKind.VARIABLE]
    return any(
        fact.name == predicate.name
        and len(fact.terms) == len(predicate.terms)
        and all(
            asked.kind is TermKind.VARIABLE or asked == said
            for asked, said in zip(predicate.terms, fact.terms, strict=True)
        )
        for fact in stated
    )


def _never(query: Rule, block: Block, authority: Block) -> bool:
    """Whether a query holds for no request: something in it is false, or it asks for a fact that is never stated."""
    named = {fact.name for fact in (*authority.facts, *block.facts)} | RESERVED
    if not (query.scopes or block.scopes) and any(predicate.name not in named for predicate in query.body):
        return True
    truths = _truths(query)
    return False in truths and None not in truths


def _truth(ops: Sequence[Op], bound: Sequence[Term]) -> bool | None:
    """Return what an expression comes to whatever the facts are; None where that depends on them, or is not known."""
    stack: list[Term] = []
    for op in ops:
        if op.kind is OpKind.VALUE and op.term is not None:
            if op.term.kind is TermKind.VARIABLE and op.term not in bound:
                return None
            stack.append(op.term)
        elif op.kind is OpKind.UNARY and op.code == _NOT and stack and stack[-1].kind is TermKind.BOOL:
            stack.append(Term(TermKind.BOOL, not stack.pop().value))
        elif op.kind is OpKind.BINARY and len(stack) > 1:
            right, left = stack.pop(), stack.pop()
            found = _compared(left, right, op.code)
            if found is None:
                return None
            stack.append(Term(TermKind.BOOL, found))
        elif op.kind is not OpKind.UNARY or op.code != _PARENTHESES:
            return None
    last = stack[-1] if len(stack) == 1 else None
    return cast("bool", last.value) if last is not None and last.kind is TermKind.BOOL else None


def _compared(left: Term, right: Term, code: int) -> bool | None:
    """Return how two terms compare; None where a variable, a type or another operator leaves that open."""
    if left == right and code in _EQUAL:
        return True
    if left.kind is not right.kind or left.kind not in _SCALARS:
        return None
    if code in _ALIKE:
        return _ALIKE[code](left.value, right.value)
    if code in _ORDERED and left.kind in {TermKind.INTEGER, TermKind.DATE}:
        return _ORDERED[code](cast("int", left.value), cast("int", right.value))
    return None
