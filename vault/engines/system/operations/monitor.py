# SPDX-License-Identifier: EUPL-1.2
"""`sys/monitor`: the server's log as it is written. It holds no secrets, so a policy on this path is all it takes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Final

from vault.framework.call import Call, Identity
from vault.framework.engine import Engine
from vault.framework.errors import Limited, Malformed
from vault.framework.fields import Doc
from vault.framework.reply import Reply
from vault.framework.route import Params, read
from vault.framework.telemetry.log import LEVELS, Log
from vault.token.still_valid import StillValid

_FORMS: Final = ("standard", "json")
_LOOK_SECONDS: Final = 1.0
"""Seconds between two checks that the reader is still authorised."""


class MonitorParams(Params, frozen=True):
    """What is read, and how it looks."""

    log_level: Annotated[str, Doc("Lowest level: trace, debug, info, warn or error.", clear=True)] = "info"
    log_format: Annotated[str, Doc("standard or json.", clear=True)] = "standard"


class MonitorEngine(Engine):
    """A stream of the log, until the reader leaves, their token ends, or the server stops."""

    def __init__(self, log: Log, lasting: StillValid) -> None:
        self._log = log
        self._lasting = lasting

    @read("monitor", event="sys.monitor.read")
    async def monitor(self, call: Call, params: MonitorParams) -> Reply[None]:
        """Stream the server's log."""
        level = params.log_level.lower() or "info"
        form = params.log_format.lower() or "standard"
        if level not in LEVELS:
            raise Malformed("unknown log level")
        if form not in _FORMS:
            raise Malformed("unknown log format")
        if self._log.crowded:
            raise Limited("too many clients read the log already")
        return Reply(stream=self._lines(level, form, call.caller()), plain=True)

    async def _lines(self, level: str, form: str, caller: Identity) -> AsyncGenerator[bytes, None]:
        watch = self._log.watch(level, form)
        try:
            while not watch.ended:
                text = await watch.read(_LOOK_SECONDS)
                if not await self._lasting.good(caller):
                    return
                if text:
                    yield text.encode()
        finally:
            self._log.unwatch(watch)
