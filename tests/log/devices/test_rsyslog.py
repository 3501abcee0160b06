# SPDX-License-Identifier: EUPL-1.2
"""What Debian's rsyslog makes of what we send, by TCP and by TLS: its reading of the formats is not ours."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import authority, certificate
from tests.log.devices.receivers import wait_until
from tests.log.devices.site import HOST, Site, running
from tests.log.devices.test_tls import LOCAL, PURPOSES, in_file
from tests.ports import free_port
from vault.log.forward.settings import DeviceSettings

pytestmark = pytest.mark.loopback

_TCP = """
global(workDirectory="{folder}" maxMessageSize="128k")
module(load="imtcp")
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="line" type="string"
  string="%syslogfacility%|%syslogseverity%|%hostname%|%app-name%|%procid%|%msgid%|%structured-data%|%msg%\\n")
action(type="omfile" file="{folder}/out" template="line")
"""
_TLS = _TCP.replace(
    'module(load="imtcp")',
    """global(defaultNetstreamDriverCAFile="{folder}/ca.pem" defaultNetstreamDriverCertFile="{folder}/cert.pem"
  defaultNetstreamDriverKeyFile="{folder}/cert.pem")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")""",
)


@contextlib.contextmanager
def rsyslog(folder: Path, configuration: str, port: int) -> Iterator[Path]:
    """Run a server, and return the file in which it writes what it read."""
    file = folder / "rsyslog.conf"
    file.write_text(configuration.format(folder=folder, port=port))
    with (folder / "err").open("w") as errors:
        process = subprocess.Popen(
            ["/usr/sbin/rsyslogd", "-n", "-f", str(file), "-i", str(folder / "pid")], stderr=errors
        )
    try:
        yield folder / "out"
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait()


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_rsyslog_reads_every_record_whole(scheme: str, tmp_path: Path) -> None:
    ours = authority("ours")
    (tmp_path / "ca.pem").write_text(ours.pem)
    in_file(certificate("rsyslog", ours, sans=LOCAL, purposes=PURPOSES), tmp_path / "cert.pem")
    port = free_port()
    settings = DeviceSettings(
        kind="syslog", name="siem", address=f"{scheme}://localhost:{port}", tls_ca_file=str(tmp_path / "ca.pem")
    )  # fmt: skip
    with rsyslog(tmp_path, _TCP if scheme == "tcp" else _TLS, port) as out:
        with running(Site(tmp_path / "log", [settings])) as site:
            site.write(1000)
            site.wait_for_all()
            wait_until(
                lambda: out.exists() and out.read_bytes().count(b"\n") >= 1000,
                (tmp_path / "err").read_text,
            )
            log = site.log.id
    found = [line.split("|", 7) for line in out.read_text().splitlines()]
    assert [json.loads(line[7])["seq"] for line in found] == list(range(1000))
    for seq, line in enumerate(found):
        assert line[:7] == [
            "13",
            "6",
            HOST,
            "coffre",
            log,
            "esa.kv.read",
            f'[coffre@32473 log="{log}" seq="{seq}"]',
        ]
