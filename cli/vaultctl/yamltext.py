# SPDX-License-Identifier: EUPL-1.2
"""A small YAML printer for JSON values: sorted keys, block style, quoting only where YAML needs it."""

from __future__ import annotations

import re

from vaultctl.jsontext import scalar

_RESERVED = frozenset(("", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<", "=", ".nan", ".inf"))
_NUMBER = re.compile(r"[-+]?(0[xob][0-9a-fA-F_]+|[0-9][0-9_]*\.?[0-9_]*([eE][-+]?[0-9]+)?|\.[0-9]+([eE][-+]?[0-9]+)?"
                     r"|\.(inf|Inf|INF))|[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?")
_TIME = re.compile(r"\d{4}-\d\d?-\d\d?([Tt ].*)?")
_PLAIN = re.compile(r"[^\s\-?:,\[\]{}#&*!|>'\"%@`\x00-\x1f\x7f][^\x00-\x1f\x7f\ufeff\ud800-\udfff\u0080-\u009f]*"
                    r"|-[^\s\x00-\x1f][^\x00-\x1f\x7f]*|[?:][^\s\x00-\x1f][^\x00-\x1f\x7f]*")


def dump(value: object) -> str:
    """The whole document, ending with a newline."""
    return _block(value, "").lstrip("\n").removeprefix(" ") + "\n"


def _block(value: object, indent: str) -> str:
    """What follows `key:`; starts with a newline for a block, with a blank for a scalar."""
    if isinstance(value, dict) and value:
        rows = [f"\n{indent}{_string(str(key), indent)}:{_child(value[key], indent)}" for key in sorted(value)]
        return "".join(rows)
    if isinstance(value, list) and value:
        return "".join(f"\n{indent}-{_item(item, indent)}" for item in value)
    if isinstance(value, dict):
        return " {}"
    if isinstance(value, list):
        return " []"
    return " " + (_string(value, indent) if isinstance(value, str) else scalar(value))


def _child(value: object, indent: str) -> str:
    if isinstance(value, list):
        return _block(value, indent)
    return _block(value, indent + "  ")


def _item(value: object, indent: str) -> str:
    """A list item: nested blocks begin on the dash's own line."""
    text = _block(value, indent + "  ")
    return " " + text.lstrip("\n ") if text.startswith("\n") else text


def _string(text: str, indent: str) -> str:
    if "\n" in text and _printable(text) and not text.startswith((" ", "\t", "\n")):
        inner = indent or "  "
        mark = "|" if text.endswith("\n") and not text.endswith("\n\n") else "|+" if text.endswith("\n") else "|-"
        lines = text.rstrip("\n").split("\n") + [""] * max(0, len(text) - len(text.rstrip("\n")) - 1)
        return mark + "".join(f"\n{inner}{line}" if line else "\n" for line in lines)
    if text.lower() in _RESERVED or _NUMBER.fullmatch(text) or _TIME.fullmatch(text):
        return _double(text)
    if not _printable(text) or "\n" in text:
        return _double(text)
    if _PLAIN.fullmatch(text) and ": " not in text and " #" not in text and not text.endswith((":", " ")) \
            and not text.startswith(("--- ", "... ")) and text not in ("---", "..."):
        return text
    return "'" + text.replace("'", "''") + "'"


def _printable(text: str) -> bool:
    return all(char in "\n\t" or char.isprintable() for char in text)


def _double(text: str) -> str:
    body = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}"
                         for c in body) + '"'
