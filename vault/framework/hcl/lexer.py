# SPDX-License-Identifier: EUPL-1.2
"""The tokens of HCL 1 and of its JSON form, with their positions. Errors name the place, never the text."""

from __future__ import annotations

import bisect
import json
import math
import re
from collections.abc import Callable, Iterator

import msgspec

from vault.framework.hcl.syntax_tree import MAX_DEPTH, MAX_LEXEMES, HclError

Scalar = str | int | float | bool | None

_SIGN_NAMES = {
    "{": "LBRACE",
    "}": "RBRACE",
    "[": "LBRACK",
    "]": "RBRACK",
    ",": "COMMA",
    "=": "ASSIGN",
    ":": "COLON",
    "-": "SUB",
    "+": "ADD",
    ".": "PERIOD",
}
_HCL = re.compile(
    r"""
    (?P<skip> [ \t\r\n]+ | \#[^\n]* | //[^\n]* | /\*[\s\S]*?\*/ )
  | (?P<IDENT> [^\W\d][\w.\-]* )
  | (?P<FLOAT> -?(?: [0-9]+\.[0-9]*(?:[eE][+\-]?[0-9]*)? | \.[0-9]+(?:[eE][+\-]?[0-9]*)? | [0-9]+[eE][+\-]?[0-9]* ) )
  | (?P<NUMBER> -?(?: 0[xX][0-9a-fA-F]* | [0-9]+ ) )
  | (?P<quote> " )
  | (?P<heredoc> << )
  | (?P<sign> [{}\[\],=+.\-] )
    """,
    re.VERBOSE,
)
_JSON = re.compile(
    r"""
    (?P<skip> [ \t\r\n]+ )
  | (?P<STRING> "(?: [^"\\\x00-\x1f] | \\["\\/bfnrt] | \\u[0-9a-fA-F]{4} )*" )
  | (?P<FLOAT> -?(?:0|[1-9][0-9]*)(?: \.[0-9]+(?:[eE][+\-]?[0-9]+)? | [eE][+\-]?[0-9]+ ) )
  | (?P<NUMBER> -?(?:0|[1-9][0-9]*)(?![0-9]) )
  | (?P<word> (?:true|false|null)\b )
  | (?P<sign> [{}\[\],:] )
    """,
    re.VERBOSE,
)
_ANCHOR = re.compile(r"<<(-?)(\w*)(\r*)(\n|\Z|.)")
_PLAIN = re.compile(r'[^"\\\n${}]+')
_ESCAPE = re.compile(r'\\(?:([abfnrtv\\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))')
_ESCAPE_BEGUN = re.compile(r"\\(?:[xuU][0-9a-fA-F]*)?")
_SIMPLE = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))
_WORDS: dict[str, tuple[str, Scalar]] = {
    "true": ("BOOL", True),
    "false": ("BOOL", False),
    "null": ("NULL", None),
}


class Lexeme(msgspec.Struct, frozen=True):
    """One token: its kind, decoded value, sign (empty for anything that carries a value), line and column."""

    kind: str
    value: Scalar
    text: str
    line: int
    column: int


class _Text:
    """The text and the position arithmetic on it."""

    def __init__(self, text: str, *, json: bool) -> None:
        self.text = text
        self.json = json
        self.starts = [0, *(m.end() for m in re.finditer("\n", text))]

    def place(self, offset: int) -> tuple[int, int]:
        line = bisect.bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def error(self, offset: int, message: str) -> HclError:
        line, column = self.place(offset)
        return HclError(line, message, column, json=self.json)


Raw = tuple[str, Scalar, str, int]
"""Kind, value, sign and offset."""


def hcl_lexemes(text: str) -> list[Lexeme]:
    """The tokens of an HCL text, `EOF` last. Raises HclError."""
    return _collect(_Text(text, json=False), _hcl_raw, end_shift=1)


def json_lexemes(text: str) -> list[Lexeme]:
    """The tokens of a JSON text, `EOF` last. Raises HclError."""
    return _collect(_Text(text, json=True), _json_raw, end_shift=0)


def _collect(source: _Text, raws: Callable[[_Text], Iterator[Raw]], *, end_shift: int) -> list[Lexeme]:
    """Place each token and hold the nesting under its limit. OpenBao reports the end one column late in HCL."""
    _refuse_unprintable(source)
    found: list[Lexeme] = []
    depth = 0
    for kind, value, sign, offset in raws(source):
        if sign and sign in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise source.error(offset, f"nested deeper than {MAX_DEPTH} levels")
        elif sign and sign in "}]":
            depth -= 1
        if len(found) >= MAX_LEXEMES:
            raise source.error(offset, f"more than {MAX_LEXEMES} words and signs")
        found.append(Lexeme(kind, value, sign, *source.place(offset)))
    line, column = source.place(len(source.text))
    found.append(Lexeme("EOF", None, "", line, column + end_shift))
    return found


def _refuse_unprintable(source: _Text) -> None:
    nul = source.text.find("\0")
    if nul >= 0:
        raise source.error(nul, "unexpected null character (0x00)")
    try:
        source.text.encode()
    except UnicodeEncodeError as error:
        raise source.error(error.start, "illegal UTF-8 encoding") from None


