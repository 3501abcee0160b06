# SPDX-License-Identifier: EUPL-1.2
"""Decodes compiled blocks: strictly, and with a limit on nesting, before any other code uses them."""

from __future__ import annotations

from typing import Final, Protocol

from nhi.biscuit.format.chain import Chain, Key, SignedBlock, read_key
from nhi.biscuit.format.datalog import (
    BINARY_FFI,
    LARGEST_BINARY,
    LARGEST_UNARY,
    UNARY_FFI,
    Block,
    Check,
    CheckKind,
    Op,
    OpKind,
    Predicate,
    Rule,
    Scope,
    ScopeKind,
    Tables,
    Term,
    TermKind,
)
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.protobuf import BYTES, LARGEST_64, NUMBER, Value, read_all, read_one

DEEPEST: Final = 16
"""Terms within terms, and closures within closures; the library takes some 40 of the first."""
MOST_PARTS: Final = 65_536
"""Parts of a token that is shown; what is taken is a matter of `nhi.biscuit.offline.verify.TokenLimits`."""
LONGEST_KNOWN: Final = 1024
"""Bytes of the longest check that is remembered."""
VERSIONS: Final = range(3, 7)
"""Versions of the language: 3.0 to 3.3."""
_BLOCK: Final = {1: BYTES, 2: BYTES, 3: NUMBER, 4: BYTES, 5: BYTES, 6: BYTES, 7: BYTES, 8: BYTES}
_RULE: Final = {1: BYTES, 2: BYTES, 3: BYTES, 4: BYTES}
_PREDICATE: Final = {1: NUMBER, 2: BYTES}
_TERM: Final = {
    1: NUMBER,
    2: NUMBER,
    3: NUMBER,
    4: NUMBER,
    5: BYTES,
    6: NUMBER,
    7: BYTES,
    8: BYTES,
    9: BYTES,
    10: BYTES,
}
_OP: Final = {1: BYTES, 2: BYTES, 3: BYTES, 4: BYTES}
_ONE: Final = {1: BYTES}
_PAIR: Final = {1: BYTES, 2: BYTES}
_NUMBERS: Final = {1: NUMBER, 2: NUMBER}
_CHECK: Final = {1: BYTES, 2: NUMBER}
_CLOSURE: Final = {1: NUMBER, 2: BYTES}
_TERM_KINDS: Final = {int(kind): kind for kind in TermKind}
_OP_KINDS: Final = {int(kind): kind for kind in OpKind}


CheckKey = tuple[tuple[str, ...], tuple[Key, ...], bytes]
"""All that a check is read from: the texts and keys that were named so far, and its bytes."""


class KnownChecks(Protocol):
    """Remembers checks with how many parts each has, some of them, for some time: holders write the same ones again."""

    def get(self, key: CheckKey, /) -> tuple[Check, int] | None:
        """Return what is remembered."""
        ...

    def put(self, key: CheckKey, value: tuple[Check, int]) -> None:
        """Remember what was read."""
        ...


def read_blocks(chain: Chain, most: int = MOST_PARTS) -> tuple[Block, ...]:
    """Read every block of a token, which have at most `most` parts together (statements, terms, steps of expressions).

    Raises `BiscuitError`.
    """
    tables = Tables()
    blocks = []
    for place, signed in enumerate(chain.blocks):
        block, most = read_block(signed, place, tables, most)
        blocks.append(block)
    return tuple(blocks)


def read_block(
    signed: SignedBlock, place: int, tables: Tables, most: int, known: KnownChecks | None = None
) -> tuple[Block, int]:
    """Read one block, with at most `most` parts; return it, and how many others may still have. It adds to `tables`.

    A third party's block starts from its own tables. A check that is `known` is not read again. Raises `BiscuitError`.
    """
    external = signed.external.key if signed.external is not None else None
    reader = _Reader(f"block {place}", tables if external is None else Tables(), most, known)
    return reader.block(signed.block, external), reader.left


