# SPDX-License-Identifier: EUPL-1.2
"""Which rule decides on a path. One rule path wins; only rules with that very path are merged.

The order is OpenBao's:

1. the exact path;
2. for a listing, the exact path without its trailing slash;
3. of the prefix and wildcard rules that match, the one whose first wildcard comes latest, then one that is no
   prefix, then the one with fewer wildcards, then the longer one, then the one that sorts last.

Where more wildcard rules fit a path than are looked through, `OVERGROWN` decides: it denies.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from vault.policy.decision.merge import MergedRule
from vault.policy.model import Capability

MOST_STEPS: Final = 8192
"""Steps of one search among wildcard rules: they take ten milliseconds. Each is a beginning of rules that fits a beginning of
the path, or a length of prefixes there. A path of `n` segments has at most 2^n that fit, and so many only if somebody has
written rules for all of them."""

OVERGROWN: Final = MergedRule()
"""Decides where a search took too many steps: whichever rule should have won, nothing is allowed unseen."""
OVERGROWN.capabilities = Capability.DENY


class _Pattern:
    """A rule with an open path, and its rank among rules that match."""

    __slots__ = ("priority", "rule")

    def __init__(self, path: str, rule: MergedRule) -> None:
        self.rule = rule
        self.priority = priority(path)


class _Prefixes:
    """Patterns by their literal prefix. The cost of a search grows with the number of lengths, not of patterns."""

    __slots__ = ("_lengths", "_patterns")

    def __init__(self) -> None:
        self._patterns: dict[str, _Pattern] = {}
        self._lengths: list[int] = []

    def add(self, text: str, pattern: _Pattern) -> None:
        """Add a pattern; of two with the same prefix the better one counts."""
        known = self._patterns.get(text)
        if known is None or pattern.priority > known.priority:
            self._patterns[text] = pattern

    def settle(self) -> None:
        """Sort the lengths, longest first. Call it before `best`."""
        self._lengths = sorted({len(text) for text in self._patterns}, reverse=True)

    @property
    def lengths(self) -> int:
        """How many lengths a search tries."""
        return len(self._lengths)

    def best(self, text: str) -> _Pattern | None:
        """Return the pattern with the longest prefix of `text`."""
        for length in self._lengths:
            if length <= len(text):
                found = self._patterns.get(text[:length])
                if found is not None:
                    return found
        return None


class _Node:
    """A node of the tree of wildcard paths, with the nodes of the next segments; `any` stands for `+`."""

    __slots__ = ("any", "ends", "named", "starts")

    def __init__(self) -> None:
        self.named: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.ends: _Pattern | None = None
        self.starts = _Prefixes()
        """Patterns that end in `*`, by their last, incomplete segment."""

    def follow(self, segment: str) -> _Node:
        """Return the node of a segment, made if it is new."""
        if segment == "+":
            self.any = self.any or _Node()
            return self.any
        return self.named.setdefault(segment, _Node())


def priority(path: str) -> tuple[int, bool, int, int, str]:
    """Return the rank of an open rule path among those that match: the greatest decides."""
    starts = path.endswith("*")
    text = path[:-1] if starts else path
    wild = is_wildcard(path)
    first = path.index("+") if wild else len(text)
    return (first, not starts, -text.split("/").count("+") if wild else 0, len(text), text)


def is_wildcard(path: str) -> bool:
    """Whether a rule path is matched segment by segment: `+` stands alone first or begins any later segment."""
    return path == "+" or path.startswith("+/") or "/+" in path


_GIVEN_UP: Final = _Pattern("", OVERGROWN)
_GIVEN_UP.priority = (sys.maxsize, True, 0, 0, "")
"""Found instead of the others after too many steps: nothing is better."""


class RuleTable:
    """Merged rules by path, indexed: the cost of a search hardly grows with the number of rules."""

    def __init__(self, rules: Mapping[str, MergedRule]) -> None:
        """`rules` by rule path, wildcards and trailing `*` included."""
        self.exact = {path: rule for path, rule in rules.items() if not is_open(path)}
        self._prefixes = _Prefixes()
        self._wild = _Node()
        nodes = [self._wild]
        for path, rule in rules.items():
            if is_wildcard(path):
                self._add(path, rule, nodes)
            elif path.endswith("*"):
                self._prefixes.add(path[:-1], _Pattern(path, rule))
        self._prefixes.settle()
        for node in nodes:
            node.starts.settle()

    def _add(self, path: str, rule: MergedRule, nodes: list[_Node]) -> None:
        """Put a path with wildcards into the tree; `nodes` collects the nodes with patterns that end in `*`."""
        pattern = _Pattern(path, rule)
        *before, last = path.removesuffix("*").split("/")
        node = self._wild
        for segment in before:
            node = node.follow(segment)
        if path.endswith("*"):
            node.starts.add(
                "" if last == "+" else last, pattern
            )  # a template may have put the `+` before a `*`
            nodes.append(node)
        else:
            node.follow(last).ends = pattern

    def find(self, path: str, *, listing: bool) -> MergedRule | None:
        """The rule that decides on `path` (no leading slash), None when there is none."""
        # 1. The exact path.
        rule = self.exact.get(path)
        if rule is not None:
            return rule
        # 2. For a listing, the exact path without its trailing slash.
        shorter = path[:-1] if listing and path.endswith("/") else None
        if shorter is not None:
            rule = self.exact.get(shorter)
            if rule is not None:
                return rule
        # 3. The best of the prefix and wildcard rules; for a listing also without the slash.
        rule = self._best(path)
        if rule is None and shorter is not None:
            rule = self._best(shorter)
        return rule

    def _best(self, path: str) -> MergedRule | None:
        best = self._prefixes.best(path)
        for pattern in self._matching(path):
            if best is None or pattern.priority > best.priority:
                best = pattern
        return None if best is None else best.rule

    def _matching(self, path: str) -> Iterator[_Pattern]:
        """Yield those wildcard paths that cover `path` and may be the best; `_GIVEN_UP` after too many steps."""
        parts = path.split("/")
        pending = [(self._wild, 0)]
        left = MOST_STEPS
        while pending:
            node, depth = pending.pop()
            left -= 1 + node.starts.lengths
            if left < 0:
                yield _GIVEN_UP
                return
            if depth == len(parts):
                if node.ends is not None:
                    yield node.ends
                continue
            begun = node.starts.best(parts[depth])
            if begun is not None:
                yield begun
            if node.any is not None:
                pending.append((node.any, depth + 1))
            named = node.named.get(parts[depth])
            if named is not None:
                pending.append((named, depth + 1))


def is_open(path: str) -> bool:
    """Whether a rule path covers more than itself."""
    return path.endswith("*") or is_wildcard(path)


def open_prefixes(paths: Iterable[str]) -> list[str]:
    """Of `paths`, those that are plain prefixes."""
    return [path for path in paths if path.endswith("*") and not is_wildcard(path)]
