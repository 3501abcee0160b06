# SPDX-License-Identifier: EUPL-1.2
"""Checkpoints: once a second while records come, the log's size and root are signed, after all that is on the disk.

A checkpoint is a C2SP signed note, with a line of an Ed25519 key, and one of a key in an HSM where there is one. It is
appended to the file of the open segment's checkpoints, from where the log reader gives it out.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from functools import partial
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.framework.clock import Clock, rfc3339_whole
from vault.framework.concurrency.lasting import LastingTask
from vault.framework.concurrency.offload import Pool
from vault.framework.telemetry.log import Log
from vault.log.format.checkpoint import Checkpoint, sign_checkpoint
from vault.log.format.files import append_line
from vault.log.format.note import Signer
from vault.log.format.note_key import KeyKind, Verifier
from vault.log.format.segment import CHECKPOINTS, Segment
from vault.log.hsm_line import HsmLine, HsmState
from vault.log.witness.newest import SignedNow
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
        self._hsm: HsmLine | None = None
        self._newest: SignedNow | None = None
        self._whole = False
        """Whether the newest checkpoint has all the signatures that it can have."""
        self._turn = threading.Lock()
        self._stored = -1
        """How many records the last checkpoint in the file covers."""
        self._pool = Pool(threads=1, name="checkpoint")
        self._task = LastingTask(
            self._sign_forever,
            partial(log.crash, "audit", "signing the log met a defect; it is begun anew"),
        )

    @property
    def key(self) -> str:
        """The key that checkpoints are verified with, as C2SP spells it; empty while sealed."""
        return "" if self._signer is None else self._signer.verifier.vkey

    @property
    def signed(self) -> int:
        """How many records the newest checkpoint covers that this process signed; -1 before there is one."""
        return -1 if self._newest is None else self._newest.checkpoint.size

    @property
    def newest(self) -> SignedNow | None:
        """The newest checkpoint that this process signed; None before there is one."""
        return self._newest

    def key_of(self, log: str) -> str:
        """Return the key of another log of this vault: all are signed by one, each under its own name."""
        if self._signer is None:
            return ""
        return self._signer.verifier.under(f"{self._names}/{log}").vkey

    @property
    def server_key(self) -> str:
        """The same key under the name of the server, which has every log of it verified; empty while sealed."""
        return "" if self._signer is None else self._signer.verifier.under(self._names).vkey

    def hsm_state(self, log: str) -> HsmState | None:
        """Return how the key in the HSM is, under the name of a log; None where there is none."""
        return None if self._hsm is None else self._hsm.state(f"{self._names}/{log}")

    def sign_beside(self, hsm: HsmLine) -> None:
        """Have a key in an HSM sign too."""
        self._hsm = hsm

    def use(self, seed: bytes | None) -> None:
        """Sign with the Ed25519 key of this seed from now on; with None not at all."""
        self._signer = None
        if seed is None:
            if self._hsm is not None:
                self._hsm.forget()
        else:
            private = Ed25519PrivateKey.from_private_bytes(seed)
            public = private.public_key().public_bytes_raw()
            self._signer = Signer(Verifier(self.origin, KeyKind.ED25519, public), private.sign)

    def start(self) -> None:
        """Begin to sign once a second."""
        self._task.start()

    async def stop(self) -> None:
        """End that."""
        await self._task.stop()

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
        signer, segment = self._signer, self._writer.segment
        checkpoint = self._checkpoint()
        known = checkpoint.size == self.signed
        if signer is None or (known and self._whole):
            return
        beside = None if self._hsm is None else await self._hsm.sign(self.origin, checkpoint.text())
        if not known or beside is not None:
            await self._keep(signer, beside, checkpoint, segment)

    async def sign_last(self) -> None:
        """As `sign`, before the log is sealed: the HSM is tried within a short time. Raises `OSError`."""
        signer, segment = self._signer, self._writer.segment
        if signer is None or self._hsm is None:
            return  # `sign_now` does all there is to do
        checkpoint = self._checkpoint()
        beside = await self._hsm.sign_last(self.origin, checkpoint.text())
        if beside is not None:
            await self._keep(signer, beside, checkpoint, segment)

    def sign_now(self) -> None:
        """Sign the log as it is before this returns: it is sealed, or ends. A failure leaves the last checkpoint."""
        checkpoint = self._checkpoint()
        if self._signer is None or checkpoint.size == self.signed:
            return
        made = self._made(self._signer, None, checkpoint, self._writer.segment)
        with contextlib.suppress(OSError):
            self._store(made)
            self._newest, self._whole = made, self._hsm is None

    def _checkpoint(self) -> Checkpoint:
        size, root = self._writer.chain.root()
        return Checkpoint(origin=self.origin, size=size, root=root)

    async def _keep(
        self, signer: Signer, beside: Signer | None, checkpoint: Checkpoint, segment: int
    ) -> None:
        """Store a checkpoint, off the loop; nothing where the log was sealed meanwhile. Raises `OSError`."""
        if self._signer is not signer or checkpoint.size < self.signed:
            return
        made = self._made(signer, beside, checkpoint, segment)
        await self._pool.run(_OWN, partial(self._store, made), owed=True)
        if checkpoint.size >= self.signed:
            self._newest, self._whole = made, self._hsm is None or beside is not None

    def _made(self, signer: Signer, beside: Signer | None, checkpoint: Checkpoint, segment: int) -> SignedNow:
        signers = [signer] if beside is None else [signer, beside]
        return SignedNow(checkpoint=checkpoint, note=sign_checkpoint(checkpoint, signers), segment=segment)

    def _store(self, made: SignedNow) -> None:
        """Have the records on the disk, then the checkpoint over them. It blocks. Raises `OSError`."""
        self._writer.sync()
        said = {"time": rfc3339_whole(self._clock.nanos()).decode(), "note": made.note.decode()}
        path = Segment(self._writer.folder, made.segment).path(CHECKPOINTS)
        with self._turn:
            # One that was overtaken by a larger one is not written behind that.
            if made.checkpoint.size >= self._stored:
                append_line(path, msgspec.json.encode(said) + b"\n", synced=False)
                self._stored = made.checkpoint.size
