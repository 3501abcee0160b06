# SPDX-License-Identifier: EUPL-1.2
"""The `control_group` block of a policy rule."""

from __future__ import annotations

from vault.framework.hcl.syntax_tree import Block, Item
from vault.policy.model import CAPABILITY_NAMES, ControlFactor, ControlGroup, PolicyError
from vault.policy.text import decode


def parse_control_group(item: Item) -> ControlGroup:
    """Read a control group. Raises PolicyError with OpenBao's message."""
    try:
        return _group(item)
    except PolicyError as error:
        raise PolicyError(
            f"error handling control_group: 1 error occurred:\n\t* {error.message}\n\n"
        ) from None


def _group(item: Item) -> ControlGroup:
    block = _block(item, frozenset({"ttl", "self_auth_allowed", "factor"}), "")
    ttl, self_auth = 0.0, False
    for inner in block.named("ttl"):
        try:
            ttl = decode.duration(str(inner.value))
        except ValueError as error:
            raise PolicyError(f"path control_group: invalid ttl: {error}") from None
    for inner in block.named("self_auth_allowed"):
        self_auth = inner.value is True
    factors = tuple(_factor(inner) for inner in block.named("factor"))
    if not factors:
        raise PolicyError("requires at least one factor but had none")
    for index, factor in enumerate(factors):
        _refuse_incomplete(index, factor)
    return ControlGroup(ttl, self_auth, factors)


def _factor(item: Item) -> ControlFactor:
    try:
        block = _block(
            item, frozenset({"identity", "controlled_capabilities"}), "path control_group factor: "
        )
        name = _factor_name(item)
    except PolicyError as error:
        raise PolicyError(
            f"error handling control_group factor: 1 error occurred:\n\t* {error.message}\n\n"
        ) from None
    capabilities: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    approvals = 0
    for inner in block.named("controlled_capabilities"):
        capabilities += decode.strings(inner, "controlled_capabilities", json=False)
    for identity in block.named("identity"):
        for inner in decode.block(identity).named("group_names"):
            groups += decode.strings(inner, "group_names", json=False)
        for inner in decode.block(identity).named("approvals"):
            approvals = decode.integer(inner, "approvals", json=False)
    return ControlFactor(name, capabilities, groups, approvals)


def _factor_name(item: Item) -> str:
    if not item.labels:
        raise PolicyError("path control_group factor: require name key")
    return item.labels[0]


def _refuse_incomplete(index: int, factor: ControlFactor) -> None:
    if not factor.capabilities:
        raise PolicyError(f"factor {index}: missing controlled capabilities")
    if not CAPABILITY_NAMES.keys() >= set(factor.capabilities):
        raise PolicyError("path control_group Operation(s) not valid")
    if factor.approvals < 1:
        raise PolicyError(f"factor {index}: missing required approvals")
    if not factor.group_names:
        raise PolicyError(f"factor {index}: missing approving groups")


def _block(item: Item, known: frozenset[str], prefix: str) -> Block:
    block = decode.block(item)
    for inner in block.items:
        if inner.key not in known:
            line = inner.line if inner.assigned else 0
            raise PolicyError(f"{prefix}invalid key on line {line}")
    return block
