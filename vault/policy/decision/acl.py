# SPDX-License-Identifier: EUPL-1.2
"""The decision: may a token with these policies do this operation on this path?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import msgspec

from vault.framework.errors import Reason
from vault.framework.identity import IdentityFacts
from vault.policy.builtin import ROOT
from vault.policy.decision.constraints import forced_limit, parameters_pass, wrapping_passes
from vault.policy.decision.match import OVERGROWN, RuleTable
from vault.policy.decision.merge import MergedRule, merge
from vault.policy.listing import compile_filter
from vault.policy.model import CAPABILITY_NAMES, Capability, PathRule, Policy, PolicyError
from vault.policy.template import render

_MEMO_SIZE = 2048
_LONGEST = 512
"""Characters of the longest path whose verdict is cached (SL-71)."""
_NEEDED = {
    name: CAPABILITY_NAMES[name] for name in ("create", "read", "update", "delete", "list", "patch", "scan")
}
_LISTING = frozenset({"list", "scan"})
_UNGRANTED = {name: Reason(f"the rule does not grant {name}") for name in _NEEDED}


class AclVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question.

    `sudo`: whether the deciding rule grants it. `granting`: the policies behind the capability, for the audit.
    `pagination_limit`: the limit a listing must use, None to leave the request's own. `filter_path`: the
    template that listed keys are filtered by, empty for none. `missing`: what was lacking, empty when allowed.
    `rule`: the path of the rule that decided, templates filled in; empty for root and where none covers the path.
    `policies`: those that have this rule, or that refuse everything. `reason`: why it was refused, for the log.
    """

    allowed: bool
    root: bool = False
    sudo: bool = False
    granting: tuple[str, ...] = ()
    pagination_limit: int | None = None
    filter_path: str = ""
    missing: str = ""
    rule: str = ""
    policies: tuple[str, ...] = ()
    reason: Reason | None = None


_ROOT_VERDICT = AclVerdict(allowed=True, root=True, sudo=True, granting=(ROOT,))
_OVERGROWN_VERDICT = AclVerdict(
    allowed=False, missing="fewer rules with + that fit the path", reason=Reason.OVERGROWN
)


