# SPDX-License-Identifier: EUPL-1.2
"""Whether a token may know of a mount: whether any of its rules reaches into it."""

from __future__ import annotations

from vault.policy.decision.acl import Acl
from vault.policy.decision.match import is_wildcard
from vault.policy.model import Capability


def touches(acl: Acl, path: str, *, now: float) -> bool:
    """Return whether `acl` reaches into the mount at `path` (which ends in `/`); `now` is Unix time.

    As in OpenBao, a prefix that covers the whole mount counts even where it denies.
    """
    if acl.root:
        return True
    if acl.refusal:
        return False
    if acl.capabilities(path, now=now) != ["deny"]:
        return True
    return any(
        _reaches(text, path, grants=bool(rule.capabilities) and Capability.DENY not in rule.capabilities)
        for text, rule in acl.rules.items()
    )


def _reaches(rule: str, path: str, *, grants: bool) -> bool:
    if is_wildcard(rule):
        return grants and _crosses(rule.split("/"), path.rstrip("/").split("/"))
    if rule.endswith("*"):
        return path.startswith(rule[:-1]) or (grants and rule.startswith(path))
    return grants and rule.startswith(path)


def _crosses(rule: list[str], mount: list[str]) -> bool:
    """Whether a rule with `+` in it leads to the mount or below it, segment by segment."""
    for index, segment in enumerate(mount):
        if index >= len(rule):
            return False
        wanted = rule[index]
        if index == len(rule) - 1 and wanted.endswith("*"):
            return segment.startswith(wanted[:-1])
        if wanted not in {"+", segment}:
            return False
    return True
