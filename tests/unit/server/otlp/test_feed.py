# SPDX-License-Identifier: EUPL-1.2
"""Traces, metrics and log lines reach a real receiver; without a collector nothing of it is loaded."""

import asyncio
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.otlp_receiver import PATIENCE, Receiver, attributes, receiving
from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.config.settings import Config, Listener, StorageSettings, Telemetry
from vault.server.config.telemetry.collector import Collector
from vault.server.failure import StartFailure
from vault.server.otlp.feed import CollectorFeed, headers_of, make_feed


def config(collector: Collector) -> Config:
    return Config(
        listeners=(Listener(kind="tcp", address="127.0.0.1:1", tls_disable=True),),
        storage=StorageSettings(kind="inmem"),
        cluster_name="house",
        telemetry=Telemetry(otlp=collector),
    )


def made(collector: Collector, metrics: Metrics, log: Log) -> CollectorFeed:
    found = make_feed(config(collector), metrics, log, Clock(), Entropy())
    assert found is not None
    return found


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not look():  # noqa: ASYNC110 -- another thread makes it true
            await asyncio.sleep(0.02)


def test_metrics_and_log_lines_come_with_headers_and_say_which_server_it_is(tmp_path: Path) -> None:
    async def scenario(receiver: Receiver) -> None:
        (tmp_path / "headers").write_text("Authorization: Bearer hunter2\n\nx-tenant:  a b\n")
        metrics, log = Metrics(), Log(stream=io.StringIO(), level="error")
        feed = made(
            Collector(
                endpoint=receiver.endpoint + "/", headers_file=str(tmp_path / "headers"), metrics_interval=1,
                service_name="vault-a",
            ),
            metrics,
            log,
        )  # fmt: skip
        metrics.timing("core.handle_request").observe(3_000_000)
        metrics.counter("token.create_root").count += 4
        feed.start(metrics.whole, lambda: True)
        log.caution("server", "attention", reason="a file", count=3, secret="hunter2")
        log.detail("server", "too small to be sent")
        await until(lambda: receiver.metrics and receiver.lines)
        await feed.stop()

    with receiving() as receiver:
        asyncio.run(scenario(receiver))
        point = receiver.metrics["vault.core.handle_request"].histogram.data_points[0]
        assert (point.count, point.sum, sum(point.bucket_counts)) == (1, 0.003, 1)
        grown = receiver.metrics["vault.token.create_root"].sum
        assert (grown.is_monotonic, grown.data_points[0].as_double) == (True, 4)
        (line,) = receiver.lines
        assert (line.body.string_value, line.severity_text) == ("attention", "WARN")
        assert line.time_unix_nano % 1000 == 0
        assert attributes(line) == {
            "coffre.module": "server", "reason": "a file", "count": 3, "secret": "(withheld)",
        }  # fmt: skip
        told = receiver.received["/v1/logs"][0].resource_logs[0].resource
        assert attributes(told)["service.name"] == "vault-a"
        assert attributes(told)["service.namespace"] == "house"
        assert receiver.headers[0]["authorization"] == "Bearer hunter2"
        assert receiver.headers[0]["x-tenant"] == "a b"


def test_a_reading_that_fails_is_told_of_and_what_comes_after_is_sent() -> None:
    async def scenario(receiver: Receiver) -> None:
        metrics, stream = Metrics(), io.StringIO()
        feed = made(Collector(endpoint=receiver.endpoint, metrics_interval=1), metrics, Log(stream=stream))
        broken = [ArithmeticError("hunter2")]

        async def whole() -> Metrics:
            if broken:
                raise broken.pop()
            return await metrics.whole()

        feed.start(whole, lambda: True)
        await until(lambda: receiver.metrics)
        await feed.stop()
        assert (
            stream.getvalue().count("could not be read; that is begun anew: exception=ArithmeticError") == 1
        )
        assert "hunter2" not in stream.getvalue()

    with receiving() as receiver:
        asyncio.run(scenario(receiver))


def test_the_first_of_several_workers_alone_sends_metrics() -> None:
    async def scenario(receiver: Receiver) -> None:
        metrics = Metrics()
        collector = Collector(endpoint=receiver.endpoint, metrics_interval=1)
        feed = made(collector, metrics, Log(stream=io.StringIO()))
        first: list[bool] = []

        def is_first() -> bool:
            first.append(False)
            return False

        feed.start(metrics.whole, is_first)
        await until(lambda: len(first) > 1)
        await feed.stop()

    with receiving() as receiver:
        asyncio.run(scenario(receiver))
        assert receiver.received["/v1/metrics"] == []


def test_a_collector_that_is_away_is_told_of_and_keeps_nobody_waiting() -> None:
    async def scenario() -> None:
        with receiving() as receiver:
            endpoint = receiver.endpoint
        metrics, stream = Metrics(), io.StringIO()
        log = Log(stream=stream)
        feed = made(Collector(endpoint=endpoint), metrics, log)
        feed.start(metrics.whole, lambda: True)
        log.note("server", "started")
        await until(lambda: "does not take what it is sent: type=logs" in stream.getvalue())
        await feed.stop()
        assert 'reason="nobody listens at the receiver\'s address"' in stream.getvalue()
        failed = {labels: one.count for name, labels, one in metrics.counters() if "failures" in name}
        assert failed[("signal", "logs"),] >= 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "text", ["hunter2", ": hunter2", "x: a\x00hunter2", "x y: hunter2", "x: hunter2\u00e9", "Host: hunter2"]
)
def test_headers_that_are_none_keep_it_from_starting_and_are_not_repeated(tmp_path: Path, text: str) -> None:
    (tmp_path / "headers").write_text(f"x: y\n{text}\n")
    with pytest.raises(StartFailure, match=r"line 2 (must be NAME: VALUE|names a header)") as failure:
        headers_of(str(tmp_path / "headers"))
    assert "hunter2" not in str(failure.value)
    with pytest.raises(StartFailure, match="cannot be read"):
        headers_of(str(tmp_path / "none"))
    assert headers_of("") == {}


def test_without_a_collector_nothing_of_it_is_there() -> None:
    assert make_feed(config(Collector()), Metrics(), Log(), Clock(), Entropy()) is None
    program = (
        "import sys, vault.server.compose.app, vault.server.__main__\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry') or m == 'requests'"
        " or m in {'vault.server.otlp.parts', 'vault.server.otlp.exporter', 'vault.server.otlp.delivery'}])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout == "[]\n"
