# SPDX-License-Identifier: EUPL-1.2
"""`cubbyhole/response`: the older path of `sys/wrapping/unwrap`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from vault.barrier.barrier import Barrier
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.fields import Json
from vault.framework.reply import Reply
from vault.framework.route import read
from vault.token.authenticator import core_reader
from vault.values.deprecation import OLD
from vault.wrap.wrapper import Wrapper

Otherwise = Callable[[Call], Awaitable[Reply[Mapping[str, Json]]]]
"""Reads the caller's own entry `response`, for a caller whose token wraps no response."""


class CubbyholeResponseEngine(Engine):
    """Part of the cubbyhole mount, beside the engine that keeps its entries."""

    def __init__(self, wrapper: Wrapper, barrier: Barrier, otherwise: Otherwise) -> None:
        self._wrapper = wrapper
        self._barrier = barrier
        self._otherwise = otherwise

    @read("response", event="wrap.unwrap", deprecation=OLD)
    async def read_response(self, call: Call) -> Reply[Mapping[str, Json]]:
        """Fetch the response behind the caller's wrapping token, as text; deprecated.

        Any other token reads its own entry of that name.
        """
        core = core_reader(self._barrier, call.namespace)
        waiting = await self._wrapper.hand_out(call, core)
        if waiting is None:
            return await self._otherwise(call)
        return Reply(waiting.data, warnings=waiting.warnings, long=waiting.long)
