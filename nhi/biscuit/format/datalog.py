# SPDX-License-Identifier: EUPL-1.2
"""What a block says, as values: facts, rules and checks with their symbols looked up. It evaluates nothing."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import msgspec

from nhi.biscuit.format.chain import Key

DEFAULT_SYMBOLS: Final = [
    "read",
    "write",
    "resource",
    "operation",
    "right",
    "time",
    "role",
    "owner",
    "tenant",
    "namespace",
    "user",
    "team",
    "service",
    "admin",
    "email",
    "group",
    "member",
    "ip_address",
    "client",
    "client_ip",
    "domain",
    "path",
    "version",
    "cluster",
    "node",
    "hostname",
    "nonce",
    "query",
]
"""Texts that every token knows (Biscuit specification, "Symbol table")."""
_DEFAULT: Final = frozenset(DEFAULT_SYMBOLS)
FIRST_OWN_SYMBOL: Final = 1024


class TermKind(IntEnum):
    """What a term is; the numbers are the format's."""

    VARIABLE = 1
    INTEGER = 2
    STRING = 3
    DATE = 4
    BYTES = 5
    BOOL = 6
    SET = 7
    NULL = 8
    ARRAY = 9
    MAP = 10


class Term(msgspec.Struct, frozen=True, gc=False):
    """A term. `value` of a variable is its name, of a date seconds since the epoch, of a map its flat entries."""

    kind: TermKind
    value: str | int | bytes | bool | tuple[Term, ...] | None


class Predicate(msgspec.Struct, frozen=True, gc=False):
    """A name with terms; a fact when none of them is a variable."""

    name: str
    terms: tuple[Term, ...]


class OpKind(IntEnum):
    """What a step of an expression is; the numbers are the format's."""

    VALUE = 1
    UNARY = 2
    BINARY = 3
    CLOSURE = 4


class Op(msgspec.Struct, frozen=True, gc=False):
    """One step of an expression, which is written in postfix order.

    `code` is the number of a unary or binary operator; `name` that of an external function.
    """

    kind: OpKind
    term: Term | None = None
    code: int = 0
    name: str = ""
    params: tuple[str, ...] = ()
    ops: tuple[Op, ...] = ()


class ScopeKind(IntEnum):
    """Whose facts a rule trusts."""

    AUTHORITY = 0
    PREVIOUS = 1
    KEY = 2


class Scope(msgspec.Struct, frozen=True, gc=False):
    """One origin that is trusted beside the block itself, the authority and the authoriser."""

    kind: ScopeKind
    key: Key | None = None


class Rule(msgspec.Struct, frozen=True, gc=False):
    """A rule, or one query of a check, whose head means nothing then."""

    head: Predicate
    body: tuple[Predicate, ...]
    expressions: tuple[tuple[Op, ...], ...]
    scopes: tuple[Scope, ...]


class CheckKind(IntEnum):
    """How many matches a check wants; the numbers are the format's."""

    ONE = 0
    ALL = 1
    REJECT = 2


class Check(msgspec.Struct, frozen=True, gc=False):
    """A condition that must hold."""

    kind: CheckKind
    queries: tuple[Rule, ...]


class Block(msgspec.Struct, frozen=True, gc=False):
    """What one block says. `version` is that of the language."""

    context: str | None
    version: int
    facts: tuple[Predicate, ...]
    rules: tuple[Rule, ...]
    checks: tuple[Check, ...]
    scopes: tuple[Scope, ...]
    external: Key | None = None
    """Whose block it is, where a third party vouches for it."""


UNARY_FFI: Final = 4
BINARY_REGEX: Final = 8
BINARY_AND: Final = 13
BINARY_OR: Final = 14
BINARY_LAZY_AND: Final = 23
BINARY_LAZY_OR: Final = 24
BINARY_ALL: Final = 25
BINARY_ANY: Final = 26
BINARY_FFI: Final = 28
BINARY_TRY_OR: Final = 29
LARGEST_UNARY: Final = 4
LARGEST_BINARY: Final = 29


class Tables:
    """The texts and keys that a token has named so far."""

    __slots__ = ("keys", "symbols")

    def __init__(self, before: Tables | None = None) -> None:
        """`before` is what it begins with, and stays as it is."""
        self.symbols: list[str] = [] if before is None else before.symbols.copy()
        self.keys: list[Key] = [] if before is None else before.keys.copy()

    def symbol(self, number: int) -> str | None:
        """Return the text with a number, or None."""
        if number < FIRST_OWN_SYMBOL:
            return DEFAULT_SYMBOLS[number] if number < len(DEFAULT_SYMBOLS) else None
        place = number - FIRST_OWN_SYMBOL
        return self.symbols[place] if place < len(self.symbols) else None

    def key(self, number: int) -> Key | None:
        """Return the key with a number, or None."""
        return self.keys[number] if 0 <= number < len(self.keys) else None

    def extend(self, symbols: Sequence[str], keys: Sequence[Key]) -> bool:
        """Take in what a block adds; False where it repeats what is there, which would give one text two numbers."""
        added = set(symbols)
        if len(added) != len(symbols) or not _DEFAULT.isdisjoint(added) or not added.isdisjoint(self.symbols):
            return False
        if keys and len({*self.keys, *keys}) != len(self.keys) + len(keys):
            return False
        self.symbols.extend(symbols)
        self.keys.extend(keys)
        return True
