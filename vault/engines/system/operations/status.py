# SPDX-License-Identifier: EUPL-1.2
"""The state of a running server: versions, host, requests in flight, metrics, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated

import msgspec

from vault.barrier.barrier import Barrier
from vault.engines.system.operations.host import (
    CpuFacts,
    CpuTimes,
    DiskFacts,
    HostFacts,
    Machine,
    MemoryFacts,
)
from vault.engines.system.release import COMMIT_DATE, VERSION
from vault.framework.call import Call
from vault.framework.clock import rfc3339
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.engine import Engine
from vault.framework.errors import UnsupportedPath
from vault.framework.fields import Doc
from vault.framework.reply import Reply
from vault.framework.route import Params, list_, read
from vault.framework.schema import encode
from vault.framework.telemetry.exposition import PROMETHEUS_TYPE, render_json, render_prometheus
from vault.framework.telemetry.metrics import WholeMetrics
from vault.values.times import millis_to_nanos, millis_to_seconds, seconds_to_nanos


class ServerFacts(msgspec.Struct, frozen=True):
    """Facts from the rest of the process.

    `settings` returns only what may be shown (SL-57), `in_flight` the running calls. `prometheus` says whether that
    form of the metrics is offered; `prefix` is the first part of their names.
    """

    machine: Callable[[], Machine]
    settings: Callable[[], Mapping[str, object]]
    in_flight: Callable[[], Iterable[Call]]
    prefix: str = "vault"
    prometheus: bool = True


class MetricsParams(Params, frozen=True):
    """The form of the metrics."""

    format: Annotated[str, Doc("prometheus for its text form; JSON otherwise.", clear=True)] = ""


class InstalledVersion(msgspec.Struct, frozen=True):
    """Since when a version is in use."""

    commit_date: str
    previous_version: str | None
    timestamp_installed: str


class VersionHistory(msgspec.Struct, frozen=True):
    """The versions that this vault has been served by."""

    key_info: dict[str, InstalledVersion]
    keys: list[str]


class HostInfo(msgspec.Struct, frozen=True):
    """The machine."""

    cpu: list[CpuFacts]
    cpu_times: list[CpuTimes]
    disk: list[DiskFacts]
    host: HostFacts
    memory: MemoryFacts
    timestamp: str


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is being answered."""

    start_time: str
    client_remote_address: str
    request_path: str
    request_method: str
    client_id: str


class StatusEngine(Engine):
    """Versions, host, requests in flight, metrics, settings."""

    guarded = ("raw/", "internal/inspect/")

    def __init__(self, server: ServerFacts, barrier: Barrier, metrics: WholeMetrics, pool: Pool) -> None:
        self._server = server
        self._barrier = barrier
        self._metrics = metrics
        self._pool = pool

    @list_("version-history")
    async def list_versions(self, call: Call) -> VersionHistory:
        """Show which versions have served this vault, and since when."""
        del call
        first = min(self._barrier.keyring.terms.values(), key=lambda term: term.number)
        since = rfc3339(seconds_to_nanos(millis_to_seconds(first.install_time)))
        return VersionHistory({VERSION: InstalledVersion(COMMIT_DATE, None, since)}, [VERSION])

    @read("host-info")
    async def read_host(self, call: Call) -> HostInfo:
        """Show the machine that this server runs on."""
        found = await self._pool.run(client_of(call), self._server.machine)
        when = rfc3339(millis_to_nanos(call.now))
        return HostInfo(found.cpu, found.cpu_times, found.disk, found.host, found.memory, when)

    @read("in-flight-req", event="sys.requests.list")
    async def read_in_flight(self, call: Call) -> Reply[object]:
        """Show the requests that are being answered now, this one included."""
        running = {found.id: _describe(found) for found in (*self._server.in_flight(), call)}
        return Reply(raw=encode(running))

    @read("metrics", despite_audit=True, event="sys.metrics.read")
    async def read_metrics(self, call: Call, params: MetricsParams) -> Reply[object]:
        """Show the metrics, as JSON or as Prometheus reads them."""
        del call
        if params.format == "prometheus":
            if not self._server.prometheus:
                return _text("prometheus is not enabled")
            text = await render_prometheus(await self._metrics(), prefix=self._server.prefix)
            return Reply(raw=text, content_type=PROMETHEUS_TYPE)
        if params.format:
            return _text("metric response format unknown: it must be prometheus or absent")
        return Reply(raw=await render_json(await self._metrics(), prefix=self._server.prefix))

    @read("replication/status", public=True)
    async def read_replication(self, call: Call) -> None:
        """Refuse every caller: there is no replication."""
        del call
        raise UnsupportedPath(chained=False)

    @read("config/state/sanitized", event="config.read")
    async def read_settings(self, call: Call) -> Reply[Mapping[str, object]]:
        """Show the settings that are no secret."""
        del call
        return Reply(data=self._server.settings())


def _text(message: str) -> Reply[object]:
    return Reply(raw=message.encode(), content_type="text/plain", status=400)


def _describe(call: Call) -> InFlight:
    return InFlight(
        start_time=rfc3339(millis_to_nanos(call.now)),
        client_remote_address=f"{call.client_address}:{call.client_port}",
        request_path=f"/v1/{call.path}",
        request_method=call.head.method,
        client_id=call.identity.entity_id if call.identity else "",
    )