class Acl:
    """The compiled policies of a token. Rules that expire stop counting at their time, whenever it was compiled."""

    def __init__(self, policies: Sequence[Policy], *, now: float, most_verdicts: int = _MEMO_SIZE) -> None:
        """Compile rendered `policies`; `now` is Unix time. So many verdicts are cached."""
        self._most_verdicts = most_verdicts
        self.root = any(policy.name == ROOT for policy in policies)
        self.refusal = next((f"policy {p.name}: {p.refusal}" for p in policies if p.refusal), "")
        self._policies = tuple(policies)
        self._compile(now)

    def _compile(self, now: float) -> None:
        rules = [(policy.name, rule) for policy in self._policies for rule in policy.rules]
        self.rules = merge(rules, now=now)
        self._stale_at = min((r.expires for _, r in rules if r.expires and r.expires > now), default=math.inf)
        self._table = RuleTable(self.rules)
        self._memo: dict[tuple[str, str], tuple[MergedRule | None, AclVerdict, bool]] = {}

    @property
    def stale_at(self) -> float:
        """When (Unix time) the first of the current rules expires; infinite when none does."""
        return self._stale_at

    def check(
        self,
        operation: str,
        path: str,
        *,
        now: float,
        data: Mapping[str, object] | None = None,
        wrap_ttl: float | None = None,
    ) -> AclVerdict:
        """Decide on `operation` (create, read, update, delete, list, scan or patch) for `path`.

        `path` is canonical, without leading slash; a listing's ends in a slash. `data` holds the request's
        parameters, query included. `wrap_ttl` in seconds, None when nothing was said about wrapping.
        """
        if now >= self._stale_at:
            self._compile(now)
        found = self._memo.get((operation, path))
        if found is None:
            found = self._decide(operation, path)
        rule, verdict, constrained = found
        if not constrained or rule is None:
            return verdict
        return _constrained(rule, verdict, operation, data or {}, wrap_ttl)

    def _decide(self, operation: str, path: str) -> tuple[MergedRule | None, AclVerdict, bool]:
        """The verdict by the capability alone, and whether constraints matter; cached."""
        needed = _NEEDED.get(operation, Capability(0))
        rule: MergedRule | None = None
        if self.root:
            verdict = _ROOT_VERDICT
        elif self.refusal:
            refusing = tuple(policy.name for policy in self._policies if policy.refusal)
            verdict = AclVerdict(
                allowed=False, missing=self.refusal, policies=refusing, reason=Reason.TEMPLATE
            )
        else:
            rule = self._table.find(path.lstrip("/"), listing=operation in _LISTING)
            verdict = _capable(rule, needed, operation)
        found = rule, verdict, rule is not None and verdict.allowed and rule.constrained
        if len(path) <= _LONGEST:
            if len(self._memo) >= self._most_verdicts:
                self._memo.clear()
            self._memo[operation, path] = found
        return found

    def lets_either(self, path: str, *, now: float) -> AclVerdict | None:
        """Return the verdict on create and on update of `path`, where both are allowed in the same way, whatever a request holds."""
        if now >= self._stale_at:
            self._compile(now)
        _, update, constrained = self._memo.get(("update", path)) or self._decide("update", path)
        _, create, too = self._memo.get(("create", path)) or self._decide("create", path)
        return update if update.allowed and update == create and not (constrained or too) else None

    def denies(self, operation: str, path: str) -> bool:
        """Whether a rule denies it, rather than no rule granting it. Call it after `check`, which sets the time."""
        rule, _, _ = self._decide(operation, path)
        return rule is not None and rule.grants(Capability.DENY)

    def deciding(self, operation: str, path: str, *, now: float) -> str | None:
        """Return which rule path `check` decides by; None where none covers `path`, and for root."""
        if now >= self._stale_at:
            self._compile(now)
        rule, _, _ = self._decide(operation, path)
        return next((own for own, merged in self.rules.items() if merged is rule), None)

    def sources(self, rule_path: str, *, now: float) -> list[tuple[str, PathRule]]:
        """Return the rules with this very path that count at `now`, each with its policy's name."""
        return [
            (policy.name, rule)
            for policy in self._policies
            for rule in policy.rules
            if rule.path == rule_path and (rule.expires is None or rule.expires > now)
        ]

    def copy(self, *, now: float) -> Acl:
        """Return an equal ACL that shares no mutable state, for another thread."""
        return Acl(self._policies, now=now)

    def with_policy(self, policy: Policy, *, now: float) -> Acl:
        """Return the ACL that would decide if `policy` counted too."""
        return Acl([*self._policies, policy], now=now)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the policies that were found."""
        return tuple(policy.name for policy in self._policies)

    def capabilities(self, path: str, *, now: float) -> list[str]:
        """What sys/capabilities answers for `path`: sorted words, `["deny"]` or `["root"]`."""
        if now >= self._stale_at:
            self._compile(now)
        if self.root:
            return [ROOT]
        rule = None if self.refusal else self._table.find(path.lstrip("/"), listing=True)
        return capability_words(rule)

    def visible(self, verdict: AclVerdict, path: str, keys: Iterable[str], *, now: float) -> list[str]:
        """Of `keys` listed under `path`, those that the verdict's filter lets the token see.

        A key is seen when its own path may be read, or listed where the key ends in a slash.
        """
        if not verdict.filter_path:
            return list(keys)
        compiled = compile_filter(verdict.filter_path)
        base = path if path.endswith("/") else f"{path}/"
        seen = []
        for key in keys:
            operation = "list" if key.endswith("/") else "read"
            with suppress(PolicyError):  # no rule covers a path that is too long
                if self.check(operation, compiled.path(base, key).lstrip("/"), now=now).allowed:
                    seen.append(key)
        return seen


def compile_acl(policies: Sequence[Policy], *, now: float, facts: IdentityFacts | None = None) -> Acl:
    """Render and compile policies, given in the order their names sort; `now` is Unix time in seconds.

    `facts` is None for a token without an entity. A policy that may not be rendered with them makes the Acl
    refuse everything, root excepted.
    """
    return Acl([render(policy, facts) for policy in policies], now=now)


def capability_words(rule: MergedRule | None) -> list[str]:
    """A rule's capabilities in the order that OpenBao answers."""
    if rule is None or not rule.capabilities:
        return ["deny"]
    return sorted(name for name, flag in CAPABILITY_NAMES.items() if rule.capabilities & flag)


def _capable(rule: MergedRule | None, needed: Capability, operation: str) -> AclVerdict:
    if rule is OVERGROWN:
        return _OVERGROWN_VERDICT
    if rule is None:
        return AclVerdict(allowed=False, missing=operation, reason=Reason.NO_RULE)
    sudo = rule.grants(Capability.SUDO)
    if not needed or not rule.grants(needed):
        reason = Reason.DENIED if rule.grants(Capability.DENY) else _UNGRANTED.get(operation, Reason.NO_RULE)
        return AclVerdict(
            allowed=False, sudo=sudo, missing=operation, rule=rule.path, policies=rule.policies, reason=reason
        )
    return AclVerdict(
        allowed=True, sudo=sudo, granting=rule.granting[needed], rule=rule.path, policies=rule.policies
    )


def _constrained(
    rule: MergedRule, verdict: AclVerdict, operation: str, data: Mapping[str, object], wrap_ttl: float | None
) -> AclVerdict:
    """Return `verdict` after the rule's constraints."""
    if any(operation in f.capabilities for group in rule.control_groups for f in group.factors):
        return _refused(verdict, "control group approval", Reason.CONTROL_GROUP)
    if not wrapping_passes(rule, wrap_ttl):
        return _refused(verdict, "response wrapping within the rule's bounds", Reason.WRAPPING)
    if operation not in _LISTING:
        if operation == "delete" or parameters_pass(rule, data):
            return verdict
        return _refused(verdict, "parameters that the rule accepts", Reason.PARAMETERS)
    try:
        limit = forced_limit(rule, data)
    except PolicyError as error:
        return _refused(verdict, error.message, Reason.LIMIT)
    return msgspec.structs.replace(verdict, pagination_limit=limit, filter_path=rule.filter_path)


def _refused(verdict: AclVerdict, missing: str, reason: Reason) -> AclVerdict:
    return msgspec.structs.replace(verdict, allowed=False, granting=(), missing=missing, reason=reason)
