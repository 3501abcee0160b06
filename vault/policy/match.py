# SPDX-License-Identifier: EUPL-1.2
"""Which rule decides on a path. One rule path wins; only rules with that very path are merged.

The order is OpenBao's: the exact path; for a listing the exact path without its trailing slash; then, of the
prefix and wildcard rules that match, the one whose first wildcard comes latest, that is no prefix, that has
fewer wildcards, that is longer, that sorts last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vault.policy.merge import MergedRule


class _Pattern:
    """A prefix (`a/b*`) or wildcard (`a/+/b`, `a/+/b*`) path, taken apart for matching."""

    __slots__ = ("priority", "rule", "segments", "starts", "text")

    def __init__(self, path: str, rule: MergedRule) -> None:
        self.rule = rule
        self.starts = path.endswith("*")
        self.text = path[:-1] if self.starts else path
        self.segments = self.text.split("/") if is_wildcard(path) else None
        self.priority = priority(path)

    def bucket(self) -> str | None:
        """The first segment of every path this can match, None when it is open."""
        if self.segments is None:
            first, slash, _ = self.text.partition("/")
            return first if slash else None
        literal = self.segments[0] != "+" and len(self.segments) > 1
        return self.segments[0] if literal else None

    def matches(self, path: str, parts: list[str]) -> bool:
        """Whether the pattern covers `path`, whose segments are `parts`."""
        own = self.segments
        if own is None:
            return path.startswith(self.text)
        if len(parts) < len(own) or (not self.starts and len(parts) != len(own)):
            return False
        last = len(own) - 1
        for index, segment in enumerate(own):
            if segment == "+" or segment == parts[index]:
                continue
            if not (self.starts and index == last and parts[index].startswith(segment)):
                return False
        return True


def priority(path: str) -> tuple[int, bool, int, int, str]:
    """Return where an open rule path stands among those that match: the greatest decides."""
    starts = path.endswith("*")
    text = path[:-1] if starts else path
    wild = is_wildcard(path)
    first = path.index("+") if wild else len(text)
    return (first, not starts, -text.split("/").count("+") if wild else 0, len(text), text)


def is_wildcard(path: str) -> bool:
    """Whether a rule path is matched segment by segment: `+` stands alone first or begins any later segment."""
    return path == "+" or path.startswith("+/") or "/+" in path


class RuleTable:
    """Merged rules by path, ready to be asked."""

    def __init__(self, rules: Mapping[str, MergedRule]) -> None:
        """`rules` by rule path, wildcards and trailing `*` included."""
        self.exact = {path: rule for path, rule in rules.items() if not is_open(path)}
        patterns = sorted(
            (_Pattern(path, rule) for path, rule in rules.items() if is_open(path)),
            key=lambda pattern: pattern.priority,
            reverse=True,
        )
        named = {pattern.bucket() for pattern in patterns} - {None}
        self._open = tuple(p for p in patterns if p.bucket() is None)
        self._buckets = {name: tuple(p for p in patterns if p.bucket() in (None, name)) for name in named}

    def find(self, path: str, *, listing: bool) -> MergedRule | None:
        """The rule that decides on `path` (no leading slash), None when there is none."""
        rule = self.exact.get(path)
        if rule is not None:
            return rule
        shorter = path[:-1] if listing and path.endswith("/") else None
        if shorter is not None:
            rule = self.exact.get(shorter)
            if rule is not None:
                return rule
        rule = self._best(path)
        if rule is None and shorter is not None:
            rule = self._best(shorter)
        return rule

    def _best(self, path: str) -> MergedRule | None:
        parts = path.split("/")
        for pattern in self._buckets.get(parts[0], self._open):
            if pattern.matches(path, parts):
                return pattern.rule
        return None


def is_open(path: str) -> bool:
    """Whether a rule path covers more than itself."""
    return path.endswith("*") or is_wildcard(path)


def open_prefixes(paths: Iterable[str]) -> list[str]:
    """Of `paths`, those that are plain prefixes."""
    return [path for path in paths if path.endswith("*") and not is_wildcard(path)]
