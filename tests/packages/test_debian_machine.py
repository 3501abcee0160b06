# SPDX-License-Identifier: EUPL-1.2
"""The Debian package on a machine that systemd runs: it starts in its sandbox, reloads, rotates, and upgrades with its data."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packages.debian import build, other_version
from tests.packages.machine import WITH_SYSTEMD, Machine, machine
from tests.ports import free_port
from vault import __version__

pytestmark = [pytest.mark.timeout(2400), pytest.mark.soak]

_CERTIFICATE = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \\
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout /etc/coffre/tls.key -out /etc/coffre/tls.crt
install -d -m 0700 /etc/credstore
mv /etc/coffre/tls.key /etc/credstore/coffre.tls.key
"""
_UNLOCK = "vaultctl operator unseal -format=json {key}"


class Installed:
    """A machine with the package, its server on a port of its own; the key of TLS is a credential that only root may read."""

    def __init__(self, machine: Machine, package: Path) -> None:
        self.machine = machine
        self.address = f"127.0.0.1:{free_port()}"
        machine.does("dpkg", "--install", machine.takes(package))
        machine.does("sh", "-euc", _CERTIFICATE)
        self.config = machine.root / "etc/coffre/config.hcl"
        text = self.config.read_text().replace("127.0.0.1:8200", self.address)
        key = "/run/credentials/coffre.service/coffre.tls.key"
        self.config.write_text(text.replace("/etc/coffre/tls.key", key))

    def types(self, command: str, token: str = "") -> str:
        """Type a command in the shell of an operator."""
        variables = f"VAULT_ADDR=https://{self.address} VAULT_CACERT=/etc/coffre/tls.crt VAULT_TOKEN={token}"
        return self.machine.does("env", *variables.split(), "sh", "-euc", command)

    def shows(self, name: str) -> str:
        """What systemd knows of the service."""
        return self.machine.does("systemctl", "show", "--value", f"--property={name}", "coffre").strip()

    def journal(self) -> str:
        return self.machine.does("journalctl", "--no-pager", "--output=cat", "--unit=coffre")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installed, Path]]:
    """The machine, booted, with the version before; and the package of this one."""
    folder = tmp_path_factory.mktemp("debian")
    package = build(folder, whole=True)
    before = other_version(package, "0.0.9", "# of before", folder)
    with machine(folder, "systemd", WITH_SYSTEMD) as made, made.booted():
        yield Installed(made, before), package


def test_a_machine_runs_it_and_an_upgrade_keeps_everything(installed: tuple[Installed, Path]) -> None:
    debian, package = installed
    machine = debian.machine
    assert machine.tried("systemctl", "is-enabled", "coffre").stdout == "disabled\n"
    machine.does("systemctl", "enable", "--now", "coffre")
    assert debian.shows("ActiveState") == "active"
    assert "started: version=0.0.9" in debian.journal()
    made = json.loads(debian.types("vaultctl operator init -format=json -key-shares=1 -key-threshold=1"))
    key, token = made["unseal_keys_b64"][0], made["root_token"]
    debian.types(_UNLOCK.format(key=key))
    debian.types("vaultctl secrets enable -path=secret kv-v2 && vaultctl kv put secret/a b=c", token)
    debian.types("vaultctl secrets enable transit && vaultctl write -f transit/keys/k", token)
    debian.types("vaultctl write transit/encrypt/k plaintext=aaaa", token)

    with debian.config.open("a") as config:
        config.write("# of our own\n")
    machine.does("systemctl", "reload", "coffre")
    assert "server: reloaded\n" in debian.journal()

    first = int(debian.shows("MainPID"))
    machine.does("dpkg", "--install", "--force-confold", machine.takes(package))
    assert debian.shows("ActiveState") == "active"
    assert int(debian.shows("MainPID")) != first
    assert f"started: version={__version__}" in debian.journal()
    assert debian.config.read_text().endswith("# of our own\n")
    debian.types(_UNLOCK.format(key=key))
    assert debian.types("vaultctl kv get -field=b secret/a", token) == "c"
    assert "defect" not in debian.journal()


def test_its_sandbox_is_what_the_unit_says(installed: tuple[Installed, Path]) -> None:
    """Root's key of TLS was read, and the server itself has nothing of root."""
    machine, pid = installed[0].machine, installed[0].shows("MainPID")
    status = machine.does("cat", f"/proc/{pid}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Seccomp"] == "2"
    assert fields["NoNewPrivs"] == "1"
    assert {int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert machine.does("stat", "-c", "%U %a", "/var/lib/coffre/coffre.db") == "coffre 600\n"
    assert machine.does("stat", "-c", "%U %a", "/etc/credstore/coffre.tls.key") == "root 600\n"
    exposed = machine.does("systemd-analyze", "security", "--no-pager", "coffre.service").splitlines()[-1]
    assert " OK " in exposed


def test_logrotate_moves_the_audit_file_and_records_go_on_in_a_new_one(
    installed: tuple[Installed, Path],
) -> None:
    machine = installed[0].machine
    log = machine.root / "var/log/coffre/audit.log"
    before = log.read_text()
    machine.does("logrotate", "--force", "/etc/logrotate.d/coffre")
    (moved,) = log.parent.glob("audit.log-*")
    assert moved.read_text().startswith(before)
    installed[0].types("vaultctl token lookup 2>&1 || true", "wrong")
    assert log.read_text().count("\n") > 0
    assert machine.does("stat", "-c", "%U %a", "/var/log/coffre/audit.log") == "coffre 600\n"


def test_a_server_that_stands_still_is_started_anew(installed: tuple[Installed, Path]) -> None:
    """SIGSTOP is as near to a loop that hangs as can be had; the watchdog's minute is made short."""
    debian, machine = installed[0], installed[0].machine
    drop = machine.root / "etc/systemd/system/coffre.service.d"
    drop.mkdir(parents=True)
    (drop / "watchdog.conf").write_text("[Service]\nWatchdogSec=3s\nTimeoutAbortSec=2s\n")
    machine.does("systemctl", "daemon-reload")
    machine.does("systemctl", "restart", "coffre")
    first = debian.shows("MainPID")
    machine.does("sh", "-c", f"kill -STOP {first}")
    machine.does(
        "sh",
        "-c",
        f'for _ in $(seq 60); do test "$(systemctl show --value -p MainPID coffre)" != {first} && break; sleep 1; done',
    )
    machine.does(
        "sh", "-c", "for _ in $(seq 60); do systemctl is-active --quiet coffre && break; sleep 1; done"
    )
    assert debian.shows("MainPID") not in {first, "0"}
    assert int(debian.shows("NRestarts")) >= 1
