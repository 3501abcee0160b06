# SPDX-License-Identifier: EUPL-1.2
"""Request bodies from arguments: key=value, key=@file, key=-, @file.json and -."""

from __future__ import annotations

from vaultctl.errors import CommandError
from vaultctl.text.json import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

LONGEST = 32 << 20
"""Characters of the longest text that is read: no server takes a longer body, unless it is told to."""


def parse_body(arguments: Sequence[str], stdin: TextIO) -> dict[str, object]:
    """The JSON object that the arguments describe. A key given twice becomes a list."""
    body: dict[str, object] = {}
    source = _Input(stdin)
    for position, argument in enumerate(arguments, start=1):
        if argument == "-":
            _merge(body, source.read(position), "standard input")
        elif argument.startswith("@"):
            _merge(body, read_file(argument[1:]), argument[1:])
        else:
            key, equals, value = argument.partition("=")
            if not equals:
                raise CommandError(
                    f"Failed to parse K=V data: data argument {position}: format must be key=value"
                )
            _add(body, key, source.read(position) if value == "-" else _value(value))
    return body


def parse_query(arguments: Sequence[str]) -> dict[str, list[str]]:
    """Query parameters from key=value arguments; a key may come more than once."""
    query: dict[str, list[str]] = {}
    for position, argument in enumerate(arguments, start=1):
        key, equals, value = argument.partition("=")
        if not equals:
            raise CommandError(
                f"Failed to parse K=V data: argument {position} after the path: format must be key=value"
            )
        query.setdefault(key, []).append(value)
    return query


def read_file(path: str) -> str:
    """The text of a file the operator named."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return _bounded(file, f"the file {path}")
    except OSError as err:
        raise CommandError(f"cannot read the file {path}: {err.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(
            f"cannot read the file {path}: it is not UTF-8 text; encode it, as base64 say"
        ) from None


def _bounded(source: TextIO, name: str) -> str:
    """All of a text that some server may take. CommandError for more, which might never end."""
    text = source.read(LONGEST + 1)
    if len(text) > LONGEST:
        raise CommandError(f"cannot read {name}: it is longer than 32 MiB, which no server takes")
    return text


def read_stdin(stdin: TextIO) -> str:
    """All of standard input as text. CommandError when it is not UTF-8."""
    try:
        text = _bounded(stdin, "standard input")
        text.encode()
    except UnicodeError:
        raise CommandError(
            "cannot read standard input: it is not UTF-8 text; encode it, as base64 say"
        ) from None
    return text


class _Input:
    """Standard input, which is there for one argument: another would find nothing, and write that."""

    def __init__(self, stdin: TextIO) -> None:
        self._stdin = stdin
        self._taken = False

    def read(self, position: int) -> str:
        """All of it. CommandError where an argument before had it."""
        if self._taken:
            raise CommandError(
                f"Failed to parse K=V data: data argument {position}: standard input was read already"
            )
        self._taken = True
        return read_stdin(self._stdin)


def _value(text: str) -> str:
    if text.startswith("@"):
        return read_file(text[1:])
    return text[1:] if text.startswith("\\@") else text


def _merge(body: dict[str, object], text: str, origin: str) -> None:
    try:
        parsed = parse(text)
    except ValueError:
        raise CommandError(f"Failed to parse K=V data: {origin} does not hold valid JSON") from None
    if not isinstance(parsed, dict):
        raise CommandError(f"Failed to parse K=V data: {origin} must hold a JSON object")
    for key, value in parsed.items():
        _add(body, key, value)


def _add(body: dict[str, object], key: str, value: object) -> None:
    if key not in body:
        body[key] = value
        return
    present = body[key]
    if isinstance(present, list):
        present.append(value)
    else:
        body[key] = [present, value]
