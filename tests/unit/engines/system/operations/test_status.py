# SPDX-License-Identifier: EUPL-1.2
"""Versions, host, requests in flight, metrics, settings."""

import socket

import pytest

from tests.unit.engines.system.estate import estate
from tests.unit.engines.system.house import play


def test_the_version_and_the_host_are_shown() -> None:
    async def scenario() -> None:
        house = await estate()
        history = (await house("LIST", "sys/version-history")).data
        assert history["keys"] == ["2.7.2"]
        assert history["key_info"]["2.7.2"]["timestamp_installed"] == "2023-11-14T22:13:20Z"
        host = (await house("GET", "sys/host-info")).data
        assert list(host) == ["cpu", "cpu_times", "disk", "host", "memory", "timestamp"]
        assert host["memory"]["total"] > host["memory"]["available"] > 0
        assert host["memory"]["used"] == host["memory"]["total"] - host["memory"]["available"]
        assert [f"cpu{one['cpu']}" for one in host["cpu"]] == [one["cpu"] for one in host["cpu_times"]]
        assert all(one["idle"] >= 0 and one["user"] >= 0 for one in host["cpu_times"])
        assert all(one["total"] >= one["used"] + one["free"] > 0 for one in host["disk"])
        assert host["host"]["hostname"] == socket.gethostname()
        assert host["host"]["bootTime"] + host["host"]["uptime"] > 1_700_000_000 and host["host"]["procs"] > 0

    play(scenario)


def test_a_request_in_flight_sees_itself() -> None:
    async def scenario() -> None:
        house = await estate()
        answer = await house("GET", "sys/in-flight-req")
        (found,) = answer.body.values()
        assert (found["request_path"], found["request_method"]) == ("/v1/sys/in-flight-req", "GET")
        assert house.root.encode() not in answer.text

    play(scenario)


def test_metrics_come_in_two_forms() -> None:
    async def scenario() -> None:
        house = await estate()
        json = (await house("GET", "sys/metrics")).body
        assert json["Counters"][0]["Name"] == "vault.core.handled"
        text = (await house("GET", "sys/metrics", query={"format": "prometheus"})).text
        assert b"\nvault_core_handled 3\n" in text
        wrong = await house("GET", "sys/metrics", query={"format": "hunter2"})
        assert (wrong.status, wrong.text) == (
            400,
            b"metric response format unknown: it must be prometheus or absent",
        )
        house = await estate(prometheus=False)
        off = await house("GET", "sys/metrics", query={"format": "prometheus"})
        assert (off.status, off.text) == (400, b"prometheus is not enabled")

    play(scenario)


def test_settings_and_what_is_not_there() -> None:
    async def scenario() -> None:
        house = await estate()
        assert (await house("GET", "sys/config/state/sanitized")).data == {"log_level": "info"}
        nothing = await house("GET", "sys/replication/status", token="")
        assert (nothing.status, nothing.error) == (404, "unsupported path")
        assert (await house("GET", "sys/pprof/heap")).status == 404

    play(scenario)


@pytest.mark.parametrize(
    "path",
    [
        "GET ha-status",
        "LIST version-history",
        "GET host-info",
        "GET in-flight-req",
        "GET metrics",
        "GET config/state/sanitized",
    ],
)
def test_none_of_it_is_for_everybody(path: str) -> None:
    async def scenario() -> None:
        house = await estate()
        method, _, rest = path.partition(" ")
        for token in ("", await house.token("nothing")):
            assert (await house(method, f"sys/{rest}", token=token)).status == 403

    play(scenario)
