# SPDX-License-Identifier: EUPL-1.2
"""The real process around an application of five lines: what `test_server_process` starts."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.__main__ import run
from vault.server.application import Answer, Colleagues, DevResult, Message
from vault.server.config.settings import Config, Listener
from vault.server.process import run as server_run
from vault.storage.protocol import Storage


class Stub:
    """Answers with what it sees of the connection; `/slow` takes a while, `/stuck` forever, `/crash` raises with a secret.

    A reload that takes the level `trace` takes a while too.
    """

    def __init__(self, storage: Storage, log: Log) -> None:
        self.storage = storage
        self.log = log

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        path: str = scope["path"]
        if path == "/crash":
            raise ValueError("hunter2")
        if path == "/slow":
            self.log.note("stub", "slow began")
            await asyncio.sleep(0.5)
        if path == "/stuck":
            self.log.note("stub", "stuck began")
            await asyncio.Event().wait()
        if path == "/body":
            while (await receive()).get("more_body"):
                pass
        body = str((scope["client"][0] if scope["client"] else None, *_state(scope["state"]))).encode()
        head: list[tuple[bytes, bytes]] = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    def at(self, listener: Listener) -> Answer:
        return self

    async def start(self) -> None:
        self.log.note("stub", "application started")

    async def stop(self) -> None:
        self.log.note("stub", "application stopped")

    async def reload(self, config: Config) -> None:
        if config.log_level == "trace":
            self.log.note("stub", "a slow reload began")
            await asyncio.sleep(0.5)
        self.log.note("stub", "application reloaded", level=config.log_level)

    async def bootstrap_dev(
        self, *, root_token_id: str | None, mount_kv: bool, unseal_key: str | None
    ) -> DevResult:
        """Remember in the storage whether it was initialised, as the real one does."""
        async with self.storage.write() as tx:
            made = await tx.get("stub")
            await tx.put("stub", b"made-key")
        key = "made-key" if made is None else made.decode()
        if made is not None and unseal_key != key:
            raise AssertionError("not the key that was given out")
        return DevResult(unseal_key=key, root_token=root_token_id or "made-token")


def _state(state: dict[str, Any]) -> tuple[str, int | None]:
    certificate: bytes | None = state["client_certificate"]
    return state["listener"].address, None if certificate is None else len(certificate)


async def build(
    config: Config,
    storage: Storage,
    *,
    clock: Clock,
    entropy: Entropy,
    metrics: Metrics,
    log: Log,
    colleagues: Colleagues | None = None,
) -> Stub:
    """See `vault.server.application.Build`."""
    assert colleagues is None, "a stub is alone"
    return Stub(storage, log)


if __name__ == "__main__":
    server_run.DRAIN_SECONDS = 3600.0  # type: ignore[misc]  # it ends for no other reason than the one that is tested
    sys.exit(run(sys.argv[1:], os.environ, build))
