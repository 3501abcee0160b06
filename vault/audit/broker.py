# SPDX-License-Identifier: EUPL-1.2
"""Records every request and response on every audit device, and refuses a request when no device takes its record."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from time import perf_counter_ns
from typing import Final

from vault.audit import audited_headers
from vault.audit.device import DeviceConfig, DeviceFailure, open_device
from vault.audit.device_health import DeviceHealth
from vault.audit.device_salts import DeviceSalts
from vault.audit.long_data import LongData, may_be_long, may_wait
from vault.audit.open_device import OpenDevice, Recorder, assemble
from vault.audit.record import sealed_line, trial_line
from vault.audit.salts import Salts
from vault.audit.target import Claim, is_file, is_foreign, target
from vault.audit.writer import Outcome, Writer
from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.errors import Busy, Malformed, Unavailable, VaultError
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.log.common_log import CommonLog
from vault.log.forward.settings import DeviceSettings
from vault.repeated.audit_batch import AuditBatch, Exchange
from vault.values.times import Nanos

AUDIT_KIND: Final = "audit"
"""Kind of the cached fact 'devices and audited headers'; the key is empty."""
_NOT_HELD: Final = Nanos(0)
_DEVICE: Final = "audit/device/"
_HEADERS: Final = "audit/headers"
_KINDS: Final = ("request", "response")
_FOREIGN: Final = "file_path is a file that holds something else than audit records; name a new file"

Taken = Awaitable[None] | None
"""Tells later whether a record is taken, and raises `Unavailable` if not. None: it is taken already."""


_CONFIG: Final = RecordKind("audit device", DeviceConfig)


class Broker:
    """All audit devices of this server.

    With at least one device, a record that no device takes refuses the request (SL-53); without any device
    requests proceed, as in OpenBao. One that was enabled and cannot be opened here fails until it can. One whose salt no slot
    can unwrap uses a temporary one until then: its hashes differ from earlier ones, and nothing is recorded in clear. While
    sealed there are no keys to hash with: the devices that the configuration declares then take records without any value.
    """

    def __init__(
        self,
        declared: Sequence[DeviceConfig],
        salts: Salts,
        clock: Clock,
        entropy: Entropy,
        log: Log,
        metrics: Metrics | None = None,
        claims: Sequence[Claim] = (),
        common: CommonLog | None = None,
        receivers: Sequence[DeviceSettings] = (),
    ) -> None:
        """Open the declared devices. Raises `DeviceFailure`. `metrics` count the work of the devices, if given.

        `claims` are the files that no device may write to; `common` is the log, None where none is kept, and
        `receivers` are whom it is sent to.
        """
        metrics = metrics or Metrics(clock)
        self._written = {kind: metrics.timing(f"audit.log_{kind}") for kind in _KINDS}
        self._log = log
        self._salts = DeviceSalts(salts, clock, entropy, log)
        self._clock = clock
        self._declared = {config.path: config for config in declared}
        self._open: dict[str, OpenDevice] = {}
        self.common: Final = common
        self.watch: Final = None if common is None else common.watch(receivers, self._note_receiver)
        self._required = None if common is None else Recorder(common, common.renderer)
        self._recording: Sequence[Recorder] = ()
        self._long = LongData()
        self._batch: AuditBatch | None = None
        self._headers: dict[str, bool] = {}
        self._claims = claims
        self._tried: dict[str, Writer] = {}
        """New devices that took a test line. They stay open: the reader of a pipe leaves when its writer closes it."""
        self._health = DeviceHealth(clock, log, metrics, _KINDS, self._tell_of_device)
        metrics.gauge("coffre.audit.failing_devices", lambda: float(self.failing))
        self._prompt = False
        """Whether the last record was taken at once, and the next one will be."""
        self._devices = {path: self._open_device(config) for path, config in self._declared.items()}
        self._record_on({})

    def _open_device(self, config: DeviceConfig) -> Writer:
        return Writer(config.path, open_device(config, self._claims))

    @property
    def devices(self) -> Sequence[DeviceConfig]:
        """The devices that record now, or will once unsealed."""
        return [entry.config for entry in self._open.values()] or list(self._declared.values())

    @property
    def blocked(self) -> bool:
        """Whether no device took the last record: then requests are refused until one does."""
        return self._health.blocked

    @property
    def failing(self) -> int:
        """How many devices did not take their last record, even if another device took it."""
        return len(self._health.failing & {*self._devices.values(), *(one.device for one in self._recording)})

    @property
    def headers(self) -> Mapping[str, bool]:
        """The request headers that are recorded, lower-cased, and whether each is hashed."""
        return self._headers

    def require_devices(self, call: Call) -> None:
        """Raise `Busy` while a required device that the log is sent to does not have its newest records (LOG-030)."""
        access, behind = call.bound.route.access, "" if self.watch is None else self.watch.refusal
        if behind and not (access.despite_devices or access.unaudited):
            raise Busy(behind)

    def request(self, call: Call, error: VaultError | None = None, *, hold: bool = False) -> Taken:
        """Record a request before it is acted on. Raises `Unavailable` when no device takes it, at once or later.

        `hold` keeps the line until the response's: a call that changes nothing writes both together.
        """
        now = self._clock.nanos()
        if hold:
            call.record.held = now
            return None
        return self._request(call, now, error)

    def release(self, call: Call) -> Taken:
        """Record the held request of a refused call that has an effect all the same. As `request`."""
        held, call.record.held = call.record.held, _NOT_HELD
        return self._request(call, held, None) if held else None

    def _request(self, call: Call, now: Nanos, error: VaultError | None) -> Taken:
        self._flush()  # records of earlier calls go first
        headers = self._headers
        lines = [entry.renderer.request(call, now, headers, error) for entry in self._recording]
        if self._records_sealed:
            return self._send_sealed(lines, sealed_line(call, "request", now, error))
        return self._send(lines, "request") if lines else None

    async def hash_request(self, call: Call) -> None:
        """As `LongData.hash_request`, for all devices."""
        await self._long.hash_request(call, [entry.renderer for entry in self._recording])

    async def hash_reply(self, call: Call, reply: Reply[object]) -> None:
        """As `LongData.hash_reply`, for all devices."""
        await self._long.hash_reply(call, reply, [entry.renderer for entry in self._recording])

    def response(self, call: Call, reply: Reply[object] | None, error: VaultError | None = None) -> Taken:
        """Record a response before it leaves. As `request`."""
        if reply is not None and reply.refusal is not None:
            error = reply.refusal
        now = self._clock.nanos()
        held, call.record.held = call.record.held, _NOT_HELD
        self._flush()  # records of earlier calls go first
        lines = self._response_lines(call, reply, (held, now), error)
        if self._records_sealed:
            line = sealed_line(call, "request", held, None) if held else b""
            return self._send_sealed(lines, line + sealed_line(call, "response", now, error))
        try:
            return self._send(lines, "response") if lines else None
        except Unavailable:
            call.record.lose_outcome()
            raise

    def _response_lines(
        self,
        call: Call,
        reply: Reply[object] | None,
        times: tuple[Nanos, Nanos],
        error: VaultError | None,
    ) -> list[bytes]:
        """Return the line of a response for each device, after its request's where that was held."""
        headers = self._headers
        if times[0]:
            return [entry.renderer.exchange(call, reply, times, headers, error) for entry in self._recording]
        return [entry.renderer.response(call, reply, times[1], headers, error) for entry in self._recording]

    def before_commit(self, call: Call, reply: Reply[object] | None) -> Taken:
        """Record a held request and its response together with those that share its commit, just before that.

        Where no device writes at once, the request was recorded already, or the record may be long, the response is as any other.
        """
        batch, record = self._batch, call.record
        if batch is None or not self._prompt or not record.held or may_be_long(call, reply):
            return self.response(call, reply)
        times, record.held = (record.held, self._clock.nanos()), _NOT_HELD
        error = None if reply is None else reply.refusal
        record.settle = settle = batch.hold((call, reply, times, self._headers, error))
        call.core.transaction.before_commit(settle)
        return None

    def exchange(self, call: Call, reply: Reply[object] | None) -> Taken:
        """Record a held request and its response in the batch `call.record.batch`, where its answer waits; without one, at once."""
        batch, record = self._batch, call.record
        if batch is None or not self._prompt:
            return self.response(call, reply)
        times, record.held = (record.held, self._clock.nanos()), _NOT_HELD
        batch.add((call, reply, times, self._headers, None))
        record.batch = batch
        return None

    def together(self, call: Call, reply: Reply[object] | None) -> Taken:
        """As `exchange`, where the record may be made with those of others."""
        return self.exchange(call, reply) if may_wait(call, reply) else self.response(call, reply)

    def _write_batch(self, exchanges: Sequence[Exchange]) -> VaultError | None:
        """Make and write the records of calls. Returns the refusal where no device takes them."""
        try:
            self._send(self._batch_lines(exchanges), "response", len(exchanges))
        except Unavailable as failure:
            return failure
        return None

    def _batch_lines(self, exchanges: Sequence[Exchange]) -> Sequence[bytes]:
        """Return what each device gets. A defect leaves nothing in the log's chain that is not written."""
        try:
            return [
                b"".join([make(*exchange) for exchange in exchanges])
                for make in [entry.renderer.exchange for entry in self._recording]
            ]
        except BaseException:
            if self.common is not None:
                self.common.take_back()
            raise

    def _defect(self, error: Exception) -> None:
        self._log.crash("audit", "a batch of records met a defect", error)

    def _send(self, lines: Sequence[bytes], kind: str, count: int = 0) -> Taken:
        """Write the lines of one call, or of `count` calls together, one text for each device that records.

        A record counts as taken as soon as one device has it, and the log, which comes first and never waits. Raises
        `Unavailable`; the returned wait may too.
        """
        began, now = perf_counter_ns(), self._clock.monotonic()
        taken = prompt = False
        later: list[Outcome] = []
        for entry, line in zip(self._recording, lines, strict=True):
            device = entry.device
            outcome = self._health.write(device, line, now)
            if entry is self._required:
                if outcome is not True:
                    raise self._health.nobody(kind, count or 1)
                taken = prompt = len(lines) == 1
            elif outcome is True:
                taken, prompt = True, prompt or device.prompt
            elif outcome is not False:
                later.append(outcome)
        self._prompt = prompt
        spent = perf_counter_ns() - began
        if count:
            self._written[kind].extend([spent // count] * count)
        else:
            self._written[kind].observe(spent)
        if taken:
            self._health.somebody()
            return None
        if later and not count:  # a batch cannot wait: its answers leave in this turn of the loop
            return self._first(later, kind)
        raise self._health.nobody(kind, count or 1)

    @property
    def _records_sealed(self) -> bool:
        """Whether there are devices without a key for their hashes, which record what happens while sealed."""
        return bool(self._devices) and not self._open

    def _send_sealed(self, lines: Sequence[bytes], line: bytes) -> Taken:
        """Record without keys for hashes: that it happened, where and from which address, and no value (SL-53).

        `lines` are those of the log, if there is one; the devices take `line`.
        """
        now = self._clock.monotonic()
        for entry, own in zip(self._recording, lines, strict=True):
            if self._health.write(entry.device, own, now) is not True:
                raise self._health.nobody(_KINDS[0])
        outcomes = [self._health.write(device, line, now) for device in self._devices.values()]
        if True in outcomes:
            self._health.somebody()
            return None
        later = [outcome for outcome in outcomes if not isinstance(outcome, bool)]
        if later:
            return self._first(later, _KINDS[0])
        raise self._health.nobody(_KINDS[0])

    async def _first(self, outcomes: Sequence[Outcome], kind: str) -> None:
        """Wait for the first device that takes a record. Raises `Unavailable`."""
        waiting = set(outcomes)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(outcome.result() is None for outcome in done):
                self._health.somebody()
                return
        raise self._health.nobody(kind)

    async def prepare(self, core: ReadView, write: Callable[[], AbstractAsyncContextManager[View]]) -> None:
        """Make a salt for each declared device without one. It may ask an HSM; only storing is done in `write`."""
        if self.common is not None:
            await self.common.prepare(core, write)
        await self._salts.prepare(core, write, self._declared)

    async def salt_for(self, core: ReadView, path: str) -> bytes:
        """Return a wrapped salt for a device without one, as `DeviceSalts.wrapped_for`."""
        return await self._salts.wrapped_for(core, path)

    async def load(self, core: ReadView) -> None:
        """Start recording with hashed values, after an unseal or a change of the devices."""
        if self.common is not None:
            await self.common.load(core)
        configs = dict(self._declared)
        for path in await core.scan(_DEVICE):
            value = await core.get(_DEVICE + path)
            if value is not None and path not in configs:
                configs[path] = _CONFIG.decode(value)
        opened: dict[str, OpenDevice] = {}
        for path, config in configs.items():
            salt = await self._salts.readable(core, path)
            device = self._devices.pop(path, None) or self._tried.pop(path, None)
            device = device or self._health.enabled(config, self._claims)
            opened[path] = assemble(config, device, salt)
            self._devices[path] = device
        self._record_on(opened)
        for path in set(self._devices) - set(opened):
            self._devices.pop(path).close()
        self._forget_tried()
        self._headers = audited_headers.decode(await core.get(_HEADERS))

    def _forget_tried(self) -> None:
        """Close a device that took a test line and was not enabled in the end."""
        while self._tried:
            self._tried.popitem()[1].close()

    def forget(self) -> None:
        """Drop the keys at seal; declared devices stay open."""
        self._record_on({})
        if self.common is not None:
            self.common.forget()
        self._salts.forget()
        self._headers = {}

    def _record_on(self, opened: dict[str, OpenDevice]) -> None:
        """Exchange the devices; waiting lines go to the devices that they were written for."""
        self._flush()
        self._open, self._prompt = opened, False
        required = () if self._required is None else (self._required,)
        self._recording = (*required, *opened.values())
        batched = bool(self._recording) and not self._records_sealed
        self._batch = AuditBatch(self._write_batch, self._defect) if batched else None

    def notice(self, event: str, said: Mapping[str, object], outcome: str = "success") -> bool:
        """Have the log say what no request asked for, and return whether it does. What it cannot take is told in the server log."""
        common = self.common
        return common is not None and self._say(common, lambda: common.notice(event, said, outcome))

    def refused(self, call: Call, error: VaultError) -> None:
        """Have the log alone say that a call was refused. One that it cannot take is a refusal all the same."""
        common, now = self.common, self._clock.nanos()
        if common is not None:
            if not self._say(common, lambda: common.renderer.response(call, None, now, {}, error)):
                call.record.lose_outcome()

    def _say(self, common: CommonLog, make: Callable[[], bytes]) -> bool:
        """Write what is for the log alone, behind what waits; return whether it was taken."""
        self._flush()
        return self._health.write(common, make(), self._clock.monotonic()) is True

    def _flush(self) -> None:
        """Write the records that wait in the batch."""
        if self._batch is not None:
            self._batch.flush()

    def _tell_of_device(self, name: str, failing: bool) -> None:  # noqa: FBT001 -- what became of it
        """Have the log say that a device began or ceased to fail, once what is being recorded now is (LOG-031)."""
        event = "esa.log.device.failed" if failing else "esa.log.device.recovered"
        if self.common is not None and name != self.common.name:
            asyncio.get_running_loop().call_soon(self._note_receiver, event, {"device": name})

    def _note_receiver(self, event: str, said: Mapping[str, object]) -> None:
        if event == "esa.log.device.failed":
            self.notice("esa.log.device.failed", said, "failed")
        else:
            self.notice("esa.log.device.recovered", said)

    async def sign_last(self) -> None:
        """Have the log signed before its keys are dropped, also with what takes time; `forget` signs what is left."""
        if self.common is not None:
            self._flush()
            with contextlib.suppress(OSError):  # the checkpoint before it stands
                await self.common.checkpoints.sign_last()

    async def reopen(self) -> None:
        """Open every target again (SIGHUP, after rotation). Raises `DeviceFailure` naming all that fail."""
        self._flush()
        self._prompt = False
        failures = []
        for device in list(self._devices.values()):
            try:
                await device.reopen()
            except DeviceFailure as failure:
                failures.append(str(failure))
        if failures:
            raise DeviceFailure("; ".join(failures))

    def start(self) -> None:
        """Begin to sign the log once a second, and to watch over the devices that it is sent to."""
        if self.common is not None:
            if self.watch is not None:
                self.watch.start()
            self.common.tell_of_start(self)
            self.common.checkpoints.start()

    async def stop(self) -> None:
        """End that, and release every target."""
        if self.common is not None:
            if self.watch is not None:
                await self.watch.stop()
            await self.common.checkpoints.stop()
            self.notice("esa.server.stop", {})
        self.close()

    def close(self) -> None:
        """Release every target."""
        self._flush()
        self._forget_tried()
        for device in self._devices.values():
            device.close()
        for device in self._devices.values():
            device.finish()
        self._devices = {}
        if self.common is not None:
            self.common.close()

    async def enable(self, core: View, config: DeviceConfig, salt: bytes) -> None:
        """Store a device that was enabled through the API, after it took a test line; `salt` comes from `salt_for`."""
        if config.path in self._open:
            raise Malformed("path already in use")
        place = target(config.options)
        if is_file(place) and is_foreign(place):
            raise Malformed(_FOREIGN)
        try:
            device = self._open_device(config)
            try:
                await self._try(device)
            except BaseException:  # the caller may have been revoked while the device was tried
                device.close()
                raise
        except DeviceFailure as failure:
            raise Malformed(str(failure)) from failure
        self._forget_tried()
        self._tried[config.path] = device
        if salt:
            await self._salts.put(core, config.path, salt)
        await core.put(_DEVICE + config.path, _CONFIG.encode(config))
        await core.invalidate(AUDIT_KIND, "")

    async def _try(self, device: Writer) -> None:
        """Write a test line. Raises `DeviceFailure`."""
        outcome = device.write(trial_line(self._clock.nanos()), self._clock.monotonic())
        failed = None if outcome is None else await outcome
        if failed is not None:
            raise failed

    async def disable(self, core: View, path: str) -> None:
        """Remove a device that was created through the API."""
        if path in self._declared:
            raise Malformed("cannot disable configuration-managed audit device")
        await core.delete(_DEVICE + path)
        await self._salts.delete(core, path)
        await core.invalidate(AUDIT_KIND, "")

    async def audit_header(self, core: View, name: str, *, hashed: bool | None) -> None:
        """Record a request header from now on, hashed or not; None stops it."""
        headers = dict(self._headers)
        if hashed is None:
            headers.pop(name, None)
        else:
            headers[name] = hashed
        await core.put(_HEADERS, audited_headers.encode(headers))
        await core.invalidate(AUDIT_KIND, "")

    def hash(self, path: str, value: str) -> str:
        """Return the hash that `value` has on a device. Raises `Malformed` for an unknown one."""
        entry = self._open.get(path)
        if entry is None:
            raise Malformed(f'unknown audit backend "{quote(path)}"')
        return entry.hasher.text(value)
