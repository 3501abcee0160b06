# SPDX-License-Identifier: EUPL-1.2
"""Identity templates in rule paths: `secret/{{identity.entity.name}}/*`.

A value is one literal piece of one segment: `/`, `+`, `*` and control characters in it refuse the policy as a
whole (SL-04, SL-05). Where there is no value, a rule that grants is dropped, and a rule that denies is widened
to every path it could have meant, and then takes part in the match choice like any other rule.
"""

from __future__ import annotations

import re

import msgspec

from vault.framework.identity import AliasFacts, IdentityFacts
from vault.policy.model import Capability, PathRule, Policy, PolicyError

_TEMPLATE = re.compile(r"\{\{(.*?)(?:\}\}|\Z)", re.DOTALL)
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f]")


def is_templated(path: str) -> bool:
    """Whether `path` has templates. Raises PolicyError for unbalanced braces."""
    before, *rest = path.split("{{")
    if "}}" in before or any(piece.count("}}") != 1 for piece in rest):
        raise PolicyError("failed to validate policy templating: unbalanced templating characters")
    return bool(rest)


def render(policy: Policy, facts: IdentityFacts | None) -> Policy:
    """`policy` with its templates replaced; `facts` is None for a token without an entity.

    The result carries a `refusal` when a value may not stand in a path: it must then refuse every request.
    """
    if not policy.templated:
        return policy
    banned = ("" if policy.allow_slashes else "/") + ("" if policy.allow_wildcards else "+*")
    rules: list[PathRule] = []
    for rule in policy.rules:
        if not rule.templated:
            rules.append(rule)
            continue
        values = [selected(selector.strip(), facts) for selector in _TEMPLATE.findall(rule.path)]
        if any(value is not None and _unsafe(value, banned) for value in values):
            refusal = "an identity value may not stand in a path"
            return msgspec.structs.replace(policy, rules=(), templated=False, refusal=refusal)
        if None not in values:
            literal = _TEMPLATE.split(rule.path)[::2]
            path = literal[0] + "".join(f"{v}{text}" for v, text in zip(values, literal[1:], strict=True))
            rules.append(msgspec.structs.replace(rule, path=path, templated=False))
        elif Capability.DENY in rule.capabilities:
            rules.append(_widened(rule, allow_slashes=policy.allow_slashes))
    return msgspec.structs.replace(policy, rules=tuple(rules), templated=False)


def _unsafe(value: str, banned: str) -> bool:
    if not value or _FORBIDDEN.search(value) or any(char in value for char in banned):
        return True
    return any(segment in (".", "..") for segment in value.split("/"))


def _widened(rule: PathRule, *, allow_slashes: bool) -> PathRule:
    """A deny on every path that the template could become."""
    segments = rule.path.split("/")
    first = next(i for i, segment in enumerate(segments) if "{{" in segment)
    if allow_slashes or any("/" in name for name in _TEMPLATE.findall(rule.path)):
        path = "/".join([*segments[:first], "*"])
    else:
        wide = ["+" if "{{" in segment else segment for segment in segments]
        if "{{" in segments[-1] and segments[-1].endswith("*"):
            wide[-1] = "*"
        path = "/".join(wide)
    return msgspec.structs.replace(rule, path=path, templated=False)


def selected(selector: str, facts: IdentityFacts | None) -> str | None:
    """Return the value that `selector` names, as `identity.entity.name` does; None when it has none."""
    if facts is None:
        return None
    parts = selector.split(".")
    if parts[:2] == ["identity", "entity"]:
        return _entity_value(parts[2:], facts)
    if parts[:2] == ["identity", "groups"]:
        return _group_value(parts[2:], facts)
    return None


def _group_value(parts: list[str], facts: IdentityFacts) -> str | None:
    match parts:
        case ["ids", group, "name"] if group in facts.groups:
            return facts.groups[group].name
        case ["ids", group, "metadata", *key] if key and group in facts.groups:
            return facts.groups[group].metadata.get(".".join(key))
        case ["names", *name, "id"] if name:
            return _named(".".join(name), facts)
        case ["names", name, "metadata", *key] if key:
            found = _named(name, facts)
            return None if found is None else facts.groups[found].metadata.get(".".join(key))
    return None


def _named(name: str, facts: IdentityFacts) -> str | None:
    return next((group for group, its in facts.groups.items() if its.name == name), None)


def _entity_value(parts: list[str], facts: IdentityFacts) -> str | None:
    match parts:
        case ["id"]:
            return facts.entity_id
        case ["name"]:
            return facts.entity_name
        case ["metadata", *key] if key:
            return facts.metadata.get(".".join(key))
        case ["aliases", accessor, *rest] if accessor in facts.aliases:
            return _alias_value(rest, facts.aliases[accessor])
    return None


def _alias_value(parts: list[str], alias: AliasFacts) -> str | None:
    match parts:
        case ["id"]:
            return alias.id
        case ["name"]:
            return alias.name
        case ["metadata", *key] if key:
            return alias.metadata.get(".".join(key))
        case ["custom_metadata", *key] if key:
            return alias.custom_metadata.get(".".join(key))
    return None
