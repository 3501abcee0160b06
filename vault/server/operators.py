# SPDX-License-Identifier: EUPL-1.2
"""The engines of `sys/` by which operators keep the vault in order: passwords, leases, quotas, logs, browsers."""

from __future__ import annotations

from vault.engines.system.password_policies import PasswordPolicyEngine
from vault.framework.engine import Engine
from vault.server.parts import Parts


def operators(parts: Parts) -> tuple[Engine, ...]:
    """Return them, put together from the server's parts."""
    return (PasswordPolicyEngine(parts.barrier, parts.entropy),)
