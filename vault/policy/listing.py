# SPDX-License-Identifier: EUPL-1.2
"""Templates of `list_scan_response_keys_filter_path`: which path stands for a listed key.

The subset of Go's templates that such paths need: text, `.path`, `.key`, strings, integers, and pipes
through `replace`, `truncate`, `lowercase` and `uppercase`. Anything else is refused when the policy is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import msgspec

from vault.policy.model import PolicyError

if TYPE_CHECKING:
    from lark import Lark

_FIELD = "list_scan_response_keys_filter_path"
_LONGEST = 8192
"""Characters of a template, and of a path that one makes."""
_GRAMMAR = r"""
start: (TEXT | action)*
action: OPEN command (PIPE command)* CLOSE
command: (FIELD | STRING | RAW | INT | NAME) (_WS (FIELD | STRING | RAW | INT | NAME))*
TEXT: /(?:[^{]|\{(?!\{))+/
OPEN: /\{\{\s*/
CLOSE.2: /\s*\}\}/
PIPE.2: /\s*\|\s*/
_WS.1: /\s+/
FIELD: /\.\w+/
STRING: /"(?:[^"\\\n]|\\["\\])*"/
RAW: /`[^`]*`/
INT: /[0-9]{1,9}/
NAME: /[A-Za-z_]\w*/
"""


def _replace(find: str, replacement: str, text: str) -> str:
    """Replace, unless the result is longer than a path can be: a few steps could fill the memory."""
    if len(text) + text.count(find) * max(len(replacement) - len(find), 0) > _LONGEST:
        raise PolicyError(f"{_FIELD} makes paths of more than {_LONGEST} characters")
    return text.replace(find, replacement)


def _truncate(length: str, text: str) -> str:
    return text[: int(length)]


_FUNCTIONS: dict[str, tuple[int, Callable[..., str]]] = {
    "replace": (3, _replace),
    "truncate": (2, _truncate),
    "lowercase": (1, str.lower),
    "uppercase": (1, str.upper),
}

Command = tuple[str, tuple[tuple[str, str], ...]]
"""A function's name (empty for a bare value) and its operands as (kind, text)."""


class ListFilter(msgspec.Struct, frozen=True):
    """A compiled template: literal text and pipes of commands."""

    parts: tuple[str | tuple[Command, ...], ...]

    def path(self, path: str, key: str) -> str:
        """The path that decides on `key`, listed under `path` (which ends in a slash). Raises PolicyError when too long."""
        return "".join(p if isinstance(p, str) else _run(p, path, key) for p in self.parts)


def check_filter(template: str) -> None:
    """Raise PolicyError when `template` cannot be used, or cannot tell two keys apart."""
    compiled = compile_filter(template)
    if compiled.path("path/", "a-key") == compiled.path("path/", "b-key"):
        raise PolicyError(f"{_FIELD} resulted in same path for two different keys")


@lru_cache(maxsize=256)
def compile_filter(template: str) -> ListFilter:
    """Compile a template. Raises PolicyError with a message for the client."""
    if len(template) > _LONGEST:
        raise PolicyError(f"{_FIELD} is longer than {_LONGEST} characters")
    from lark import Token
    from lark.exceptions import UnexpectedInput

    try:
        tree = _grammar().parse(template)
    except UnexpectedInput:
        unclosed = template.rfind("{{") > template.rfind("}}")
        raise _fault("unclosed action" if unclosed else "unsupported expression") from None
    parts: list[str | tuple[Command, ...]] = []
    for child in tree.children:
        if isinstance(child, Token):
            parts.append(str(child))
        else:
            commands = [c for c in child.children if not isinstance(c, Token)]
            parts.append(
                tuple(
                    _command([(t.type, str(t)) for t in c.children if isinstance(t, Token)], piped=i > 0)
                    for i, c in enumerate(commands)
                )
            )
    return ListFilter(tuple(parts))


@cache
def _grammar() -> Lark:
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr")


def _fault(reason: str) -> PolicyError:
    return PolicyError(
        f"unable to compile template for {_FIELD}: unable to parse template: template: template:1: {reason}"
    )


def _command(tokens: Sequence[tuple[str, str]], *, piped: bool) -> Command:
    """A checked command: a known function with the right number of operands, or one value."""
    (kind, text), *rest = tokens
    if any(other == "NAME" for other, _ in rest):
        raise _fault("unsupported expression")
    if kind != "NAME":
        if rest or piped:
            raise _fault("unsupported expression")
        return "", (_operand(kind, text),)
    if text not in _FUNCTIONS:
        raise _fault(f'function "{text}" not defined')
    wanted = _FUNCTIONS[text][0]
    if len(rest) + piped != wanted or (text == "truncate" and rest[0][0] != "INT"):
        raise _fault(f"wrong number or type of args for {text}: want {wanted}")
    return text, tuple(_operand(*token) for token in rest)


def _operand(kind: str, text: str) -> tuple[str, str]:
    if kind == "STRING":
        return "text", text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if kind == "RAW":
        return "text", text[1:-1]
    return ("field", text[1:]) if kind == "FIELD" else ("text", text)


def _run(commands: tuple[Command, ...], path: str, key: str) -> str:
    fields = {"path": path, "key": key}
    result: str | None = None
    for name, operands in commands:
        values = [fields.get(text, "<no value>") if kind == "field" else text for kind, text in operands]
        if result is not None:
            values.append(result)
        result = _FUNCTIONS[name][1](*values) if name else values[0]
    assert result is not None
    return result
