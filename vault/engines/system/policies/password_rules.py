# SPDX-License-Identifier: EUPL-1.2
"""Rules for passwords: parses HCL or JSON into rules, makes passwords by rules. Refusals are in OpenBao 2.7's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from vault.framework.hcl.parser import parse
from vault.framework.hcl.syntax_tree import Block, HclError, Item, Value

SHORTEST: Final = 4
LONGEST: Final = 100
"""Characters of a password."""
LONGEST_TEXT: Final = 32_768
"""Characters of the rules."""
ROUND: Final = 8
"""Candidates that are tried before the event loop gets a turn."""
_CANDIDATES: Final = 8192
"""Candidates that are tried in all when there are few rules; fewer when there are more rules."""
_FEW: Final = 4
_DECODING: Final = "decoding failed due to the following error(s):\n\n"


class PasswordRule(msgspec.Struct, frozen=True):
    """Characters that a password may have, and how many of them it has at least."""

    charset: str
    least: int


class PasswordRules(msgspec.Struct, frozen=True):
    """The rules of a policy: length in characters, and the sets of characters."""

    length: int
    rules: tuple[PasswordRule, ...]

    @property
    def alphabet(self) -> str:
        """Every character that may come, once each."""
        return "".join(dict.fromkeys("".join(rule.charset for rule in self.rules)))

    @property
    def demands(self) -> Sequence[tuple[Mapping[str, int], int]]:
        """The rules that a candidate can break: the weight of each character, and the least sum, strictest first."""
        found: dict[str, int] = {}
        for rule in self.rules:
            found[rule.charset] = max(rule.least, found.get(rule.charset, 0))
        asked = sorted(found.items(), key=lambda item: -item[1])
        return [(Counter(charset), least) for charset, least in asked if least > 0]


class RulesError(Exception):
    """The text has no usable rules; the message is OpenBao's."""


@lru_cache(maxsize=128)
def read_rules(text: str) -> PasswordRules:
    """Parse rules for passwords, with a cache. Raises `RulesError`."""
    if len(text) > LONGEST_TEXT:
        raise RulesError(f"invalid password policy: it is longer than {LONGEST_TEXT} characters")
    try:
        body = parse(text)
    except HclError as error:
        raise RulesError(f"invalid password policy: unable to decode: {error}") from None
    try:
        rules = PasswordRules(_length(body), tuple(_rule(labels, block) for labels, block in _blocks(body)))
    except RulesError as error:
        raise RulesError(f"invalid password policy: {error}") from None
    faults = list(_faults(rules))
    if faults:
        count = f"{len(faults)} error{'s' if len(faults) > 1 else ''} occurred:"
        listed = "".join(f"\n\t* {fault}" for fault in faults)
        raise RulesError(f"invalid password policy: {count}{listed}\n\n")
    if not SHORTEST <= rules.length <= LONGEST:
        raise RulesError(f"passwords must be between {SHORTEST} and {LONGEST} characters")
    return rules


