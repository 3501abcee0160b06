# SPDX-License-Identifier: EUPL-1.2
"""Devices of the log as they are configured: what is read, and what is refused with which words."""

import json
from pathlib import Path

import pytest

from tests.unit.server.config.test_files import LISTENER, STORAGE, loaded, refusal, written
from vault.audit.target import Claim
from vault.log.forward.settings import DeviceSettings
from vault.server.config.collisions import claims
from vault.server.config.files import load, validate

SYSLOG = 'device "syslog" "siem" { address = "tls://siem.example" }'


def log(*devices: str) -> str:
    return STORAGE + LISTENER + 'log {\n  path = "/data/log"\n' + "\n".join(devices) + "\n}\n"


def test_a_device_has_safe_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path, log(SYSLOG)).log.devices == (
        DeviceSettings(
            kind="syslog", name="siem", address="tls://siem.example", policy="best_effort", deadline=5.0
        ),
    )


def test_every_setting_of_a_device_is_read(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        log(
            SYSLOG,
            """device "otlp" "lake_2" {
              address = "https://lake.example/v1/logs"
              policy = "required"
              deadline = "1m"
              tls_ca_file = "/etc/ca.pem"
              tls_cert_file = "/etc/cert.pem"
              tls_key_file = "/etc/key.pem"
              token_file = "/run/token"
            }""",
        ),
    )
    assert config.log.path == "/data/log"
    assert config.log.devices[1] == DeviceSettings(
        kind="otlp",
        name="lake_2",
        address="https://lake.example/v1/logs",
        policy="required",
        deadline=60.0,
        tls_ca_file="/etc/ca.pem",
        tls_cert_file="/etc/cert.pem",
        tls_key_file="/etc/key.pem",
        token_file="/run/token",
    )
    named = {"tls_ca_file": "/etc/ca.pem", "token_file": "/run/token"}
    assert {Claim(name, path) for name, path in named.items()} <= set(claims(config))


def test_devices_are_read_from_json_and_from_several_files(tmp_path: Path) -> None:
    written(tmp_path, log(SYSLOG), "1.hcl")
    more = {"log": {"device": {"http": {"lake": {"address": "https://lake.example/"}}}}}
    written(tmp_path, json.dumps(more), "2.json")
    assert [each.name for each in load([str(tmp_path)], {}).log.devices] == ["siem", "lake"]


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ('device "kafka" "a" { address = "tls://a.example" }', "one of syslog, socket, http, otlp"),
        ('device "syslog" "../a" { address = "tls://a.example" }', "the name of a log device"),
        ('device "syslog" "a" {}', "address must begin with"),
        ('device "syslog" "a" { address = "udp://a.example:514" }', "address must begin with"),
        ('device "syslog" "a" { address = "unix:///run/a" }', "must begin with tls:// or tcp://"),
        ('device "http" "a" { address = "tcp://a.example:1" }', "must begin with https:// or http://"),
        ('device "syslog" "a" { address = "tcp://a.example" }', "must have a port"),
        ('device "syslog" { address = "tls://a.example" }', "must have the form"),
        ('device "syslog" "a" { address = "tls://a.example" policy = "all" }', "policy must be one of"),
        ('device "syslog" "a" { address = "tls://a.example" deadline = "1s" }', "at least 2s"),
        ('device "syslog" "a" { address = "tls://a.example" token_file = "/t" }', "no token_file"),
        ('device "http" "a" { address = "http://a.example" token_file = "/t" }', "needs an https:// address"),
        ('device "http" "a" { address = "https://a.example" tls_key_file = "/k" }', "needs tls_cert_file"),
        ('device "http" "a" { address = "https://u:hunter2hunter2@a.example" }', "no user and no password"),
        ('device "http" "a" { adress = "https://a.example" }', "did you mean address?"),
        (f"{SYSLOG}\n{SYSLOG}", "another log device has this name"),
    ],
)
def test_what_no_device_can_be_is_refused(tmp_path: Path, device: str, words: str) -> None:
    message = refusal(tmp_path, log(device))
    assert words in message
    assert "hunter2" not in message


def test_devices_without_a_log_are_refused(tmp_path: Path) -> None:
    assert "needs the path of the log" in refusal(tmp_path, STORAGE + LISTENER + f"log {{ {SYSLOG} }}\n")


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ('device "syslog" "a" { address = "tcp://a.example:1" }', "without TLS shows the log"),
        ('device "syslog" "a" { address = "tcp://127.0.0.1:1" tls_ca_file = "/a" }', "no effect"),
    ],
)
def test_what_is_odd_is_warned_of(tmp_path: Path, device: str, words: str) -> None:
    found = validate([written(tmp_path, log(device))])
    assert found.problems == ()
    assert any(words in warning for warning in found.warnings)


@pytest.mark.parametrize("address", ["unix:///run/in.sock", "tcp://localhost:1", "tls://a.example"])
def test_what_nobody_on_the_way_can_read_is_not_warned_of(tmp_path: Path, address: str) -> None:
    file = written(tmp_path, log(f'device "socket" "a" {{ address = "{address}" }}'))
    assert not any("a.example" in warning or "TLS" in warning for warning in validate([file]).warnings)
