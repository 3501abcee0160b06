# SPDX-License-Identifier: EUPL-1.2
"""What each block of a chain restricts, in words, and what is odd about it.

Read off the structure of its checks; nothing is evaluated. What no form here describes is shown as Datalog.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Final, NamedTuple, cast

import msgspec

from nhi.biscuit.format.datalog import Block, Check, CheckKind, Op, OpKind, Rule, Term, TermKind
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.printer import print_check, print_key
from nhi.biscuit.offline.deadline import deadline_of_check
from nhi.biscuit.offline.facts import NETS
from nhi.biscuit.offline.lint import RESERVED
from nhi.biscuit.offline.noop_checks import always_holds
from vault.framework.clock import rfc3339
from vault.framework.request.operation import Operation
from vault.values.times import Millis, millis_to_nanos

NO_OP: Final = "no-op"
OUTLIVES: Final = "outlives-parent"
RESERVED_FACT: Final = "reserved-fact"
_MOST_TEXTS: Final = 8
_LONGEST_TEXT: Final = 240
_LESS, _CONTAINS, _STARTS = 0, 5, 6
_EQUAL: Final = frozenset({4, 21})

_NOTHING: Final = "nothing"
"""A check that holds for every request, as Datalog."""
_OWN: Final = "own"
"""A check that also asks for facts of its own block, as Datalog: in another block the same words ask something else."""
_EITHER: Final = "either"
"""One of several limits: a tuple of them."""
_OPERATIONS: Final = frozenset(
    one.value for one in Operation if one not in {Operation.HELP, Operation.HEADER}
)

Limit = tuple[str, object]
"""One thing that a block demands: `operations` with a set, `path` or `below` with a text, else one of those above,
words or its Datalog."""
_WORDS: Final = "words"
_ONE: Final = {
    "method": ("method", re.compile(r"[A-Z]{1,10}")),
    "body_sha256": ("one request, with the body of SHA-256", re.compile(r"[0-9a-f]{64}")),
    "namespace_req": ("namespace", re.compile(r"[\w./-]{0,200}")),
    "audience_srv": ("audience", re.compile(r"[\w.:/-]{1,200}")),
}
"""Facts of one text that are asked about by it alone: what that means, and how the text looks then."""
_KEYS: Final = {"jkt": "key", "x5t": "certificate"}
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class Attenuation(msgspec.Struct, frozen=True):
    """One block: what it restricts, the approver that signed it if there is one, and its anomalies."""

    narrowing: tuple[str, ...]
    approver: str
    anomalies: tuple[str, ...]


class AttenuationsSoFar(NamedTuple):
    """The blocks of a chain so far, the limits that these set, and the earliest end that one of them says (ms)."""

    found: tuple[Attenuation, ...] = ()
    before: tuple[Limit, ...] = ()
    until: Millis = Millis(0)


def attenuations(blocks: Sequence[Block]) -> tuple[Attenuation, ...]:
    """Return what each block of a chain does. It raises nothing: what does not print is said to be so."""
    so_far = AttenuationsSoFar()
    for block in blocks:
        so_far = next_attenuation(so_far, block, blocks[0])
    return so_far.found


def next_attenuation(so_far: AttenuationsSoFar, block: Block, authority: Block) -> AttenuationsSoFar:
    """Return a chain with one more block; `authority` is its first. Raises nothing, as `attenuations`."""
    place, before, until = len(so_far.found), so_far.before, so_far.until
    audience = _audience(authority)
    ends = [deadline_of_check(check) for check in block.checks]
    limits = [
        limit
        for check, ends_then in zip(block.checks, ends, strict=True)
        if not ends_then
        for limit in _limits(check, block, authority, audience)
    ]
    end = min(filter(None, ends), default=Millis(0))
    fresh = [
        limit for limit in limits if not _is_idle(limit) and not any(_implies(old, limit) for old in before)
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
        texts.append(f"until {rfc3339(millis_to_nanos(end))}")
    approver = print_key(block.external) if block.external is not None else ""
    this = Attenuation(_short(texts), approver, tuple(odd))
    return AttenuationsSoFar((*so_far.found, this), (*before, *fresh), end if shorter else until)


def _short(texts: Sequence[str]) -> tuple[str, ...]:
    """Return texts that fit a record: holders make them, and a symbol is as long as they like."""
    shown = [text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…" for text in texts]
    if len(shown) > _MOST_TEXTS:
        shown = [*shown[:_MOST_TEXTS], f"and {len(shown) - _MOST_TEXTS} more checks"]
    return tuple(shown)


def _text(limit: Limit) -> str:
    kind, value = limit
    if kind == _EITHER:
        return " or ".join(map(_text, cast("tuple[Limit, ...]", value)))
    if kind == "operations":
        return f"operations: {', '.join(sorted(cast('frozenset[str]', value)))}"
    return f"{kind}: {value}" if kind in {"path", "below"} else str(value)


def _implies(old: Limit, new: Limit) -> bool:
    """Whether a limit that was there before makes another one superfluous."""
    if old == new:
        return old[0] != _OWN
    if old[0] == _EITHER:
        return all(_implies(one, new) for one in cast("tuple[Limit, ...]", old[1]))
    if new[0] == _EITHER:
        return any(_implies(old, one) for one in cast("tuple[Limit, ...]", new[1]))
    if old[0] == new[0] == "operations":
        return cast("frozenset[str]", old[1]) <= cast("frozenset[str]", new[1])
    return new[0] == "below" and old[0] in {"path", "below"} and str(old[1]).startswith(str(new[1]))


def _is_idle(limit: Limit) -> bool:
    """Whether a limit takes nothing away from what anybody may do."""
    kind, value = limit
    if kind == _EITHER:
        return any(map(_is_idle, cast("tuple[Limit, ...]", value)))
    return (
        kind == _NOTHING
        or limit == ("below", "")
        or (kind == "operations" and cast("frozenset[str]", value) >= _OPERATIONS)
    )


def _limits(check: Check, block: Block, authority: Block, audience: str) -> list[Limit]:
    """Return what a check demands that sets no end in time."""
    if not check.queries:  # the library finds that none of them holds, whatever the kind
        return [(_WORDS, "lets nothing through")]
    idle = always_holds(check, block, authority)
    if check.kind is CheckKind.ONE and not idle:
        ways = [_way(query, audience) for query in check.queries]
        if len(ways) == 1 and ways[0] is not None:
            return ways[0]
        either = [way[0] for way in ways if way is not None and len(way) == 1]
        if len(either) == len(ways) and not any(" or " in _text(limit) for limit in either):
            return [(_EITHER, tuple(either))]
    stated = {fact.name for fact in block.facts}
    own = any(predicate.name in stated for query in check.queries for predicate in query.body)
    try:
        return [(_NOTHING if idle else _OWN if own else "check", print_check(check))]
    except BiscuitError:
        return [("check", "a check that does not print")]


def _way(query: Rule, audience: str) -> list[Limit] | None:
    """Return what one query of a check demands; None where it has no form that is known."""
    names = [predicate.name for predicate in query.body]
    terms = [predicate.terms for predicate in query.body]
    ops = query.expressions[0] if len(query.expressions) == 1 and len(query.expressions[0]) == 3 else ()
    if names == ["approved", "time"] and ops:
        (_, until), (now,) = terms if [len(one) for one in terms] == [2, 1] else ((None, None), (None,))
        keys = [print_key(scope.key) for scope in query.scopes if scope.key is not None]
        if _compares(ops, now, until, _LESS) and len(keys) == len(query.scopes) > 0:
            return [(_WORDS, f"fresh approval by {' or by '.join(keys)}")]
    if query.scopes:
        return None
    if names == ["audience_srv", "audience"] and ops and audience and [len(one) for one in terms] == [1, 1]:
        return [(_WORDS, audience)] if _compares(ops, terms[1][0], terms[0][0], _CONTAINS) else None
    if names == ["pop_proved"] and not query.expressions:
        kind, thumbprint = (str(term.value) for term in terms[0]) if len(terms[0]) == 2 else ("", "")
        strings = all(term.kind is TermKind.STRING for term in terms[0])
        if strings and kind in _KEYS and _THUMBPRINT.fullmatch(thumbprint):
            return [(_WORDS, f"only with the {_KEYS[kind]} {thumbprint}")]
        return None
    return _known(query)


def _compares(ops: Sequence[Op], left: Term | None, right: Term | None, code: int) -> bool:
    """Whether an expression is `left` and `right`, two variables, with one operator."""
    return (
        (ops[0].term, ops[1].term) == (left, right)
        and ops[2].kind is OpKind.BINARY
        and ops[2].code == code
        and all(term is not None and term.kind is TermKind.VARIABLE for term in (left, right))
        and left != right
    )


def _audience(authority: Block) -> str:
    """Return whom a token is for, in words; empty where its issuer says nothing, or something else."""
    told = [fact.terms for fact in authority.facts if fact.name == "audience"]
    if len(told) != 1 or len(told[0]) != 1 or told[0][0].kind is not TermKind.SET:
        return ""
    names = cast("tuple[Term, ...]", told[0][0].value)
    return "audience: " + ", ".join(sorted(str(name.value) for name in names))


def _known(query: Rule) -> list[Limit] | None:
    """Return the limits of a query in which each part has a form that is known; else None."""
    found: list[Limit] = []
    variables: dict[object, str] = {}
    for predicate in query.body:
        if predicate.name not in {"operation", "resource", NETS, *_ONE} or len(predicate.terms) != 1:
            return None
        term = predicate.terms[0]
        if predicate.name in _ONE:
            words, form = _ONE[predicate.name]
            text = str(term.value)
            if term.kind is not TermKind.STRING or not form.fullmatch(text):
                return None
            found.append((_WORDS, f"{words}: {text}"))
        elif term.kind is TermKind.VARIABLE and term.value not in variables:
            variables[term.value] = predicate.name
        elif term.kind is TermKind.STRING and predicate.name != NETS:
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
        if name == NETS:
            network = _network(str(right.value)) if code == _CONTAINS else ""
            return [(_WORDS, f"from {network}")] if network else None
        if code in _EQUAL:
            return [_equal(name, right)]
        if code == _STARTS and name == "resource":
            return [("below", str(right.value))]
    return None


def _network(text: str) -> str:
    """Return a network as the server spells it; empty for anything else."""
    try:
        return text if str(ip_network(text)) == text else ""
    except ValueError:
        return ""


def _equal(name: str, term: Term) -> Limit:
    if name == "operation":
        return ("operations", frozenset([str(term.value)]))
    return ("path", str(term.value))
