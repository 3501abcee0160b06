# SPDX-License-Identifier: EUPL-1.2
"""Secrets as environment variables: what they are called, how they are spelled, and in `.env` files."""

from __future__ import annotations

import re

from vaultctl.errors import CommandError
from vaultctl.jsontext import compact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OTHER = re.compile(r"[^A-Za-z0-9_]")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
_STEERING = frozenset(
    ("BASH_ENV", "CDPATH", "ENV", "GCONV_PATH", "IFS", "JAVA_TOOL_OPTIONS", "NODE_OPTIONS", "NODE_PATH", "PATH",
     "PERL5LIB", "PERL5OPT", "PROMPT_COMMAND", "PS4", "RUBYLIB", "RUBYOPT", "SHELLOPTS", "BASHOPTS", "JDK_JAVA_OPTIONS")
)  # fmt: skip
_STEERING_FAMILIES = ("LD_", "DYLD_", "PYTHON", "GIT_", "MALLOC_")


def named(fields: Mapping[str, object], prefix: str, where: str) -> dict[str, str]:
    """The variables of a secret's fields: the prefix, then the field's name in capitals, other signs as `_`.

    CommandError for a name that no variable can have, one that two fields would have, and one that steers how
    programs are loaded: whoever may write a secret must not so choose what its readers run.
    """
    found: dict[str, str] = {}
    origin: dict[str, str] = {}
    for field, value in fields.items():
        name = _OTHER.sub("_", prefix + field).upper()
        if not _NAME.fullmatch(name):
            raise CommandError(f'field "{field}" of {where} makes no name of a variable: give a -prefix')
        if name in found:
            raise CommandError(
                f'fields "{origin[name]}" and "{field}" of {where} would both be {name}: name one with -env'
            )
        if name in _STEERING or name.startswith(_STEERING_FAMILIES):
            raise CommandError(
                f'field "{field}" of {where} would be {name}, which steers how programs run: '
                "give a -prefix, or name it with -env if it is meant"
            )
        found[name] = spelled(value, f'field "{field}" of {where}')
        origin[name] = field
    return found


def spelled(value: object, what: str) -> str:
    """A value as a variable has it: text as it is, nothing for null, all else as JSON. CommandError for a NUL."""
    text = value if isinstance(value, str) else "" if value is None else compact(value)
    if "\0" in text:
        raise CommandError(
            f"{what} has a NUL character, which no variable can hold: encode it, as base64 say"
        )
    return text


def checked_name(name: str) -> str:
    """The name, if a variable can have it; CommandError otherwise."""
    if not _NAME.fullmatch(name):
        raise CommandError(f'"{name}" is no name of a variable: letters, digits and _, not a digit first')
    return name


def dotenv_line(name: str, value: str) -> str:
    r"""A line of a `.env` file: in single quotes where need be, with `\'` and `\\` in them."""
    if _PLAIN.fullmatch(value) or not value:
        return f"{name}={value}"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{escaped}'"


def shell_line(name: str, value: str) -> str:
    """A line that a POSIX shell evaluates."""
    import shlex

    return f"export {name}={shlex.quote(value)}"


def parse_dotenv(text: str, where: str) -> dict[str, str]:
    """The variables of a `.env` file, as they are spelled there: nothing is put in for `${NAME}`.

    CommandError names the line that cannot be read, and nothing of what it says.
    """
    import io

    from dotenv.parser import parse_stream

    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        line = binding.original.line + _blank_lines(binding.original.string)
        if binding.error:
            raise CommandError(f"{where}, line {line}: a line is NAME=value, and quotes end where they began")
        if binding.key is None:
            continue
        if binding.value is None:
            raise CommandError(f"{where}, line {line}: this name has no value; write NAME= for an empty one")
        if binding.key in found:
            raise CommandError(f"{where}, line {line}: this name was there before")
        found[binding.key] = binding.value
    return found


def _blank_lines(text: str) -> int:
    """How many lines end before the first sign of a text."""
    return text[: len(text) - len(text.lstrip())].count("\n")
