# SPDX-License-Identifier: EUPL-1.2
"""Today's server on a database that is there, in this process, at any time: Biscuits of the corpus ended long ago."""

import json
from pathlib import Path
from typing import Any, Final

from tests.routes.driver import Ahead, Application
from vault.framework.clock import Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.compose.app import Vault
from vault.server.config.settings import AuditDevice, Config, Listener, StorageSettings
from vault.storage.sqlite.storage import SqliteStorage

_LISTENER: Final = Listener(kind="tcp", address="127.0.0.1:1", tls_disable=True)


class Opened(Application):
    """A sealed server on `file`, whose clock stands at `moment` (nanoseconds since the epoch; None for now)."""

    def __init__(self, file: Path, moment: int | None) -> None:
        self._moment = moment
        super().__init__(SqliteStorage.open(file))
        self.root = ""

    async def _build(self) -> None:
        self.clock = clock = Ahead(self._moment)
        self.vault = Vault(
            Config(
                listeners=(_LISTENER,),
                storage=StorageSettings(kind="sqlite"),
                audit=(AuditDevice(kind="file", path="own", options={"file_path": str(self.audit)}),),
            ),
            self.storage,
            clock=clock,
            entropy=Entropy(),
            metrics=Metrics(clock),
            log=Log(stream=self.log, level="trace", clock=clock),
        )
        self.vaults = [self.vault]
        await self.vault.start()

    def __call__(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, namespace: str = ""
    ) -> tuple[int, Any]:
        """Status and answer of one request; None for an answer without a body. As `tests.corpus.client.Client`."""
        answer = self.request(
            method,
            f"/v1/{path}",
            body,
            token=self.root if token is None else token,
            headers={"x-vault-namespace": namespace},
        )
        return answer.status, json.loads(answer.body) if answer.body else None
