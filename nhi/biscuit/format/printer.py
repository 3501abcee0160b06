# SPDX-License-Identifier: EUPL-1.2
"""What a block says, as Datalog for people. Every text is escaped, so that no fact can look like two.

The library's own printer does not escape; it is never used.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, cast

from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.format.chain import Key
from nhi.biscuit.format.datalog import (
    BINARY_FFI,
    Block,
    Check,
    Op,
    OpKind,
    Predicate,
    Rule,
    Scope,
    ScopeKind,
    Term,
    TermKind,
)
from nhi.biscuit.format.error import BiscuitError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999, the last that a calendar shows."""
_UNARY: Final = ("!{0}", "({0})", "{0}.length()", "{0}.type()", "{0}.extern::{1}()")
_INFIX: Final = {
    0: "<",
    1: ">",
    2: "<=",
    3: ">=",
    4: "===",
    9: "+",
    10: "-",
    11: "*",
    12: "/",
    13: "&&!",
    14: "||!",
    17: "&",
    18: "|",
    19: "^",
    20: "!==",
    21: "==",
    22: "!=",
    23: "&&",
    24: "||",
}
_METHODS: Final = {
    5: "contains",
    6: "starts_with",
    7: "ends_with",
    8: "matches",
    15: "intersection",
    16: "union",
    25: "all",
    26: "any",
    27: "get",
    29: "try_or",
}
_CHECKS: Final = ("check if", "check all", "reject if")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def print_block(block: Block) -> str:
    """Return everything that a block says, one statement a line. Raises `BiscuitError` for a broken expression."""
    lines = []
    if block.scopes:
        lines.append(f"trusting {_scopes(block.scopes)}")
    lines += [print_predicate(fact) for fact in block.facts]
    lines += [print_rule(rule) for rule in block.rules]
    lines += [print_check(check) for check in block.checks]
    return "".join(f"{line};\n" for line in lines)


def print_rule(rule: Rule) -> str:
    """Return a rule. Raises `BiscuitError` for a broken expression."""
    return f"{print_predicate(rule.head)} <- {_body(rule)}"


def print_check(check: Check) -> str:
    """Return a check. Raises `BiscuitError` for a broken expression."""
    return f"{_CHECKS[check.kind]} {' or '.join(map(_body, check.queries))}"


def print_predicate(predicate: Predicate) -> str:
    """Return a fact, or a part of a rule."""
    return f"{_name(predicate.name)}({', '.join(map(print_term, predicate.terms))})"


def print_key(key: Key) -> str:
    """Return a public key as Datalog names it."""
    return f"{'ed25519' if key.algorithm is Algorithm.ED25519 else 'secp256r1'}/{key.data.hex()}"


def print_term(term: Term) -> str:
    """Return a term."""
    kind, value = term.kind, term.value
    if kind is TermKind.STRING:
        return quoted(cast("str", value))
    if kind is TermKind.VARIABLE:
        return f"${_name(cast('str', value))}"
    if kind is TermKind.BYTES:
        return f"hex:{cast('bytes', value).hex()}"
    if kind is TermKind.DATE:
        return _date(cast("int", value))
    if kind is TermKind.BOOL:
        return "true" if value else "false"
    if kind is TermKind.NULL:
        return "null"
    if kind is TermKind.INTEGER:
        return str(value)
    parts = [print_term(part) for part in cast("tuple[Term, ...]", value)]
    if kind is TermKind.MAP:
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return "{" + ", ".join(f"{key}: {entry}" for key, entry in pairs) + "}"
    if kind is TermKind.ARRAY:
        return f"[{', '.join(parts)}]"
    return "{" + (", ".join(parts) or ",") + "}"


def quoted(text: str) -> str:
    """Return a text between quotes that cannot end it early; what does not print is shown by its number."""
    return (
        '"'
        + "".join(_ESCAPES.get(one) or (one if one.isprintable() else _numbered(one)) for one in text)
        + '"'
    )


def _numbered(one: str) -> str:
    return f"\\u{{{ord(one):x}}}"


def _name(name: str) -> str:
    """Return a name as it is, or between quotes where it could be taken for something else."""
    return name if name.replace("_", "a").replace(":", "a").isalnum() else quoted(name)


def _date(seconds: int) -> str:
    if seconds > LAST_SECOND:
        return f"<second {seconds}>"
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _body(rule: Rule) -> str:
    parts = [print_predicate(predicate) for predicate in rule.body]
    parts += [print_expression(ops) for ops in rule.expressions]
    scopes = f" trusting {_scopes(rule.scopes)}" if rule.scopes else ""
    return ", ".join(parts) + scopes


def _scopes(scopes: tuple[Scope, ...]) -> str:
    return ", ".join(
        print_key(scope.key) if scope.key is not None else ScopeKind(scope.kind).name.lower()
        for scope in scopes
    )


def print_expression(ops: tuple[Op, ...]) -> str:
    """Return an expression. Raises `BiscuitError` where its steps do not make one value."""
    stack: list[str] = []
    for op in ops:
        if op.kind is OpKind.VALUE and op.term is not None:
            stack.append(print_term(op.term))
        elif op.kind is OpKind.CLOSURE:
            stack.append(_closure(op))
        elif op.kind is OpKind.UNARY and stack:
            stack.append(_UNARY[op.code].format(stack.pop(), _name(op.name)))
        elif op.kind is OpKind.BINARY and len(stack) > 1:
            right, left = stack.pop(), stack.pop()
            stack.append(_binary(op, left, right))
        else:
            stack.clear()
            break
    if len(stack) != 1:
        raise BiscuitError("an expression does not come to one value")
    return stack[0]


def _closure(op: Op) -> str:
    body = print_expression(op.ops)
    if not op.params:
        return body
    params = [f"${_name(name)}" for name in op.params]
    return f"{params[0] if len(params) == 1 else f'({chr(44).join(params)})'} -> {body}"


def _binary(op: Op, left: str, right: str) -> str:
    if op.code in _INFIX:
        return f"{left} {_INFIX[op.code]} {right}"
    method = f"extern::{_name(op.name)}" if op.code == BINARY_FFI else _METHODS[op.code]
    return f"{left}.{method}({right})"
