# SPDX-License-Identifier: EUPL-1.2
"""What a parsed policy is: rules on paths, each with capabilities and constraints."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntFlag

import msgspec


class Capability(IntFlag):
    """What a rule grants. `DENY` stands alone: it overrules the others on the same path."""

    DENY = 1
    CREATE = 2
    READ = 4
    UPDATE = 8
    DELETE = 16
    LIST = 32
    SUDO = 64
    PATCH = 128
    SCAN = 256


CAPABILITY_NAMES: Mapping[str, Capability] = {c.name.lower(): c for c in Capability if c.name is not None}
"""Capabilities by the word that policies use."""


class PolicyError(ValueError):
    """The text is not a valid policy. `message` is OpenBao's wording and may go to the client as it is."""

    def __init__(self, message: str) -> None:
        """Keep the message that the client is to see."""
        super().__init__(message)
        self.message = message


class ControlFactor(msgspec.Struct, frozen=True):
    """One factor of a control group: who has to approve which capabilities."""

    name: str
    capabilities: tuple[str, ...]
    group_names: tuple[str, ...]
    approvals: int


class ControlGroup(msgspec.Struct, frozen=True):
    """Approvals that a rule asks for before its response is released. `ttl` in seconds, 0 for the default."""

    ttl: float
    self_auth_allowed: bool
    factors: tuple[ControlFactor, ...]


Parameters = Mapping[str, tuple[object, ...]]
"""Lower-case parameter name to the values a rule names; an empty tuple stands for any value."""


class PathRule(msgspec.Struct, frozen=True, kw_only=True):
    """One `path "…" { … }` block.

    `path` has no leading slash. Wrapping bounds are seconds and 0 when unset, as is `pagination_limit`.
    `expires` is the Unix time from which the rule does not count, or None.
    """

    path: str
    capabilities: Capability
    allowed: Parameters = {}
    denied: Parameters = {}
    required: tuple[str, ...] = ()
    min_wrapping_ttl: float = 0
    max_wrapping_ttl: float = 0
    pagination_limit: int = 0
    filter_path: str = ""
    mfa_methods: tuple[str, ...] = ()
    control_group: ControlGroup | None = None
    expires: float | None = None
    templated: bool = False


class Policy(msgspec.Struct, frozen=True):
    """A named set of rules.

    The two `allow_` flags are the policy's settings for values that templates put into paths. `refusal` is set
    by rendering: why this policy must refuse every request.
    """

    name: str
    text: str
    rules: tuple[PathRule, ...]
    templated: bool = False
    allow_slashes: bool = False
    allow_wildcards: bool = False
    refusal: str = ""
