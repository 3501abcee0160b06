# SPDX-License-Identifier: EUPL-1.2
"""`sys/log/status`, and the schema of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from vault.engines.system.log.readers import NO_LOG, LogReading
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import NotFound
from vault.framework.reply import Reply
from vault.framework.route import read
from vault.log.common_log import CommonLog
from vault.log.forward.status import DeviceStatus
from vault.log.purger import Purger
from vault.log.reader.messages import LogStatus
from vault.log.schema import RECORD_SCHEMA
from vault.log.witness.rounds import WitnessReport


class HsmKeyState(msgspec.Struct, frozen=True, kw_only=True):
    """The key in an HSM that signs checkpoints too: by log its verifier key, once it has signed, and why it does not."""

    keys: Mapping[str, str]
    trouble: str


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """How the log is: what this process writes, the keys of its checkpoints, and what the reader has of every log.

    `hsm` is the key in an HSM that signs beside the log's own, None where none is configured. `witnessed` is the newest
    checkpoint that enough witnesses have cosigned, None where no witness is configured.
    `retention` is how long records are kept, and `holds` are what is kept longer: by name the time that each is on.
    """

    log: str
    records: int
    signed: int
    key: str
    keys: Mapping[str, str]
    server_key: str
    """The key of all logs of this server, under the name of the server: what a witness is given."""
    logs: Sequence[LogStatus]
    devices: Sequence[DeviceStatus]
    """Whom the log is sent to."""
    retention: Mapping[str, str]
    holds: Mapping[str, str]
    index_bytes: int
    rebuilding: bool
    trouble: str
    hsm: HsmKeyState | None
    witnessed: WitnessReport | None


class LogStatusEngine(Engine):
    """Tells of the log itself."""

    def __init__(self, reading: LogReading, common: CommonLog | None, purger: Purger | None) -> None:
        """`common` is this server's own log, and `purger` cuts it; None where it keeps none."""
        self._reading, self._common, self._purger = reading, common, purger

    @read("log/status", event="log.status", despite_audit=True)
    async def read_status(self, call: Call) -> LogState:
        """Show how the log is: how far it is written, signed and indexed, and the keys that verify it."""
        self._reading.permit_all(call)
        with self._reading.asking() as reader:
            found = await reader.status()
        common = self._kept()
        holds = await self._purger.holds() if self._purger is not None else {}
        return LogState(
            log=common.id,
            records=common.writer.chain.written,
            signed=common.checkpoints.signed,
            key=common.checkpoints.key,
            keys={log.log: common.checkpoints.key_of(log.log) for log in found.logs},
            server_key=common.checkpoints.server_key,
            logs=found.logs,
            devices=() if common.devices is None else common.devices.devices,
            retention=self._purger.retention.told() if self._purger is not None else {},
            holds={name: hold.interval for name, hold in holds.items()},
            index_bytes=found.index_bytes,
            rebuilding=found.rebuilding,
            trouble=found.trouble,
            hsm=_hsm(common, found.logs),
            witnessed=None if common.witnesses is None else common.witnesses.state(),
        )

    @read("log/schema", event="log.schema")
    async def read_schema(self, call: Call) -> Reply[object]:
        """Read the JSON Schema of records."""
        self._reading.permit(call)
        return Reply(raw=msgspec.json.encode(RECORD_SCHEMA), content_type="application/schema+json")

    def _kept(self) -> CommonLog:
        if self._common is None:
            raise NotFound(NO_LOG)
        return self._common


def _hsm(common: CommonLog, logs: Sequence[LogStatus]) -> HsmKeyState | None:
    own = common.checkpoints.hsm_state(common.id)
    if own is None:
        return None
    found = {log.log: common.checkpoints.hsm_state(log.log) for log in logs}
    keys = {name: state.key for name, state in found.items() if state is not None and state.key}
    return HsmKeyState(keys=keys, trouble=own.trouble)