def candidates(rules: PasswordRules, random: Callable[[int], bytes]) -> Iterator[str | None]:
    """Yield a password that fits the rules, each equally likely; None from time to time while none is found.

    A candidate that breaks a rule is thrown away whole: repairing it would prefer some passwords to others.
    Ends when the rules are so narrow that none is found.
    """
    alphabet, demands = rules.alphabet, rules.demands
    for number in range(1, _CANDIDATES * _FEW // max(_FEW, len(demands)) + 1):
        candidate = "".join(_draw(alphabet, rules.length, random))
        if all(sum(map(counts.__getitem__, candidate)) >= least for counts, least in demands):
            yield candidate
            return
        if number % ROUND == 0:
            yield None


def _draw(alphabet: str, count: int, random: Callable[[int], bytes]) -> list[str]:
    """Return `count` characters, each uniform: random numbers past the last whole multiple are dropped."""
    size = len(alphabet)
    width = 1 if size <= 256 else 4
    # A remainder of a number past the last whole multiple of `size` would make the first characters likelier.
    limit = (1 << 8 * width) // size * size
    drawn: list[str] = []
    while len(drawn) < count:
        data = random(width * (count + 8))  # some are dropped; eight more usually suffice
        numbers = (int.from_bytes(data[at : at + width], "big") for at in range(0, len(data), width))
        drawn += [alphabet[number % size] for number in numbers if number < limit]
    return drawn[:count]


def _faults(rules: PasswordRules) -> Iterator[str]:
    if rules.length <= 0:
        yield "length must be > 0"
    alphabet = rules.alphabet
    if not alphabet:
        yield "no charset specified"
    elif not alphabet.isprintable():
        yield "non-printable character in charset"
    elif 0 < rules.length < (least := sum(rule.least for rule in rules.rules)):
        yield f"specified rules require at least {least} characters but {rules.length} is specified"


def _length(body: Block) -> int:
    items = body.named("length")
    if not items:
        return 0
    return _whole(items[-1], "length", "failed to decode configuration: " + _DECODING)


def _whole(item: Item, name: str, before: str) -> int:
    value = item.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    raise RulesError(f"{before}'{name}' expected type 'int', got unconvertible type '{_kind(value)}'")


def _blocks(body: Block) -> Iterator[tuple[Sequence[str], Block]]:
    """Yield every rule: its labels, the first of which is its type, and its block."""
    for item in body.named("rule"):
        for value in item.value if isinstance(item.value, tuple) else (item.value,):
            if not isinstance(value, Block):
                raise RulesError(f"unable to retrieve rules: {_no_block(item, value)}")
            yield (item.labels, value) if item.labels else _labelled(value)


def _no_block(item: Item, value: Value) -> str:
    if isinstance(item.value, tuple):
        return f"{_DECODING}'[0]' expected type 'map[string]interface {{}}', got unconvertible type '{_kind(value)}'"
    return f"'' source data must be an array or slice, got {_kind(value)}"


def _labelled(block: Block) -> tuple[Sequence[str], Block]:
    """Return the first rule within a `rule` block that has no label of its own."""
    if not block.items:
        raise RulesError("unable to parse rules: unable to get rule info: rule is empty")
    first = block.items[0]
    value = first.value[0] if isinstance(first.value, tuple) and first.value else first.value
    if not isinstance(value, Block):
        raise RulesError(
            "unable to parse rules: unable to get rule info: unable to get rule data: "
            f"'' source data must be an array or slice, got {_kind(value)}"
        )
    return first.keys, value


def _rule(labels: Sequence[str], block: Block) -> PasswordRule:
    before = "unable to parse rules: unable to parse rule charset: "
    if labels[0] != "charset":
        raise RulesError("unable to parse rules: unrecognized rule type: it is charset")
    if len(labels) > 1:
        return PasswordRule("", 0)
    before += "failed to parse charset restriction: " + _DECODING
    charset, least = block.named("charset"), block.named("min-chars")
    return PasswordRule(
        _characters(charset[-1].value, before) if charset else "",
        _whole(least[-1], "min-chars", before) if least else 0,
    )


def _characters(value: Value, before: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | Block):
        if value == ():
            return ""
        first = value[0] if isinstance(value, tuple) else value
        kind = "map[string]interface {}" if isinstance(first, Block) else _kind(first)
        raise RulesError(f"{before}'charset[0]' expected type 'int32', got unconvertible type '{kind}'")
    raise RulesError(f"{before}'charset' source data must be an array or slice, got {_kind(value)}")


def _kind(value: Value) -> str:
    """Name a value's type as OpenBao's messages do."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Block):
        return "[]map[string]interface {}"
    if isinstance(value, tuple):
        return "[]interface {}"
    return {int: "int", float: "float64"}.get(type(value), "string")
