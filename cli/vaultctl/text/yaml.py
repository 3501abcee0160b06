# SPDX-License-Identifier: EUPL-1.2
"""A small YAML printer for JSON values: sorted keys, block style, quoting only where YAML needs it."""

from __future__ import annotations

import re

from vaultctl.text.json import scalar

_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
_RESERVED = frozenset(
    ("", "~", "<<", ".nan", ".NaN", ".NAN", *_WORDS, *map(str.capitalize, _WORDS), *map(str.upper, _WORDS))
)
_NUMBER = re.compile(
    r"[-+]?(0b[01]+|0o[0-7]+|0x[0-9a-fA-F]+|([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|\.(inf|Inf|INF))"
)
"""What reads as a number once it has no underscores any more, which may stand anywhere but at its beginning."""
_SPELLED = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
"""Fractions without a digit before the point, and numbers to the base 60: underscores where YAML 1.1 has them."""
_FOLD = 80
_LONG_KEY = 128
"""Bytes of a key beyond which it stands on a line of its own, after a question mark."""
_TIME = re.compile(r"\d{4}-\d\d?-\d\d?([Tt ].*)?")
_PLAIN = re.compile(
    r"[^\s\-?:,\[\]{}#&*!|>'\"%@`\x00-\x1f\x7f][^\x00-\x1f\x7f\ufeff\ud800-\udfff\u0080-\u009f]*"
    r"|-[^\s\x00-\x1f][^\x00-\x1f\x7f]*|[?:][^\s\x00-\x1f][^\x00-\x1f\x7f]*"
)


def dump(value: object) -> str:
    """The whole document, ending with a newline."""
    return _block(value, "").lstrip("\n").removeprefix(" ") + "\n"


def _block(value: object, indent: str, column: int = 0) -> str:
    """What follows `key:`; starts with a newline for a block, with a blank for a scalar."""
    if isinstance(value, dict) and value:
        return "".join(f"\n{indent}{_pair(str(key), value[key], indent)}" for key in sorted(value))
    if isinstance(value, list) and value:
        return "".join(f"\n{indent}-{_item(item, indent)}" for item in value)
    if isinstance(value, dict):
        return " {}"
    if isinstance(value, list):
        return " []"
    return " " + (_string(value, indent, column) if isinstance(value, str) else scalar(value))


def _pair(key: str, value: object, indent: str) -> str:
    if len(key.encode("utf-8", "surrogatepass")) > _LONG_KEY:
        text = _double(key) if "\n" in key else _string(key, indent + "  ", len(indent) + 2)
        return f"? {text}\n{indent}:{_item(value, indent)}"
    head = (_double(key) if "\n" in key else _string(key, indent, fold=False)) + ":"
    inner = indent if isinstance(value, list) else indent + "  "
    return head + _block(value, inner, len(indent) + len(head) + 1)


def _item(value: object, indent: str) -> str:
    """A list item: nested blocks begin on the dash's own line."""
    text = _block(value, indent + "  ", len(indent) + 2)
    return " " + text.lstrip("\n ") if text.startswith("\n") else text


def _string(text: str, indent: str, column: int = 0, *, fold: bool = True) -> str:
    if "\n" in text and text.strip() and _printable(text):
        inner = indent or "  "
        mark = (
            "|"
            if text.endswith("\n") and not text.endswith("\n\n")
            else "|+"
            if text.endswith("\n")
            else "|-"
        )
        if text.startswith((" ", "\n")):
            mark = mark[0] + "2" + mark[1:]
        lines = text.rstrip("\n").split("\n") + [""] * max(0, len(text) - len(text.rstrip("\n")) - 1)
        return mark + "".join(f"\n{inner}{line}" if line else "\n" for line in lines)
    if text in _RESERVED or _is_number(text) or _TIME.fullmatch(text):
        return _double(text)
    if not _printable(text) or "\n" in text or "\t" in text:
        return _double(text)
    if (
        _PLAIN.fullmatch(text)
        and ": " not in text
        and " #" not in text
        and not text.endswith((":", " "))
        and not text.startswith(("---", "..."))
    ):
        return _folded(text, indent, column) if fold else text
    quoted = "'" + text.replace("'", "''") + "'"
    return _folded(quoted, indent, column) if fold else quoted


def _is_number(text: str) -> bool:
    if _SPELLED.fullmatch(text) or text in (".inf", ".Inf", ".INF"):
        return True
    return not text.startswith(("_", ".")) and _NUMBER.fullmatch(text.replace("_", "")) is not None


def _folded(text: str, indent: str, column: int) -> str:
    """The text, continued on a new line at the first single blank after column 80."""
    words = text.split(" ")
    out = words[0]
    column += len(words[0])
    for index, word in enumerate(words[1:], start=1):
        single = words[index - 1] != "" and word != ""
        if column > _FOLD and single:
            out += f"\n{indent or '  '}{word}"
            column = len(indent) + len(word)
        else:
            out += " " + word
            column += 1 + len(word)
    return out


def _printable(text: str) -> bool:
    return all(char in "\n\t" or char.isprintable() for char in text)


def _double(text: str) -> str:
    body = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + "".join(char if char.isprintable() else _code(ord(char)) for char in body) + '"'


def _code(point: int) -> str:
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
