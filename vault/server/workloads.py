# SPDX-License-Identifier: EUPL-1.2
"""Identities of workloads, put together from the server's parts."""

from __future__ import annotations

from collections.abc import Sequence

from nhi.biscuit.engine import IssuingEngine, KeyEngine, WorkloadEngine
from nhi.biscuit.lineage_routes import LineageEngine
from nhi.biscuit.minting import Mint
from nhi.biscuit.oauth import OAuthEngine
from nhi.biscuit.revoking import RevokingEngine
from nhi.biscuit.service import BiscuitService
from vault.framework.engine import Engine
from vault.framework.external import ExternalKeys
from vault.server.parts import Parts


def workloads(parts: Parts, external: ExternalKeys) -> tuple[Sequence[Engine], BiscuitService]:
    """Return the engines of an `nhi` mount, and what Biscuits are to the other engines."""
    mint = Mint(parts.clock, parts.entropy, external)
    engines = (
        KeyEngine(mint),
        WorkloadEngine(parts.clock, parts.entropy),
        IssuingEngine(mint, parts.biscuits, parts.barrier),
        RevokingEngine(parts.biscuits, parts.barrier, parts.entropy),
        LineageEngine(),
        OAuthEngine(mint, parts.biscuits),
    )
    return engines, BiscuitService(parts.biscuits, mint, parts.barrier)