def _hcl_raw(source: _Text) -> Iterator[Raw]:
    text, offset = source.text, 0
    while offset < len(text):
        match = _HCL.match(text, offset)
        if match is None:
            raise _illegal(source, offset)
        group, found, end = match.lastgroup, match.group(), match.end()
        if group == "IDENT":
            kind, value = _WORDS.get(found, ("IDENT", found)) if found != "null" else ("IDENT", found)
            yield kind, value, "", offset
        elif group in ("NUMBER", "FLOAT"):
            yield group, _number(source, offset, found, group), "", offset
        elif group == "quote":
            end, value = _string(source, offset)
            yield "STRING", value, "", offset
        elif group == "heredoc":
            end, value = _heredoc(source, offset)
            yield "HEREDOC", value, "", offset
        elif group == "sign":
            yield _SIGN_NAMES[found], None, found, offset
        offset = end


def _json_raw(source: _Text) -> Iterator[Raw]:
    text, offset = source.text, 0
    while offset < len(text):
        match = _JSON.match(text, offset)
        if match is None:
            raise source.error(offset, "illegal char")
        group, found = match.lastgroup, match.group()
        if group == "STRING":
            value = json.loads(found)
            if any("\ud800" <= c <= "\udfff" for c in value):
                raise source.error(offset, "illegal char escape")
            yield "STRING", value, "", offset
        elif group in ("NUMBER", "FLOAT"):
            yield group, _number(source, offset, found, group), "", offset
        elif group == "word":
            kind, word = _WORDS[found]
            yield kind, word, "", offset
        elif group == "sign":
            yield _SIGN_NAMES[found], None, found, offset
        offset = match.end()


def _illegal(source: _Text, offset: int) -> HclError:
    if source.text.startswith("/*", offset):
        return source.error(len(source.text), "comment not terminated")
    if source.text[offset] == "/":
        return source.error(offset, "expected '/' for comment")
    return source.error(offset, "illegal char")


def _number(source: _Text, offset: int, found: str, kind: str) -> int | float:
    """Decimal, `0x` hexadecimal and `0` octal integers of 64 bits; finite floats."""
    if len(found) > 400:
        raise source.error(offset, "number out of range")
    if kind == "FLOAT":
        return _float(source, offset, found)
    digits = found.lstrip("-").lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") and len(digits) > 1 else 10
    try:
        number = int(digits, base)
    except ValueError:
        name = "hexadecimal" if base == 16 else "octal"
        raise source.error(offset, f"illegal {name} number") from None
    number = -number if found.startswith("-") else number
    if not -(1 << 63) <= number < 1 << 63:
        raise source.error(offset, "number out of range")
    return number


def _float(source: _Text, offset: int, found: str) -> float:
    try:
        number = float(found)
    except ValueError:
        raise source.error(offset, "illegal number") from None
    if not math.isfinite(number):
        raise source.error(offset, "number out of range")
    return number


def _string(source: _Text, start: int) -> tuple[int, str]:
    """The end and the decoded content of a quoted string; `${ … }` is kept as written, quotes and all."""
    text, offset, braces = source.text, start + 1, 0
    parts: list[str] = []
    while offset < len(text):
        plain = _PLAIN.match(text, offset)
        char = text[offset]
        if plain is not None:
            parts.append(plain.group())
            offset = plain.end()
            continue
        if char == '"' and not braces:
            return offset + 1, "".join(parts)
        if char == "\n" and not braces:
            raise source.error(offset, "literal not terminated")
        if char == "\\":
            end, decoded = _escape(source, offset)
            parts.append(text[offset:end] if braces else decoded)
            offset = end
            continue
        if text.startswith("${", offset) and not braces:
            parts.append("$")
            offset, char, braces = offset + 1, "{", 1
        elif braces and char in "{}":
            braces += 1 if char == "{" else -1
        parts.append(char)
        offset += 1
    raise source.error(len(text), "literal not terminated")


def _escape(source: _Text, offset: int) -> tuple[int, str]:
    match = _ESCAPE.match(source.text, offset)
    if match is None:
        begun = _ESCAPE_BEGUN.match(source.text, offset)
        raise source.error(begun.end() if begun else offset, "illegal char escape")
    simple, octal, *hexadecimal = match.groups()
    if simple:
        return match.end(), _SIMPLE[simple]
    code = int(octal, 8) if octal else int(next(h for h in hexadecimal if h), 16)
    single_byte = octal or hexadecimal[0]
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF or (single_byte and code > 0x7F):
        raise source.error(offset + 1, "illegal char escape")
    return match.end(), chr(code)


def _heredoc(source: _Text, start: int) -> tuple[int, str]:
    """The end and the content of `<<WORD` or `<<-WORD`; the latter loses the indentation of its last line."""
    text = source.text
    match = _ANCHOR.match(text, start)
    assert match is not None
    indented, anchor, _, after = match.groups()
    if after not in ("\n", ""):
        raise source.error(match.start(4), "invalid characters in heredoc anchor")
    if not anchor and after:
        raise source.error(match.start(2), "zero-length heredoc anchor")
    closing = re.compile(rf"^([^\S\n]*){re.escape(anchor)}\r*$", re.MULTILINE)
    last = closing.search(text, match.end()) if after else None
    if last is None:
        raise source.error(len(text), "heredoc not terminated")
    content = text[match.end() : last.start()]
    if indented:
        content = _unindented(content, last.group(1))
    return last.end(), content


def _unindented(content: str, indentation: str) -> str:
    """Take `indentation` off each line, if every line has it."""
    lines = content.split("\n")
    if not all(line.startswith(indentation) for line in lines[:-1]):
        return content
    return "\n".join([line[len(indentation) :] for line in lines[:-1]] + lines[-1:])
