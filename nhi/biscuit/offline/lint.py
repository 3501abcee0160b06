# SPDX-License-Identifier: EUPL-1.2
"""Estimates what a token's blocks would cost to evaluate, and refuses what costs too much before it is evaluated.

The library looks at its clock between queries only and holds the interpreter meanwhile, so a token of one kilobyte
that its holder made offline could stop the process for half a minute. The estimate is an upper bound: every fact of
every block counts wherever its name fits, whatever is trusted. One unit is about a third of a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from nhi.biscuit.format.datalog import (
    BINARY_FFI,
    BINARY_REGEX,
    UNARY_FFI,
    Block,
    Op,
    OpKind,
    Predicate,
    Rule,
    Term,
    TermKind,
)
from nhi.biscuit.format.error import BiscuitError

MOST_COST: Final = 3000
"""Units that all checks of a token may cost, about a millisecond."""
RESERVED: Final = frozenset(
    [
        "time",
        "operation",
        "resource",
        "namespace_req",
        "method",
        "audience_srv",
        "client_ip4",
        "client_nets",
        "pop_proved",
        "body_sha256",
        "node",
        "issuer",
        "token_id",
        "issued",
        "workload",
        "namespace",
        "policy",
        "audience",
        "pop",
        "grant",
        "grant_listing",
    ]
)
"""Names of facts that only the server or the authority may state."""
_ADD: Final = 9
FEW_FACTS: Final = 16
"""Facts that are passed over in one unit."""
_LARGEST_AMBIENT: Final = 10
"""Size of the largest fact that the server states, a path; a set of networks is only given to who asks for it."""
_LARGE: Final = {"client_nets": 200}
_TEXT: Final = 64
"""Bytes of a text or of bytes that are compared or copied in one unit."""


class Costs:
    """The facts that the queries of one token can meet, and what their checks come to."""

    __slots__ = ("_ambient", "count", "facts", "largest", "scan")

    def __init__(
        self, blocks: Sequence[Block], ambient: Mapping[str, int], before: Costs | None = None
    ) -> None:
        """`ambient` tells how many facts the server adds, by name; `before` are those of the blocks before these."""
        self.facts: dict[str, tuple[Predicate, ...]] = {} if before is None else before.facts.copy()
        self._ambient = ambient
        self.largest: int = _LARGEST_AMBIENT if before is None else before.largest
        self.count: int = sum(ambient.values()) if before is None else before.count
        for block in blocks:
            self.count += len(block.facts)
            for fact in block.facts:
                self.facts[fact.name] = (*self.facts.get(fact.name, ()), fact)
                for term in fact.terms:
                    self.largest = max(self.largest, size(term))
        self.scan = 1 + self.count // FEW_FACTS

    def leave(self, before: Costs, asked: frozenset[str], added: Block) -> bool:
        """Whether checks that ask for `asked` cost what they did `before` this block was added."""
        return (self.scan, self.largest) == (before.scan, before.largest) and not any(
            fact.name in asked for fact in added.facts
        )

    def of(self, block: Block) -> int:
        """Return what the checks of a block cost; what no bound is known of raises `BiscuitError`."""
        return len(block.facts) // FEW_FACTS + sum(
            self._query(query) for check in block.checks for query in check.queries
        )

    def _query(self, query: Rule) -> int:
        asked = [_LARGE.get(predicate.name, 0) for predicate in query.body]
        largest = max([self.largest, *asked]) + sum(_literals(ops) for ops in query.expressions)
        cost, combinations = 1, 1
        for predicate in query.body:
            cost += combinations * self.scan
            combinations *= self._matches(predicate)
            cost += combinations * (1 + len(predicate.terms))
            if cost > MOST_COST:
                return cost
        each = sum(self._expression(ops, largest, within=False) for ops in query.expressions)
        return cost + combinations * each

    def _matches(self, predicate: Predicate) -> int:
        """Return how many facts a part of a query fits at most: constants must be equal, variables are free."""
        fixed = [
            (place, term) for place, term in enumerate(predicate.terms) if term.kind is not TermKind.VARIABLE
        ]
        arity = len(predicate.terms)
        found = self._ambient.get(predicate.name, 0)
        for fact in self.facts.get(predicate.name, ()):
            if len(fact.terms) == arity and all(fact.terms[place] == term for place, term in fixed):
                found += 1
        return found

    def _expression(self, ops: Iterable[Op], largest: int, *, within: bool) -> int:
        cost = 0
        for op in ops:
            if op.kind is OpKind.VALUE and op.term is not None:
                cost += 1 + (size(op.term) if op.term.kind is not TermKind.VARIABLE else largest) // 8
            elif op.kind is OpKind.CLOSURE:
                cost += self._closure(op, largest, within=within)
            else:
                cost += self._operator(op, largest)
        return cost

    def _operator(self, op: Op, largest: int) -> int:
        if op.kind is OpKind.UNARY:
            if op.code == UNARY_FFI:
                raise BiscuitError("a check calls a function outside of the language")
            return 1
        if op.code == BINARY_FFI:
            raise BiscuitError("a check calls a function outside of the language")
        if op.code == BINARY_REGEX:
            raise BiscuitError("a check has a regular expression")
        return 2 + largest // 4 + (self.scan + largest if op.code == _ADD else 0)

    def _closure(self, op: Op, largest: int, *, within: bool) -> int:
        if not op.params:
            return 1 + self._expression(op.ops, largest, within=within)
        if within:
            raise BiscuitError("a check goes through a collection within a collection")
        return largest * (4 + self._expression(op.ops, largest, within=True))


def size(term: Term) -> int:
    """Return how much a term is to copy or go through."""
    value = term.value
    if isinstance(value, tuple):
        return 1 + sum(map(size, value))
    if isinstance(value, str | bytes):
        return 1 + len(value) // _TEXT
    return 1


def _literals(ops: Iterable[Op]) -> int:
    """Return the size of all terms that an expression has: more than that it cannot put together from them."""
    total = 0
    for op in ops:
        if op.term is not None and op.term.kind is not TermKind.VARIABLE:
            total += size(op.term)
        total += _literals(op.ops)
    return total


def check_attenuation(block: Block) -> None:
    """Refuse a block that does more than narrow: rules, or facts that are not its maker's. Raises `BiscuitError`."""
    if block.rules:
        raise BiscuitError("a block has a rule")
    for fact in block.facts:
        if fact.name in RESERVED:
            raise BiscuitError("a block states a fact that only the server or the issuer may state")


def lint(blocks: Sequence[Block], ambient: Mapping[str, int], most: int = MOST_COST) -> int:
    """Return what all checks of a token cost. Raises `BiscuitError` for what is refused unevaluated."""
    for block in blocks[1:]:
        check_attenuation(block)
    costs = Costs(blocks, ambient)
    total = 0
    for block in blocks:
        total += costs.of(block)
        if total > most:
            raise BiscuitError("the checks are too costly")
    return total
