# SPDX-License-Identifier: EUPL-1.2
"""Checkpoints: once a second while records come, the log's size and root are signed, after all that is on the disk.

A checkpoint is a C2SP signed note. It is appended to the file of the open segment's checkpoints, from where the log
reader gives it out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from functools import partial
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.framework.clock import Clock, rfc3339_whole
from vault.framework.concurrency.offload import Pool
from vault.framework.telemetry.log import Log
from vault.log.format.checkpoint import Checkpoint, sign_checkpoint
from vault.log.format.note import Signer
from vault.log.format.note_key import KeyKind, Verifier
from vault.log.recovery import CHECKPOINTS
from vault.log.writer import LogWriter

INTERVAL: Final = 1.0
"""Seconds between two checkpoints while records come (LOG-051)."""


_OWN: Final = ("", "")
"""Whose work it is: the server's own."""


class Checkpoints:
    """Signs one log."""

    def __init__(self, writer: LogWriter, origin: str, clock: Clock, log: Log) -> None:
        """`origin` and the log's own name together name it in each checkpoint, and its key."""
        self._names = origin
        self.origin: Final = f"{origin}/{writer.folder.name}"
        self._writer, self._clock, self._log = writer, clock, log
        self._signer: Signer | None = None
        self._signed = -1
        self._pool = Pool(threads=1, name="checkpoint")
        self._task: asyncio.Task[None] | None = None

    @property
    def key(self) -> str:
        """The key that checkpoints are verified with, as C2SP spells it; empty while sealed."""
        return "" if self._signer is None else self._signer.verifier.vkey

    @property
    def signed(self) -> int:
        """How many records the newest checkpoint covers that this process signed; -1 before there is one."""
        return self._signed

    def key_of(self, log: str) -> str:
        """Return the key of another log of this vault: all are signed by one, each under its own name."""
        if self._signer is None:
            return ""
        return self._signer.verifier.under(f"{self._names}/{log}").vkey

    def use(self, seed: bytes | None) -> None:
        """Sign with the Ed25519 key of this seed from now on; with None not at all."""
        self._signer = None
        if seed is not None:
            private = Ed25519PrivateKey.from_private_bytes(seed)
            public = private.public_key().public_bytes_raw()
            self._signer = Signer(Verifier(self.origin, KeyKind.ED25519, public), private.sign)

    def start(self) -> None:
        """Begin to sign once a second."""
        self._task = asyncio.get_running_loop().create_task(self._sign_forever())

    async def stop(self) -> None:
        """End that."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _sign_forever(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.sign()
            except OSError as failure:
                self._log.failure(
                    "audit", "the log's checkpoint could not be written", error=failure.strerror or ""
                )

    async def sign(self) -> None:
        """Sign the log as it is, once that is on the disk; nothing where that is done. Raises `OSError`."""
        size, root = self._writer.chain.root()
        if self._signer is None or size == self._signed:
            return
        line = self._line(self._signer, size, root)
        descriptors = self._writer.unsynced()
        path = self._path
        await self._pool.run(_OWN, partial(_store, descriptors, path, line), owed=True)
        self._signed = max(self._signed, size)

    def sign_now(self) -> None:
        """Sign the log as it is before this returns: it is sealed, or ends. A failure leaves the last checkpoint."""
        size, root = self._writer.chain.root()
        if self._signer is None or size == self._signed:
            return
        with contextlib.suppress(OSError):
            _store(self._writer.unsynced(), self._path, self._line(self._signer, size, root))
            self._signed = size

    @property
    def _path(self) -> str:
        return str(self._writer.folder / f"{self._writer.segment:020d}{CHECKPOINTS}")

    def _line(self, signer: Signer, size: int, root: bytes) -> bytes:
        note = sign_checkpoint(Checkpoint(origin=self.origin, size=size, root=root), [signer])
        said = {"time": rfc3339_whole(self._clock.nanos()).decode(), "note": note.decode()}
        return msgspec.json.encode(said) + b"\n"


def _store(descriptors: list[int], path: str, line: bytes) -> None:
    """Have the records on the disk, then the checkpoint over them. It blocks. Raises `OSError`."""
    try:
        for fd in descriptors:
            os.fsync(fd)
    finally:
        for fd in descriptors:
            os.close(fd)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)
