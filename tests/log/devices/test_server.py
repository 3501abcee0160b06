# SPDX-License-Identifier: EUPL-1.2
"""A real server and a required device that is away: requests are refused until it has everything (LOG-030, LOG-031)."""

import json
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.fuzz.process import PATIENCE, Client, VaultProcess, wait_until
from tests.ports import free_port

pytestmark = pytest.mark.loopback


class Receiver(threading.Thread):
    """Takes lines on a port, for good."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.lines: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", port))

    def run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as file:
                self.lines += file


def _read(client: Client) -> int:
    return client.request("GET", "/v1/secret/data/a").status


@pytest.mark.parametrize("policy", ["required", "best_effort"])
def test_a_device_that_is_away_is_waited_for_where_it_is_required(tmp_path: Path, policy: str) -> None:
    port = free_port()
    device = f'device "socket" "siem" {{\n address = "tcp://127.0.0.1:{port}"\n policy = "{policy}"\n deadline = "2s"\n }}'
    more = f'log {{\n path = "{tmp_path / "log"}"\n root_reads = true\n {device}\n}}\n'
    vault = VaultProcess(tmp_path, more=more)
    try:
        vault.start()
        vault.initialise()
        with vault.client() as client:
            client.request("POST", "/v1/secret/data/a", {"data": {}})
            if policy == "required":
                wait_until(lambda: _read(client) == 503, lambda: "it is never refused")
                refused = client.request("POST", "/v1/secret/data/b", {"data": {}})
                assert (refused.status, "siem" in refused.body.decode()) == (503, True)
                assert "retry-after" in refused.headers
                health = client.request("GET", "/v1/sys/health")
                assert (health.status, health.json()["log_blocked"]) == (200, True)
            else:
                time.sleep(5)
                assert _read(client) == 200
            (known,) = client.request("GET", "/v1/sys/log/status").json()["data"]["devices"]
            assert (known["name"], known["policy"], known["lag_records"] > 0) == ("siem", policy, True)
            assert client.request("GET", "/v1/sys/health").json()["log_failing"] == 1
            receiver = Receiver(port)
            receiver.start()
            wait_until(lambda: _read(client) == 200, lambda: "it is refused for ever")
            assert client.request("GET", "/v1/secret/data/b").status == 404
            wait_until(
                lambda: (
                    not {"log_blocked", "log_failing"} & set(client.request("GET", "/v1/sys/health").json())
                ),
                lambda: "health goes on saying that it fails",
            )
            last = client.request("GET", "/v1/secret/data/a").headers["log-receipt"]
            number = int(last.partition("seq=")[2])
            wait_until(
                lambda: bool(receiver.lines) and json.loads(receiver.lines[-1])["seq"] >= number,
                lambda: f"{len(receiver.lines)} records came",
                PATIENCE,
            )
    finally:
        vault.stop()
    records = [json.loads(line) for line in receiver.lines]
    assert [record["seq"] for record in records[: number + 1]] == list(range(number + 1))
    events = [record["event_name"] for record in records if record["phase"] == "notice"]
    if policy == "required":
        assert "esa.log.device.failed" in events
        assert "esa.log.device.recovered" in events
