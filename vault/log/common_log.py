# SPDX-License-Identifier: EUPL-1.2
"""The log of this process: what makes its records, what writes them, and the keys that it has while unsealed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Final, Protocol

import msgspec

from vault import __version__
from vault.barrier.view import ReadView, View
from vault.framework.clock import Clock, Entropy, rfc3339_whole
from vault.framework.concurrency.lasting import Told
from vault.framework.errors import VaultError
from vault.framework.telemetry.log import Log
from vault.log.cursor import Cursors
from vault.log.draft import Draft, Frame
from vault.log.format.segment import LogId
from vault.log.forward.settings import DeviceSettings
from vault.log.forward.watch import DeviceWatch
from vault.log.keys import FIRST, LogKeys, make_keys, read_keys
from vault.log.record import LogRenderer
from vault.log.recovery import OpenedLog
from vault.log.retention import NO_RETENTION, Retention, keep_retention, last_retention
from vault.log.schema import SCHEMA
from vault.log.signing import Checkpoints
from vault.log.values import ValueHasher
from vault.log.witness.rounds import Witnesses
from vault.values.ids import ROOT_ID

_encode: Final = msgspec.json.Encoder(order="sorted").encode


class Notices(Protocol):
    """Has the log say what no request asked for; `vault.audit.broker.Broker` does."""

    def notice(self, event: str, said: Mapping[str, object], outcome: str = "success") -> bool:
        """Return whether the log has it."""
        ...


class CommonLog:
    """One log, open for writing. Whoever records writes lines in the order in which they were made."""

    name: Final = "log"
    prompt: Final = True
    """A write returns promptly: it goes to memory of the operating system."""

    def __init__(
        self,
        opened: OpenedLog,
        *,
        origin: str,
        clock: Clock,
        entropy: Entropy,
        log: Log,
        status: Mapping[type[VaultError], int],
        retention: Retention = NO_RETENTION,
    ) -> None:
        """`origin` and the log's id name it in checkpoints; `status` is the HTTP status of each kind of refusal.

        `retention` is how long records are kept.
        """
        self._retention = retention
        self.id: Final = opened.id
        self.lost: Final = opened.lost
        self.writer: Final = opened.writer
        self._clock, self._entropy = clock, entropy
        chain = opened.writer.chain
        self.renderer: Final = LogRenderer(opened.id, chain, status)
        self.checkpoints: Final = Checkpoints(opened.writer, origin, clock, log)
        self._defect: Told = partial(
            log.crash, "audit", "watching devices of the log met a defect; it is begun anew"
        )
        self.witnesses: Witnesses | None = None
        """Who is asked whether the log only grows, once there is a log reader."""
        self.devices: DeviceWatch | None = None
        """What is known of the devices that the log is sent to."""
        self.sent_to: Sequence[str] = ()
        """The names of these devices."""
        self._keys: LogKeys | None = None
        self.cursors: Cursors | None = None
        """Makes the cursors of searches, while unsealed."""

    def watch(
        self, devices: Sequence[DeviceSettings], notice: Callable[[str, Mapping[str, object]], None]
    ) -> DeviceWatch | None:
        """Return the watch over whom the log is sent to, None where that is nobody.

        Of all processes that share a folder, the first has its log say what happens to them.
        """
        self.sent_to = [device.name for device in devices]
        if devices:
            folder, first = self.writer.folder.parent, LogId.parse(self.id).worker == 0
            self.devices = DeviceWatch(
                folder, devices, self._clock, notice, defect=self._defect, tells=lambda: first
            )
        return self.devices

    def write(self, line: bytes, now: float) -> None:
        """Write lines that the renderer made. Raises `LogFailure`."""
        if line:
            self.writer.write(line, now)

    def take_back(self) -> None:
        """Forget the records that were made and not written."""
        self.writer.chain.take_back()

    def notice(self, event: str, said: Mapping[str, object], outcome: str = "success") -> bytes:
        """Return the record of something that no request asked for. What is `said` holds no value from outside."""
        frame = Frame(
            opening=b'{"actor":{"type":"server"},"event_name":%b,%b'
            % (_encode(event), b'"fields":%b,' % _encode(said) if said else b""),
            decision=b'"outcome":"%b","phase":"notice","prev_hash":"' % outcome.encode(),
            resource=b'"schema":"%b","seq":' % SCHEMA.encode(),
            status=b'"tenant":"%b","tenant_prev_hash":"' % ROOT_ID.encode(),
            closing=b"}",
            tenant=ROOT_ID,
        )
        return self.writer.chain.append(Draft(frame, rfc3339_whole(self._clock.nanos())))

    def started(self) -> Mapping[str, object]:
        """Return what the record of a start says: the release, and which log lost its end, and why."""
        said = {"service.name": "coffre", "service.version": __version__}
        return {**said, "lost": self.lost} if self.lost else said

    def tell_of_start(self, notices: Notices) -> None:
        """Have the log say that it begins, and how long it keeps records where that changed since the last start (LOG-011).

        Where the next start cannot be told, it says so once more.
        """
        notices.notice("esa.server.start", self.started())
        folder = self.writer.folder.parent
        last = last_retention(folder)
        if last == self._retention:
            return
        said = {"new": self._retention.told(), "old": last.told()}
        if notices.notice("esa.log.retention", said):
            with suppress(OSError):
                keep_retention(folder, self._retention)

    async def prepare(self, core: ReadView, write: Callable[[], AbstractAsyncContextManager[View]]) -> None:
        """Make the log's keys where there are none yet; `core` is the root namespace's own data."""
        if await read_keys(core) is None:
            async with write() as tx:
                await make_keys(tx, self._entropy, self._clock.millis())

    async def load(self, core: ReadView) -> None:
        """Hash and sign from now on."""
        keys = await read_keys(core)
        if keys is None:
            return
        self._keys = keys
        self.renderer.use(ValueHasher(keys.current, keys.hashing[keys.current]))
        self.checkpoints.use(keys.signing)
        self.cursors = Cursors(keys.hashing[FIRST], self._entropy)

    @property
    def hashing_keys(self) -> int:
        """How many keys of hashes there are and were; none while sealed."""
        return 0 if self._keys is None else len(self._keys.hashing)

    def hashes(self, value: str) -> list[str]:
        """Return what stands for a value in the log, under each key that there is or was; nothing while sealed."""
        if self._keys is None:
            return []
        return [ValueHasher(name, key).hash(value) for name, key in self._keys.hashing.items()]

    def forget(self) -> None:
        """Sign what is there, and drop the keys."""
        self.checkpoints.sign_now()
        self.checkpoints.use(None)
        self.renderer.use(None)
        self._keys = self.cursors = None

    def close(self) -> None:
        """Sign what is there, and release the files."""
        self.checkpoints.sign_now()
        self.writer.close()
