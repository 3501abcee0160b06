# SPDX-License-Identifier: EUPL-1.2
"""Rules with the same path, from one policy or several, made one."""

from __future__ import annotations

from collections.abc import Iterable

from vault.policy.model import Capability, ControlGroup, Parameters, PathRule


class MergedRule:
    """All rules on one path as one. It is read-only once merged; the cost of merging grows with what is added.

    Bounds are 0 when unset; `granting` names the policies behind each capability, `policies` all that have the rule:
    where it denies, those that do.
    """

    __slots__ = (
        "allowed",
        "capabilities",
        "control_groups",
        "denied",
        "filter_path",
        "granting",
        "max_wrapping_ttl",
        "min_wrapping_ttl",
        "pagination_limit",
        "path",
        "policies",
        "required",
    )

    def __init__(self, path: str = "") -> None:
        """A rule on `path` that grants nothing."""
        self.path = path
        self.policies: tuple[str, ...] = ()
        self.capabilities = Capability(0)
        self.granting: dict[Capability, tuple[str, ...]] = {}
        self.allowed: dict[str, list[object]] = {}
        self.denied: dict[str, list[object]] = {}
        self.required: dict[str, None] = {}
        self.min_wrapping_ttl: float = 0
        self.max_wrapping_ttl: float = 0
        self.pagination_limit = 0
        self.filter_path = ""
        self.control_groups: list[ControlGroup] = []

    @property
    def constrained(self) -> bool:
        """Whether constraints decide too, beside the capability."""
        return bool(
            self.allowed
            or self.denied
            or self.required
            or self.min_wrapping_ttl
            or self.max_wrapping_ttl
            or self.pagination_limit
            or self.filter_path
            or self.control_groups
        )

    def grants(self, capability: Capability) -> bool:
        """Whether `capability` is granted and nothing denies."""
        return bool(self.capabilities & capability)

    def add(self, rule: PathRule, policy: str) -> None:
        """Merge one more rule: capabilities add up, a deny clears everything, the tighter bound counts."""
        denies = Capability.DENY in rule.capabilities
        if Capability.DENY in self.capabilities:
            if denies:
                self._name(policy)
            return
        if denies:
            self.__init__(self.path)  # type: ignore[misc]  # a deny forgets all that was merged before
            self.capabilities = Capability.DENY
            self._name(policy)
            return
        self._name(policy)
        self.capabilities |= rule.capabilities
        for capability in rule.capabilities:
            names = self.granting.get(capability, ())
            if names[-1:] != (policy,):
                self.granting[capability] = (*names, policy)
        _add(self.allowed, rule.allowed)
        _add(self.denied, rule.denied)
        self.required.update(dict.fromkeys(rule.required))
        self.min_wrapping_ttl = _tighter(self.min_wrapping_ttl, rule.min_wrapping_ttl)
        self.max_wrapping_ttl = _tighter(self.max_wrapping_ttl, rule.max_wrapping_ttl)
        self.pagination_limit = int(_tighter(self.pagination_limit, rule.pagination_limit))
        self.filter_path = self.filter_path or rule.filter_path
        if rule.control_group is not None:
            self.control_groups.append(rule.control_group)

    def _name(self, policy: str) -> None:
        if self.policies[-1:] != (policy,):  # the rules of one policy follow each other
            self.policies = (*self.policies, policy)


def merge(rules: Iterable[tuple[str, PathRule]], *, now: float) -> dict[str, MergedRule]:
    """Merge (policy name, rule) pairs by path, without those that have expired at `now` (Unix time)."""
    merged: dict[str, MergedRule] = {}
    for policy, rule in rules:
        if rule.expires is None or rule.expires > now:
            merged.setdefault(rule.path, MergedRule(rule.path)).add(rule, policy)
    return merged


def _tighter(one: float, other: float) -> float:
    return min(one, other) if one and other else one or other


def _add(have: dict[str, list[object]], more: Parameters) -> None:
    """Join the values of each name. A name that accepts any value has no values here, and stays so."""
    for name, values in more.items():
        known = have.get(name)
        if known is None:
            have[name] = list(values)
        elif known and values:
            known += values
        else:
            known.clear()