class _Reader:
    """Reads one block; `what` names it in refusals, `left` is how many parts it may still have."""

    __slots__ = ("known", "left", "tables", "what")

    def __init__(self, what: str, tables: Tables, left: int, known: KnownChecks | None) -> None:
        self.what = what
        self.known = known
        self.tables = tables
        self.left = left

    def block(self, data: bytes, external: Key | None) -> Block:
        context: str | None = None
        version = 0
        parts: dict[int, list[bytes]] = {number: [] for number in _BLOCK}
        for number, value in read_all(data, self.what, _BLOCK, (1, 4, 5, 6, 7, 8), LARGEST_64):
            if isinstance(value, int):
                version = value
            elif number == 2:
                context = self.text(value)
            else:
                self.spend()
                parts[number].append(value)
        if version not in VERSIONS:
            raise self.wrong("a version of the language that is not known here")
        keys = [read_key(part, self.what) for part in parts[8]]
        if not self.tables.extend([self.text(part) for part in parts[1]], keys):
            raise self.wrong("a symbol or a key that was there before")
        return Block(
            context,
            version,
            tuple([self.fact(part) for part in parts[4]]),
            tuple([self.rule(part) for part in parts[5]]),
            tuple(self.checks(parts[6])),
            tuple([self.scope(part) for part in parts[7]]),
            external,
        )

    def spend(self, parts: int = 1) -> None:
        self.left -= parts
        if self.left < 0:
            raise BiscuitError("the blocks have too many parts")

    def wrong(self, problem: str) -> BiscuitError:
        return BiscuitError(f"{self.what}: has {problem}")

    def text(self, data: Value) -> str:
        if not isinstance(data, bytes):
            raise self.wrong("a number in place of a text")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise self.wrong("a text that is not UTF-8") from None

    def symbol(self, number: Value) -> str:
        found = self.tables.symbol(number) if isinstance(number, int) else None
        if found is None:
            raise self.wrong("a symbol that was not declared")
        return found

    def bytes_of(self, data: Value) -> bytes:
        if not isinstance(data, bytes):
            raise self.wrong("a number in place of a message")
        return data

    def only(self, data: bytes) -> bytes:
        """Return the one message that a message consists of."""
        return self.bytes_of(read_one(data, self.what, _ONE)[1])

    def fact(self, data: bytes) -> Predicate:
        fact = self.predicate(self.only(data))
        if any(term.kind is TermKind.VARIABLE for term in fact.terms):
            raise self.wrong("a fact with a variable")
        return fact

    def predicate(self, data: bytes) -> Predicate:
        self.spend()
        name: str | None = None
        terms = []
        for number, value in read_all(data, self.what, _PREDICATE, (2,), LARGEST_64):
            if number == 1:
                name = self.symbol(value)
            else:
                terms.append(self.term(self.bytes_of(value), 0))
        if name is None:
            raise self.wrong("a predicate without a name")
        return Predicate(name, tuple(terms))

    def term(self, data: bytes, depth: int) -> Term:
        if depth > DEEPEST:
            raise self.wrong(f"terms that are nested more than {DEEPEST} deep")
        self.spend()
        number, value = read_one(data, self.what, _TERM, LARGEST_64)
        kind = _TERM_KINDS[number]
        if isinstance(value, int):
            return Term(kind, self.number(kind, value))
        if kind is TermKind.BYTES:
            return Term(kind, value)
        if kind is TermKind.NULL:
            if value:
                raise self.wrong("a null with content")
            return Term(kind, None)
        if kind is TermKind.MAP:
            return Term(kind, self.entries(value, depth))
        parts = read_all(value, self.what, _ONE, (1,))
        return Term(kind, tuple([self.term(self.bytes_of(part), depth + 1) for _, part in parts]))

    def number(self, kind: TermKind, value: int) -> str | int | bool:
        if kind is TermKind.VARIABLE or kind is TermKind.STRING:
            return self.symbol(value)
        if kind is TermKind.INTEGER:
            return value - (1 << 64) if value >= 1 << 63 else value
        if kind is TermKind.BOOL:
            if value > 1:
                raise self.wrong("a truth value that is neither 0 nor 1")
            return bool(value)
        return value

    def entries(self, data: bytes, depth: int) -> tuple[Term, ...]:
        flat: list[Term] = []
        for _, part in read_all(data, self.what, _ONE, (1,)):
            entry = dict(read_all(self.bytes_of(part), self.what, _PAIR, ()))
            if 2 not in entry:
                raise self.wrong("an entry of a map without a value")
            number, value = read_one(self.bytes_of(entry.get(1, b"")), self.what, _NUMBERS, LARGEST_64)
            kind = TermKind.INTEGER if number == 1 else TermKind.STRING
            flat.append(Term(kind, self.number(kind, value if isinstance(value, int) else 0)))
            flat.append(self.term(self.bytes_of(entry[2]), depth + 1))
        return tuple(flat)

    def rule(self, data: bytes) -> Rule:
        head: Predicate | None = None
        body: list[Predicate] = []
        expressions: list[tuple[Op, ...]] = []
        scopes: list[Scope] = []
        for number, value in read_all(data, self.what, _RULE, (2, 3, 4)):
            self.spend()
            part = self.bytes_of(value)
            if number == 1:
                head = self.predicate(part)
            elif number == 2:
                body.append(self.predicate(part))
            elif number == 3:
                steps = read_all(part, self.what, _ONE, (1,))
                expressions.append(tuple([self.op(self.bytes_of(step), 0) for _, step in steps]))
            else:
                scopes.append(self.scope(part))
        if head is None:
            raise self.wrong("a rule without a head")
        return Rule(head, tuple(body), tuple(expressions), tuple(scopes))

    def checks(self, datas: list[bytes]) -> list[Check]:
        known = self.known
        if known is None or not datas:
            return [self.check(data) for data in datas]
        symbols, keys = tuple(self.tables.symbols), tuple(self.tables.keys)
        found = []
        for data in datas:
            key = symbols, keys, data
            remembered = known.get(key)
            if remembered is not None:
                check, parts = remembered
                self.spend(parts)
            else:
                before = self.left
                check = self.check(data)
                if len(data) <= LONGEST_KNOWN:
                    known.put(key, (check, before - self.left))
            found.append(check)
        return found

    def check(self, data: bytes) -> Check:
        queries = []
        kind = 0
        for number, value in read_all(data, self.what, _CHECK, (1,)):
            self.spend()
            if number == 1:
                queries.append(self.rule(self.bytes_of(value)))
            elif isinstance(value, int):
                kind = value
        if kind > CheckKind.REJECT:
            raise self.wrong("a check of a kind that is not known here")
        return Check(CheckKind(kind), tuple(queries))

    def scope(self, data: bytes) -> Scope:
        number, value = read_one(data, self.what, _NUMBERS, LARGEST_64)
        if number == 1 and value in (0, 1):
            return Scope(ScopeKind(int(value)))
        key = self.tables.key(value) if number == 2 and isinstance(value, int) else None
        if key is None:
            raise self.wrong("a scope that is not known here")
        return Scope(ScopeKind.KEY, key)

    def op(self, data: bytes, depth: int) -> Op:
        if depth > DEEPEST:
            raise self.wrong(f"closures that are nested more than {DEEPEST} deep")
        self.spend()
        number, value = read_one(data, self.what, _OP)
        part = self.bytes_of(value)
        kind = _OP_KINDS[number]
        if kind is OpKind.VALUE:
            return Op(kind, self.term(part, 0))
        if kind is OpKind.CLOSURE:
            return self.closure(part, depth)
        code, name = 0, ""
        for place, code_or_name in read_all(part, self.what, _NUMBERS, (), LARGEST_64):
            if place == 2:
                name = self.symbol(code_or_name)
            elif isinstance(code_or_name, int):
                code = code_or_name
        largest, external = (
            (LARGEST_UNARY, UNARY_FFI) if kind is OpKind.UNARY else (LARGEST_BINARY, BINARY_FFI)
        )
        if code > largest or (code == external) is not bool(name):
            raise self.wrong("an operator that is not known here")
        return Op(kind, None, code, name)

    def closure(self, data: bytes, depth: int) -> Op:
        params: list[str] = []
        ops: list[Op] = []
        for number, value in read_all(data, self.what, _CLOSURE, (1, 2)):
            if number == 1:
                params.append(self.symbol(value))
            else:
                ops.append(self.op(self.bytes_of(value), depth + 1))
        return Op(OpKind.CLOSURE, None, 0, "", tuple(params), tuple(ops))
