# SPDX-License-Identifier: EUPL-1.2
"""The room on disks and the size of the database: asked by a thread, told by metrics."""

import math
import os
import time
from pathlib import Path

from vault.framework.telemetry.metrics import Metrics
from vault.server.config.settings import AuditDevice, Config, Listener, LogSettings, StorageSettings
from vault.server.process.disk_metrics import DiskWatch


def _config(folder: Path) -> Config:
    return Config(
        listeners=(Listener(kind="tcp", address="127.0.0.1:1", tls_disable=True),),
        storage=StorageSettings(kind="sqlite", path=str(folder / "coffre.db")),
        audit=(
            AuditDevice(kind="file", path="main/", options={"file_path": str(folder / "gone" / "audit.log")}),
            AuditDevice(kind="file", path="out/", options={"file_path": "stdout"}),
        ),
        log=LogSettings(path=str(folder)),
    )


def _read(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {(name, *(value for _, value in labels)): value for name, labels, value in metrics.gauges()}


def test_disks_are_shown_by_what_is_on_them_and_what_does_not_answer_is_not_known(tmp_path: Path) -> None:
    metrics = Metrics()
    watch = DiskWatch(_config(tmp_path), metrics)
    before = _read(metrics)
    assert all(math.isnan(value) for value in before.values())
    assert sorted(what for name, *what in before if name == "coffre.disk.free_bytes") == [
        ["audit main"],
        ["log"],
        ["storage"],
    ]
    (tmp_path / "coffre.db").write_bytes(bytes(3000))
    (tmp_path / "coffre.db-wal").write_bytes(bytes(40))
    watch.look()
    found, disk = _read(metrics), os.statvfs(tmp_path)
    assert found.keys() == before.keys()
    assert found["coffre.storage.size_bytes",] == 3040
    assert found["coffre.disk.size_bytes", "storage"] == disk.f_blocks * disk.f_frsize
    assert 0 < found["coffre.disk.free_bytes", "log"] < found["coffre.disk.size_bytes", "log"]
    assert math.isnan(found["coffre.disk.free_bytes", "audit main"])


def test_a_thread_looks_until_it_is_stopped(tmp_path: Path) -> None:
    metrics = Metrics()
    watch = DiskWatch(_config(tmp_path), metrics)
    watch.start()
    try:
        until = time.monotonic() + 60
        while not _read(metrics)["coffre.disk.free_bytes", "storage"] > 0:
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        watch.stop()
