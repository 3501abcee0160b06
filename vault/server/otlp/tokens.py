# SPDX-License-Identifier: EUPL-1.2
"""What a request asks HSMs for, as parts of its trace."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TypeVar

from vault.engines.system.external_keys.agents import TokenAgent
from vault.engines.system.external_keys.pkcs11 import Pkcs11Provider
from vault.framework.errors import VaultError
from vault.framework.telemetry.trace import CURRENT

T = TypeVar("T")


class TracedTokens(Pkcs11Provider):
    """External keys in tokens: what a token is asked for is a part of the request."""

    async def _run(self, opened: TokenAgent, work: Callable[[], T], refusal: type[VaultError]) -> T:
        """See `Pkcs11Provider`."""
        trace = CURRENT.get()
        if trace is None:
            return await super()._run(opened, work, refusal)
        began, failed = perf_counter_ns(), True
        try:
            found, failed = await super()._run(opened, work, refusal), False
            return found
        finally:
            trace.add("hsm", began, failed=failed)
