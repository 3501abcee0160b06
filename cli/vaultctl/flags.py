# SPDX-License-Identifier: EUPL-1.2
"""Flags in the manner of `bao`: `-name=value`, `-name value`, `--name`; behind arguments too, up to `--`."""

from __future__ import annotations

from vaultctl.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECOND = 10**9
"""Nanoseconds, in which durations are kept."""
NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_DIGITS = frozenset("0123456789")
_MOST = 2**63
"""Where Go's whole numbers and durations end."""
_LONGEST = 64
"""Letters of a mistyped flag that are compared with those that there are."""
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class Flag:
    """One declared flag.

    `kind` is text, int, bool, duration (kept in nanoseconds), texts (repeatable), pairs (repeatable
    key=value) or list (repeatable and split at commas). `words` are the closed set of values, if any.
    """

    __slots__ = ("env", "help", "kind", "name", "words")

    def __init__(
        self, name: str, kind: str, text: str, *, env: str = "", words: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self.kind = kind
        self.help = text
        self.env = env
        self.words = words


def parse(
    declared: Sequence[Flag], argv: Sequence[str], *, ends: bool = False
) -> tuple[dict[str, object], list[str]]:
    """Split argv into flag values by name (absent when not given) and the positional arguments.

    With `ends` there are no flags behind the first argument.
    """
    known = {flag.name: flag for flag in declared}
    values: dict[str, object] = {}
    arguments: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if len(word) < 2 or word[0] != "-":
            arguments.append(word)
            if ends:
                break
            continue
        name, given, value = word.lstrip("-").partition("=")
        if word.startswith("---") or not name:
            raise UsageError("bad flag syntax: a flag is written -name=value")
        flag = known.get(name)
        if flag is None:
            raise UsageError(f"flag provided but not defined: -{name}{_meant(name, known)}")
        if not given:
            if flag.kind == "bool":
                value = "true"
            elif rest:
                value = rest.pop(0)
            else:
                raise UsageError(f"flag needs an argument: -{name}")
        _set(values, flag, value)
    return values, [*arguments, *rest]


def _meant(name: str, known: Mapping[str, Flag]) -> str:
    """The known flag that a mistyped one is most like, as the end of a message; empty where there is none."""
    import difflib

    found = difflib.get_close_matches(name[:_LONGEST], known, n=1, cutoff=0.6)
    return f"; did you mean -{found[0]}?" if found else ""


def wanted_format(argv: Sequence[str], environment: str) -> str:
    """The -format value anywhere in argv, else the environment's, else table, in lower case."""
    found = environment
    for index, word in enumerate(argv):
        if word == "--":
            break
        if word in ("-format", "--format"):
            found = argv[index + 1] if index + 1 < len(argv) else found
        elif word.startswith(("-format=", "--format=")):
            found = word.partition("=")[2]
    return found.lower() or "table"


def _set(values: dict[str, object], flag: Flag, value: str) -> None:
    if flag.kind == "text":
        values[flag.name] = value
    elif flag.kind == "int":
        values[flag.name] = _number(flag.name, value)
    elif flag.kind == "bool":
        values[flag.name] = _truth(flag.name, value)
    elif flag.kind == "duration":
        values[flag.name] = parse_duration(value, flag.name)
    elif flag.kind == "pairs":
        key, equals, text = value.partition("=")
        if not equals:
            raise UsageError(f"invalid value for flag -{flag.name}: missing = in the key=value pair")
        pairs = values.setdefault(flag.name, {})
        if isinstance(pairs, dict):
            pairs[key] = text
    else:
        texts = values.setdefault(flag.name, [])
        if isinstance(texts, list):
            texts.extend(value.split(",") if flag.kind == "list" else [value])


def _number(name: str, value: str) -> int:
    digits = value[1:] if value[:1] in ("+", "-") else value
    if not value:
        return 0
    if not digits or not _DIGITS.issuperset(digits) or len(digits) > 19 or int(digits) >= _MOST:
        raise UsageError(f"invalid value for flag -{name}: a whole number is needed")
    return int(value)


def _truth(name: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise UsageError(f"invalid boolean value for -{name}: use true or false")


def parse_duration(text: str, name: str) -> int:
    """Nanoseconds of 90, 30s, 1h30m, 2d or -1, and 0 of nothing; `name` is the flag for the message."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    total = _days(rest) if rest[-1:] == "d" else _seconds(rest) if _DIGITS.issuperset(rest) else _units(rest)
    if total is None or total >= _MOST or (text and not rest):
        raise UsageError(f"invalid value for flag -{name}: a duration is needed, such as 30s or 1h30m")
    return -total if text[:1] == "-" else total


def parse_moment(text: str, name: str) -> str:
    """A time as servers take it: as it was given, the beginning of a day (in UTC), or so long before now.

    `name` is the flag for the message. UsageError for what is none of these.
    """
    from datetime import UTC, datetime, timedelta

    if text[4:5] == "-":
        return f"{text}T00:00:00Z" if len(text) == len("2026-12-01") else text
    try:
        ago = timedelta(microseconds=parse_duration(text, name) // 1000)
        return (datetime.now(UTC) - abs(ago)).isoformat()
    except (UsageError, OverflowError):
        raise UsageError(
            f"invalid value for flag -{name}: a duration is needed, such as 24h, or a time, such as 2026-12-01T00:00:00Z"
        ) from None


def _days(text: str) -> int | None:
    whole = text[:-1]
    return int(whole) * 24 * NANOSECONDS["h"] if whole and _DIGITS.issuperset(whole) else None


def _seconds(text: str) -> int:
    return int(text or "0") * NANOSECONDS["s"]


def _units(rest: str) -> int | None:
    """Nanoseconds of numbers with units, one after the other; None where it is nothing of the kind."""
    total = 0
    while rest:
        size = 0
        while size < len(rest) and (rest[size] in _DIGITS or rest[size] == "."):
            size += 1
        unit_end = size
        while unit_end < len(rest) and not (rest[unit_end] in _DIGITS or rest[unit_end] == "."):
            unit_end += 1
        factor = NANOSECONDS.get(rest[size:unit_end])
        number, rest = rest[:size], rest[unit_end:]
        if factor is None or number.count(".") > 1 or number in ("", "."):
            return None
        whole, _, fraction = number.partition(".")
        total += int(whole or "0") * factor + (
            int(fraction) * factor // 10 ** len(fraction) if fraction else 0
        )
    return total


def environment_value(environ: Mapping[str, str], name: str) -> str:
    """BAO_<name>, or VAULT_<name> when the former is not set; set to empty still wins."""
    value = environ.get("BAO_" + name)
    return environ.get("VAULT_" + name, "") if value is None else value
