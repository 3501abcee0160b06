# SPDX-License-Identifier: EUPL-1.2
"""The shape of sys/internal/ui/resultant-acl: what a token may do, for a user interface to hide the rest."""

from __future__ import annotations

from vault.policy.decision.acl import Acl, capability_words
from vault.policy.decision.match import is_open, open_prefixes
from vault.policy.decision.merge import MergedRule


def resultant_acl(acl: Acl) -> dict[str, object]:
    """The `data` of the answer. As in OpenBao, paths with `+` are not in it."""
    if acl.root:
        return {"root": True}
    rules = {} if acl.refusal else acl.rules
    return {
        "root": False,
        "exact_paths": {path: rule_shape(rule) for path, rule in rules.items() if not is_open(path)},
        "glob_paths": {path[:-1]: rule_shape(rules[path]) for path in open_prefixes(rules)},
    }


def rule_shape(rule: MergedRule) -> dict[str, object]:
    """A rule in the words of a policy; bounds on wrapping are in seconds."""
    shape: dict[str, object] = {"capabilities": capability_words(rule)}
    if rule.min_wrapping_ttl:
        shape["min_wrapping_ttl"] = int(rule.min_wrapping_ttl)
    if rule.max_wrapping_ttl:
        shape["max_wrapping_ttl"] = int(rule.max_wrapping_ttl)
    for key, parameters in (("allowed_parameters", rule.allowed), ("denied_parameters", rule.denied)):
        if parameters:
            shape[key] = {name: list(values) for name, values in parameters.items()}
    if rule.required:
        shape["required_parameters"] = list(rule.required)
    return shape
