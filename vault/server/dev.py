# SPDX-License-Identifier: EUPL-1.2
"""Development mode."""

from __future__ import annotations

from collections.abc import Mapping

from vault.framework.clock import Entropy
from vault.server.application import Application
from vault.server.flags import Options
from vault.server.settings import Config, Listener, StorageSettings


class Development:
    """One development server."""

    def __init__(self, options: Options, environment: Mapping[str, str], *, entropy: Entropy) -> None: ...

    def config(self) -> Config:
        return Config(listeners=(Listener(kind="tcp"),), storage=StorageSettings(kind="inmem"))

    async def prepare(self, application: Application) -> None: ...

    def announce(self, addresses: list[str]) -> None: ...
