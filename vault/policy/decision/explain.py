# SPDX-License-Identifier: EUPL-1.2
"""Explains the verdict of an ACL: which rule of which policy decides, and what to add where it refuses.

The verdict comes from `Acl.check`, and the rule is the one that it found. So an explanation cannot differ from the
decision.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import msgspec

from vault.policy.decision.acl import Acl, AclVerdict, capability_words
from vault.policy.decision.merge import MergedRule
from vault.policy.decision.resultant import rule_shape
from vault.policy.model import Capability, PolicyError
from vault.policy.text.parse import parse_policy

EXPLAINED = ("create", "read", "update", "patch", "delete", "list", "scan", "sudo")
"""The capabilities that can be asked about."""
_LISTING = frozenset({"list", "scan"})
_SUGGESTED = "what would be added"


class PolicyContribution(msgspec.Struct, frozen=True):
    """The rule of one policy on the deciding path."""

    policy: str
    capabilities: Sequence[str]


class AclExplanation(msgspec.Struct, frozen=True):
    """The answer about one capability.

    `path` is what was asked about: a listing's ends in a slash. `rule` is the deciding rule's path, templates
    filled in; empty where there is none. `grants` are the policies with a rule on that very path, `constraints` what
    the rule asks beyond capabilities. `missing` is empty when allowed. `grant` is a rule that would allow it and take
    nothing away; empty where no added rule helps.
    """

    capability: str
    path: str
    allowed: bool
    rule: str
    grants: Sequence[PolicyContribution]
    constraints: Mapping[str, object]
    missing: str
    grant: str


def explain(acl: Acl, capabilities: Sequence[str], path: str, *, now: float) -> list[AclExplanation]:
    """Explain what `acl` says of a request without parameters or wrapping for `path`, which has no leading slash.

    `capabilities` are among `EXPLAINED`; `now` is Unix time.
    """
    return [_explained(acl, capability, path, now) for capability in capabilities]


def _explained(acl: Acl, capability: str, path: str, now: float) -> AclExplanation:
    path = _asked(capability, path)
    verdict = verdict_on(acl, capability, path, now=now)
    pattern = acl.deciding(_operation(capability), path, now=now)
    rule = None if pattern is None else acl.rules[pattern]
    sources = [] if pattern is None else acl.sources(pattern, now=now)
    return AclExplanation(
        capability=capability,
        path=path,
        allowed=verdict.allowed,
        rule=pattern or "",
        grants=[PolicyContribution(name, _words(one.capabilities)) for name, one in sources],
        constraints={} if rule is None else _constraints(rule),
        missing=_missing(verdict, rule),
        grant="" if verdict.allowed else _grant(acl, capability, path, rule, now=now),
    )


def _asked(capability: str, path: str) -> str:
    """The path as a request for this capability spells it: a listing's ends in a slash."""
    return f"{path}/" if capability in _LISTING and not path.endswith("/") else path


def verdict_on(acl: Acl, capability: str, path: str, *, now: float) -> AclVerdict:
    """Return the verdict of `acl` on a capability; sudo, which is no operation, is what goes with reading."""
    verdict = acl.check(_operation(capability), path, now=now)
    if capability != "sudo":
        return verdict
    missing = verdict.missing if acl.refusal else "sudo"
    return AclVerdict(allowed=verdict.sudo, sudo=verdict.sudo, missing="" if verdict.sudo else missing)


def _operation(capability: str) -> str:
    return "read" if capability == "sudo" else capability


def _words(capabilities: Capability) -> list[str]:
    return sorted(one.name.lower() for one in Capability if one in capabilities and one.name is not None)


def _constraints(rule: MergedRule) -> dict[str, object]:
    shown = rule_shape(rule)
    del shown["capabilities"]
    if rule.pagination_limit:
        shown["pagination_limit"] = rule.pagination_limit
    if rule.filter_path:
        shown["list_scan_response_keys_filter_path"] = rule.filter_path
    if rule.control_groups:
        controlled = {word for one in rule.control_groups for f in one.factors for word in f.capabilities}
        shown["control_group"] = sorted(controlled)
    return shown


def _missing(verdict: AclVerdict, rule: MergedRule | None) -> str:
    if verdict.allowed or rule is None or not rule.grants(Capability.DENY):
        return verdict.missing
    return f"{verdict.missing}, which the rule denies"


def _grant(acl: Acl, capability: str, path: str, rule: MergedRule | None, *, now: float) -> str:
    """Return a rule for `path` alone that would allow, tried out; empty where it would not.

    It has what the deciding rule grants, since it takes that one's place; a rule with constraints is never replaced.
    """
    words = {capability}
    if rule is not None and not rule.grants(Capability.DENY):
        if rule.constrained and path not in acl.rules:
            return ""
        words |= set(capability_words(rule)) - {"deny"}
    text = (
        f"path {json.dumps(path, ensure_ascii=False)} {{\n  capabilities = {json.dumps(sorted(words))}\n}}\n"
    )
    try:
        added = parse_policy(_SUGGESTED, text)
    except PolicyError:
        return ""
    if added.templated:
        return ""
    helped = acl.with_policy(added, now=now)
    kept = [word for word in EXPLAINED if verdict_on(acl, word, _asked(word, path), now=now).allowed]
    helps = all(verdict_on(helped, word, _asked(word, path), now=now).allowed for word in (capability, *kept))
    return text if helps else ""
