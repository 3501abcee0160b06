# SPDX-License-Identifier: EUPL-1.2
"""The names in a listing that lead to something that the caller may read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vault.policy.decision.acl import Acl
from vault.policy.model import Capability

_ANY: Final = "~"
"""Stands for any segment that no rule names."""


def readable(acl: Acl, base: str, keys: Sequence[str], *, now: float) -> list[str]:
    """Return those of `keys`, listed below `base` (which ends in `/`), that may be read; `now` is Unix time.

    A folder is shown when some path in it may be read, even if there is no entry at that path.
    """
    if acl.root:
        return list(keys)
    rules = [rule.split("/") for rule in acl.rules if _meets(rule.split("/"), base.split("/")[:-1])]
    granting = [rule for rule in rules if acl.rules["/".join(rule)].grants(Capability.READ)]
    deepest = max(map(len, rules), default=0)
    return [key for key in keys if _is_readable(acl, base + key, granting, deepest, now)]


def _is_readable(acl: Acl, path: str, granting: Sequence[Sequence[str]], deepest: int, now: float) -> bool:
    """Whether a name may be read. For a folder one example of each kind of path that the rules tell apart is tried."""
    if not path.endswith("/"):
        return acl.check("read", path, now=now).allowed
    folder = path.split("/")[:-1]
    starts = {path, *(_example(rule, folder) for rule in granting if _meets(rule, folder))}
    return any(
        acl.check("read", start + "/".join([_ANY] * more), now=now).allowed
        for start in starts
        for more in range(deepest - len(folder) + 2)
        if more or not start.endswith("/")
    )


def _meets(rule: Sequence[str], folder: Sequence[str]) -> bool:
    """Whether a rule's path may lead into a folder: one is a prefix of the other, segment by segment."""
    for index, (wanted, segment) in enumerate(zip(rule, folder, strict=False)):
        if index == len(rule) - 1:
            return wanted.endswith("*") and segment.startswith(wanted[:-1].removeprefix("+"))
        if wanted not in {"+", segment}:
            return False
    return True


def _example(rule: Sequence[str], folder: Sequence[str]) -> str:
    """Return an example path in a folder that the rule covers."""
    own = [_ANY if segment == "+" else segment.removesuffix("*") for segment in rule]
    return "/".join([*folder, *own[len(folder) :]]) if len(own) > len(folder) else "/".join(folder) + "/"
