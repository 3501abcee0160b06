# SPDX-License-Identifier: EUPL-1.2
"""The grammar of HCL 1 and of its JSON form. Use `vault.framework.hcl.parser`, which imports this late."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedToken

from vault.framework.hcl.lexer import Lexeme, hcl_lexemes, json_lexemes
from vault.framework.hcl.syntax_tree import Block, HclError, Item, Value

_GRAMMAR = r"""
hcl: _items
_items: | _items item | _items item COMMA
item: key ASSIGN value | key braced | nested braced
nested: key key | nested key
key: STRING | IDENT
braced: LBRACE _items RBRACE
bracketed: _open RBRACK | _full RBRACK
_open: LBRACK | _open COMMA | _full COMMA
_full: _open value
?value: STRING | NUMBER | FLOAT | BOOL | HEREDOC | bracketed | braced

json: json_object
json_object: LBRACE RBRACE | LBRACE _pairs RBRACE
_pairs: pair | _pairs COMMA pair
pair: STRING COLON _json
json_list: LBRACK RBRACK | LBRACK _elements RBRACK
_elements: _json | _elements COMMA _json
_json: STRING | NUMBER | FLOAT | BOOL | NULL | json_list | json_object

%declare STRING IDENT NUMBER FLOAT BOOL HEREDOC NULL
%declare LBRACE RBRACE LBRACK RBRACK COMMA ASSIGN COLON SUB ADD PERIOD
"""

_VALUES = frozenset({"NUMBER", "FLOAT", "BOOL", "HEREDOC"})
_SIGNS = frozenset(
    {"LBRACE", "RBRACE", "LBRACK", "RBRACK", "COMMA", "ASSIGN", "COLON", "SUB", "ADD", "PERIOD"}
)
_KEYS = "expected: IDENT | STRING | ASSIGN | LBRACE got: "


class _PlacedValue:
    """A value and where it began, while its item is not complete."""

    __slots__ = ("column", "line", "value")

    def __init__(self, value: Value, line: int, column: int) -> None:
        self.value = value
        self.line = line
        self.column = column


def _values(children: list[object]) -> tuple[Value, ...]:
    return tuple(_placed(c).value for c in children if not _is_sign(c))


def _is_sign(child: object) -> bool:
    return isinstance(child, Token) and child.type in _SIGNS


def _placed(child: object) -> _PlacedValue:
    """A finished value as it is; a token as the value its lexeme carries."""
    if isinstance(child, _PlacedValue):
        return child
    assert isinstance(child, Token)
    lexeme: Lexeme = child.value
    return _PlacedValue(lexeme.value, lexeme.line, lexeme.column)


def _begun(children: list[object], value: Value) -> _PlacedValue:
    first = _placed(children[0])
    return _PlacedValue(value, first.line, first.column)


def _items_of(children: list[object]) -> tuple[Item, ...]:
    return tuple(c for c in children if isinstance(c, Item))


class _Builder(Transformer[Token, object]):
    """Turns each reduced rule into its value at once: no tree is built, so depth costs no recursion."""

    def hcl(self, children: list[object]) -> Block:
        return Block(_items_of(children))

    def json(self, children: list[object]) -> Block:
        block = _placed(children[0]).value
        assert isinstance(block, Block)
        return block

    def key(self, children: list[object]) -> list[_PlacedValue]:
        return [_placed(children[0])]

    def nested(self, children: list[object]) -> list[_PlacedValue]:
        first, last = children
        assert isinstance(first, list)
        assert isinstance(last, list)
        first += last  # changed in place: a copy for each key would make the cost of many keys quadratic
        return first

    def item(self, children: list[object]) -> Item:
        keys = children[0]
        assert isinstance(keys, list)
        return _item(keys, _placed(children[-1]), assigned=len(children) == 3)

    def pair(self, children: list[object]) -> Item:
        return _item([_placed(children[0])], _placed(children[-1]), assigned=True)

    def braced(self, children: list[object]) -> _PlacedValue:
        return _begun(children, Block(_items_of(children)))

    def bracketed(self, children: list[object]) -> _PlacedValue:
        return _begun(children, _values(children))

    json_object = braced
    json_list = bracketed


def _item(keys: list[_PlacedValue], value: _PlacedValue, *, assigned: bool) -> Item:
    return Item(
        keys=tuple(str(key.value) for key in keys),
        value=value.value,
        line=keys[0].line,
        column=keys[0].column,
        value_line=value.line,
        value_column=value.column,
        assigned=assigned,
    )


@cache
def _grammar() -> Lark:
    """The parse tables, built once in a process."""
    return Lark(_GRAMMAR, parser="lalr", lexer="basic", start=["hcl", "json"], transformer=_Builder())


def read(text: str, *, json: bool) -> Block:
    """Parse `text` in the named form; JSON is not flattened yet. Raises HclError."""
    lexemes: Callable[[str], list[Lexeme]] = json_lexemes if json else hcl_lexemes
    stream = lexemes(text)
    parser = _grammar().parse_interactive(start="json" if json else "hcl")
    lexeme = stream[-1]
    try:
        for lexeme in stream[:-1]:
            parser.feed_token(Token(lexeme.kind, lexeme))  # the value of a token may be anything
        lexeme = stream[-1]
        body = parser.feed_token(Token("$END", lexeme))
    except UnexpectedToken:
        expected = parser.accepts()  # type: ignore[no-untyped-call]  # lark leaves it bare
        reason = _json_reason(lexeme, expected) if json else _reason(lexeme, expected)
        raise HclError(lexeme.line, reason, lexeme.column, json=json) from None
    assert isinstance(body, Block)
    return body


def _reason(found: Lexeme, expected: set[str]) -> str:
    """OpenBao's words for a token in the wrong place, without the words of the text."""
    kind = found.kind
    if "RBRACK" in expected:
        if "NUMBER" in expected:
            return f"unexpected token while parsing list: {kind}"
        return f"error parsing list, expected comma or list end, got: {kind}"
    if expected >= _VALUES:
        sign = f" {found.text}" if kind in _SIGNS else ""
        return f"Unknown token: {found.line}:{found.column} {kind}{sign}"
    if "LBRACE" in expected:
        if kind in ("EOF", "RBRACE"):
            return "key expected start of object ('{') or assignment ('=')"
        return f"nested object expected: LBRACE got: {kind}" if kind == "ASSIGN" else _KEYS + kind
    if kind == "EOF":
        return "object expected closing RBRACE got: EOF"
    if kind == "ASSIGN":
        return "no object keys found!"
    return f"expected: IDENT | STRING got: {kind}" if kind == "LBRACE" else _KEYS + kind


def _json_reason(found: Lexeme, expected: set[str]) -> str:
    names = sorted("EOF" if name == "$END" else name for name in expected)
    return f"expected: {' | '.join(names)} got: {found.kind}"
