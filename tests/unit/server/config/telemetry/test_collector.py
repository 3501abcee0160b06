# SPDX-License-Identifier: EUPL-1.2
"""The collector in the configuration: where it is, and how much it is sent."""

from pathlib import Path

import pytest

from vault.server.config.files import load
from vault.server.config.telemetry.collector import Collector
from vault.server.failure import StartFailure

_BASE = """
storage "sqlite" { path = "/var/lib/coffre/c.db" }
listener "tcp" { address = "127.0.0.1:1" tls_disable = true }
telemetry {
  metrics_prefix = "house"
  %s
}
"""


def read(folder: Path, text: str) -> Collector:
    file = folder / "config.hcl"
    file.write_text(_BASE % text)
    config = load([str(file)], {})
    assert config.telemetry.metrics_prefix == "house"
    return config.telemetry.otlp


def test_nothing_is_sent_anywhere_unless_a_collector_is_named(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Collector()
    assert read(tmp_path, "").endpoint == ""


def test_all_settings_are_read(tmp_path: Path) -> None:
    assert read(
        tmp_path,
        """
        otlp {
          endpoint         = "https://collector.example:4318"
          headers_file     = "/etc/coffre/otlp-headers"
          tls_ca_file      = "/ca"
          tls_cert_file    = "/cert"
          tls_key_file     = "/key"
          service_name     = "vault-a"
          sampling_ratio   = "0.25"
          traces           = true
          metrics          = false
          metrics_interval = "15s"
          logs             = false
        }
        """,
    ) == Collector(
        endpoint="https://collector.example:4318", headers_file="/etc/coffre/otlp-headers", tls_ca_file="/ca",
        tls_cert_file="/cert", tls_key_file="/key", service_name="vault-a", sampling_ratio=0.25, metrics=False,
        metrics_interval=15, logs=False,
    )  # fmt: skip


@pytest.mark.parametrize("ratio", ["0", "1", "0.5"])
def test_a_share_is_a_number_quoted_or_not(tmp_path: Path, ratio: str) -> None:
    for written in (ratio, f'"{ratio}"'):
        text = f'otlp {{ endpoint = "http://127.0.0.1:4318" sampling_ratio = {written} }}'
        assert read(tmp_path, text).sampling_ratio == float(ratio)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("otlp {}", "otlp: endpoint must begin with"),
        (
            'otlp { endpoint = "http://collector.example:4318" }',
            "must begin with https://, unless it is on loopback",
        ),
        ('otlp { endpoint = "tcp://127.0.0.1:4318" }', "otlp: endpoint must begin with https://"),
        ('otlp { endpoint = "https://user:hunter2@host:1" }', "otlp: endpoint must have a host and a port"),
        (
            'otlp { endpoint = "http://[::1]:1" sampling_ratio = 2 }',
            "sampling_ratio must be a number from 0 to 1",
        ),
        (
            'otlp { endpoint = "http://[::1]:1" sampling_ratio = true }',
            "sampling_ratio must be a number from 0 to 1",
        ),
        (
            'otlp { endpoint = "http://[::1]:1" sampling_ratio = "x" }',
            "sampling_ratio must be a number from 0 to 1",
        ),
        (
            'otlp { endpoint = "http://[::1]:1" tls_cert_file = "/a" }',
            "tls_cert_file and tls_key_file go together",
        ),
        (
            'otlp { endpoint = "http://[::1]:1" metrics_interval = "0s" }',
            "metrics_interval must be at least 1s",
        ),
        ('otlp { endpont = "http://[::1]:1" }', "endpont"),
    ],
)
def test_what_cannot_be_or_would_go_in_the_clear_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(StartFailure) as failure:
        read(tmp_path, text)
    assert message in str(failure.value)
    assert "hunter2" not in str(failure.value)
