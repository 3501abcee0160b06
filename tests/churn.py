# SPDX-License-Identifier: EUPL-1.2
"""Changes to a server that never end but with it: what tests do that kill it meanwhile."""

import contextlib
import http.client
import threading
from abc import ABC, abstractmethod

from tests.fuzz.process import Client, VaultProcess, wait_until


class Churn(ABC):
    """Goes round and round in a thread until the server is gone, and knows what was acknowledged."""

    def __init__(self, vault: VaultProcess, begin: int = 0) -> None:
        self.vault = vault
        self.rounds = begin
        """How many rounds were acknowledged, with those of the churns before."""
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def reach(self, rounds: int) -> None:
        """Wait until so many were acknowledged."""
        wait_until(lambda: self.rounds >= rounds, lambda: "it stands still", pause=0.001)

    def join(self) -> None:
        self._thread.join()

    @abstractmethod
    def go_round(self, client: Client) -> int:
        """Do one round; return how many there were by then."""

    def _run(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException), self.vault.client() as client:
            while True:
                self.rounds = self.go_round(client)
