# SPDX-License-Identifier: EUPL-1.2
"""An ACL as facts of a token, for verifiers that know nothing of this server's policies: exactly, or not at all.

Only one rule decides on a path, so a rule's fact says where it applies, and where one that comes before it does. A
deny is not written; it is one of those that come before. `grant` is asked about everything but listings, which also
look at the path without its final slash: for those there is `grant_listing`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from vault.framework.errors import Malformed
from vault.framework.quote import quote
from vault.policy.decision.acl import Acl, compile_acl
from vault.policy.decision.match import is_open, is_wildcard, priority
from vault.policy.decision.merge import MergedRule
from vault.policy.model import CAPABILITY_NAMES, Capability, Policy

GRANT: Final = "grant"
LISTING: Final = "grant_listing"
RULE: Final = (
    "allow if operation($o), resource($r), {fact}($p, $c, $x), $c.contains($o), $r.matches($p), "
    "!$x.any($q -> $r.matches($q))"
)
"""What a verifier asks, with `GRANT` or, about list and scan, `LISTING`."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9/_-]")
_LISTS: Final = Capability.LIST | Capability.SCAN


class Grant(msgspec.Struct, frozen=True):
    """Paths that match `pattern` and none of `unless` have these capabilities."""

    fact: str
    pattern: str
    capabilities: tuple[str, ...]
    unless: tuple[str, ...]


class _Entry(msgspec.Struct, frozen=True):
    """A rule path where it is looked at; `shortened` for a listing without its final slash."""

    path: str
    rule: MergedRule
    shortened: bool

    @property
    def pattern(self) -> str:
        return _pattern(self.path, end="/$" if self.shortened else "$")


def exported(policies: Sequence[Policy], now: float) -> tuple[Grant, ...]:
    """Return what policies say together as grants. Raises `Malformed` where facts could not say exactly that."""
    for policy in policies:
        if policy.templated:
            raise Malformed(
                f'policies: "{quote(policy.name)}" has a template, which facts cannot say exactly'
            )
        if any(rule.expires is not None and rule.expires > now for rule in policy.rules):
            raise Malformed(
                f'policies: "{quote(policy.name)}" has a rule that expires, which facts cannot say exactly'
            )
    acl = compile_acl(policies, now=now)
    if acl.root:
        raise Malformed("policies: root cannot be exported")
    for path, rule in acl.rules.items():
        if rule.constrained:
            raise Malformed(
                f'policies: the rule on "{quote(path)}" has more than capabilities, which facts cannot say exactly'
            )
    order = _ordered(acl)
    grants = [*_grants(GRANT, [entry for entry in order if not entry.shortened])]
    if any(rule.capabilities & _LISTS for rule in acl.rules.values()):
        grants += _grants(LISTING, order)
    return tuple(grants)


def _ordered(acl: Acl) -> list[_Entry]:
    """Return all rules in the order in which they are looked for: the first that matches decides."""
    exact = [(path, rule) for path, rule in acl.rules.items() if not is_open(path)]
    wide = sorted(
        ((path, rule) for path, rule in acl.rules.items() if is_open(path)),
        key=lambda one: priority(one[0]),
        reverse=True,
    )
    return [
        _Entry(path, rule, shortened)
        for rules in (exact, wide)
        for shortened in (False, True)
        for path, rule in rules
    ]


def _grants(fact: str, order: Sequence[_Entry]) -> list[Grant]:
    found = []
    for place, entry in enumerate(order):
        words = tuple(
            sorted(name for name, flag in CAPABILITY_NAMES.items() if entry.rule.capabilities & flag)
        )
        if not words or words == ("deny",):
            continue
        before = tuple(
            dict.fromkeys(earlier.pattern for earlier in order[:place] if _may_meet(earlier, entry))
        )
        found.append(Grant(fact, entry.pattern, words, before))
    return found


def _may_meet(one: _Entry, other: _Entry) -> bool:
    """Whether two patterns can match the same path, as far as what comes before their first wildcard tells."""
    ends = []
    for entry in (one, other):
        wide = is_open(entry.path)
        text = _literal(entry.path) if wide else entry.path + ("/" if entry.shortened else "")
        ends.append((text, wide))
    (left, left_open), (right, right_open) = ends
    if not left_open and not right_open:
        return left == right
    if left_open and right_open:
        return left.startswith(right) or right.startswith(left)
    return right.startswith(left) if left_open else left.startswith(right)


def _literal(path: str) -> str:
    """Return what every path begins with that an open rule path matches."""
    if not is_wildcard(path):
        return path.removesuffix("*")
    before: list[str] = []
    for segment in path.split("/"):
        if segment == "+":
            return "".join(f"{one}/" for one in before)
        before.append(segment)
    return path.removesuffix("*")


def _pattern(path: str, end: str) -> str:
    """Return a rule path as a regular expression; `end` closes one that is looked at whole."""
    starts = path.endswith("*")
    text = path[:-1] if starts else path
    segments = text.split("/") if is_wildcard(path) else [text]
    body = "/".join("[^/]*" if one == "+" and is_wildcard(path) else _escaped(one) for one in segments)
    if not starts:
        return f"^{body}{end}"
    return f"^{body}" if end == "$" else f"(?s)^{body}.*{end}"


def _escaped(text: str) -> str:
    return "".join(one if _PLAIN.match(one) else f"\\x{{{ord(one):x}}}" for one in text)
