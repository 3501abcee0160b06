# SPDX-License-Identifier: EUPL-1.2
"""The Debian package on machines that systemd runs: the operator's first day, as printed, and what the service does then."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.packages.debian import DEBIAN, build, other_version
from tests.packages.machine import HOME, WITH_SYSTEMD, Machine, Shell, machine
from tests.packages.printed import blocks
from vault import __version__

pytestmark = [pytest.mark.timeout(2400), pytest.mark.soak]

_BEFORE = "0.0.9"
_OFFERED = "softhsm2,prometheus,curl,openssl,openssh-client"
"""What the first day installs beside the package."""


class Day:
    """A first day that is over: its machine, and what each command has printed."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.shell = Shell(machine)
        self.printed: dict[str, str] = {}

    def passes(self) -> None:
        """Do all that the page says, in its order."""
        for block in blocks("first-day.md"):
            if block.kind != "sh":
                assert block.file, f"it is not said which file this is:\n{block.text}"
                self.shell.writes(block.file, block.text)
                continue
            for command in block.commands:
                self.printed[command] = self.shell.types(command)

    def said(self, part: str) -> str:
        """Return what the one command printed that has these words."""
        (text,) = (text for command, text in self.printed.items() if part in command)
        return text


_IN_ITS_PLACE = {"make deb": "the package was made before"}
"""What of docs/install.md is not typed on the machine itself."""
_GIVEN = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \\
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout coffre.example.key -out coffre.example.crt
printf 2468-1357 > pin.txt
mkdir -p /etc/credstore.encrypted /srv/coffre
chown coffre /srv/coffre
"""
"""What an operator has who reads docs/install.md."""


def _shows(machine: Machine, name: str) -> str:
    """What systemd knows of the service."""
    return machine.does("systemctl", "show", "--value", f"--property={name}", "coffre").strip()


def _journal(machine: Machine) -> str:
    return machine.does("journalctl", "--no-pager", "--output=cat", "--unit=coffre")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("package"), whole=True)


@pytest.fixture(scope="module")
def day(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A machine on which the release before this one was installed, and then this one."""
    folder = tmp_path_factory.mktemp("day")
    before = other_version(package, _BEFORE, "# of before", folder)
    with ExitStack() as stack:
        made = stack.enter_context(machine(folder, "systemd", WITH_SYSTEMD))
        made.takes(before, HOME)
        made.takes(package, f"{HOME}/next")
        made.offers(_OFFERED)
        stack.enter_context(made.booted())
        day = Day(made)
        day.passes()
        yield day


def test_lintian_finds_nothing_in_the_whole_of_it(package: Path) -> None:
    """But that it is not compressed, which it is for others than tests."""
    own = "--suppress-tags=uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball"
    told = subprocess.run(
        ["lintian", "--fail-on=error,warning,info", "--allow-root", own, package],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stdout) == (0, "")


def test_an_operators_first_day_does_what_is_printed(day: Day) -> None:
    assert re.search(r"^Sealed +false$", day.said("sleep 1; done   # it opens"), re.MULTILINE)
    assert day.said("vaultctl kv get -field=password secret/billing") == "correct-horse"
    assert "esa.kv.write" in day.said("vaultctl audit query -resource=secret/billing")
    checked = day.said("upgrade-check")
    assert checked.count("[ success ]") == len(checked.splitlines())
    assert list((day.machine.root / "backup").glob("nightly*")), "no backup was made by itself"
    assert "correct-horse" not in _journal(day.machine)
    assert "correct-horse" not in (day.machine.root / "var/log/coffre/audit.log").read_text()


def test_its_upgrade_keeps_everything(day: Day) -> None:
    journal = _journal(day.machine)
    assert journal.index(f"started: version={_BEFORE}") < journal.index(f"started: version={__version__}")
    assert day.said("vaultctl version") == f"vaultctl v{__version__}\n"
    assert day.shell.types("vaultctl kv get -field=password secret/billing") == "correct-horse"
    (config,) = (block.text for block in blocks("first-day.md") if block.file == "/etc/coffre/config.hcl")
    place = day.machine.root / "etc/coffre/config.hcl"
    assert place.read_text() == config
    assert "# of before" not in place.with_suffix(".hcl.dpkg-dist").read_text()
    assert "defect" not in journal


def test_its_sandbox_is_what_the_unit_says(day: Day) -> None:
    """The HSM's agent works within it."""
    machine = day.machine
    status = machine.does("cat", f"/proc/{_shows(machine, 'MainPID')}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Seccomp"] == "2"
    assert fields["NoNewPrivs"] == "1"
    assert {int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert machine.does("stat", "-c", "%U %a", "/var/lib/coffre/coffre.db") == "coffre 600\n"
    assert machine.does("stat", "-c", "%U:%G %a", "/etc/coffre/tls.key") == "root:coffre 640\n"
    exposed = machine.does("systemd-analyze", "security", "--no-pager", "coffre.service").splitlines()[-1]
    assert " OK " in exposed


def test_logrotate_moves_the_audit_file_and_records_go_on_in_a_new_one(day: Day) -> None:
    log = day.machine.root / "var/log/coffre/audit.log"
    before = log.read_text()
    day.machine.does("logrotate", "--force", "/etc/logrotate.d/coffre")
    (moved,) = log.parent.glob("audit.log-*")
    assert moved.read_text().startswith(before)
    day.shell.types("vaultctl token lookup")
    assert log.read_text().count("\n") > 0
    assert day.machine.does("stat", "-c", "%U %a", "/var/log/coffre/audit.log") == "coffre 600\n"


def test_logrotate_without_systemd_signals_the_server_and_no_other(day: Day) -> None:
    """The file with its number is the server's own to write, and may have been left by one that is gone."""
    machine = day.machine
    rotates = (DEBIAN / "coffre.logrotate").read_text().replace("/run/systemd/system", "/run/nothing")
    day.shell.writes("/srv/rotates", rotates.replace("*.log", "other.log"))
    server = _shows(machine, "MainPID")
    others = machine.does("sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!").strip()
    reloads = _journal(machine).count("server: reloaded\n")
    for number in (others, "-1", "0", f"-{server}", "", server):
        written = f"echo {number} > /run/coffre/coffre.pid; echo line > /var/log/coffre/other.log"
        machine.does("runuser", "-u", "coffre", "--", "sh", "-c", written)
        tried = machine.tried("logrotate", "--force", "/srv/rotates")
        if number == server:
            assert (tried.returncode, tried.stderr) == (0, "")
            reloaded = "journalctl --unit=coffre | grep -c 'server: reloaded'"
            day.shell.types(f"until test $({reloaded}) -gt {reloads}; do sleep 1; done")
        machine.does("kill", "-0", others)
        machine.does("kill", "-0", server)
        machine.does("sh", "-c", "rm /var/log/coffre/other.log-*")
    assert _journal(machine).count("server: reloaded\n") == reloads + 1
    machine.does("kill", others)


def test_a_server_that_stands_still_is_started_anew(day: Day) -> None:
    """SIGSTOP is as near to a loop that hangs as can be had; the watchdog's minute is made short."""
    machine = day.machine
    day.shell.writes(
        "/etc/systemd/system/coffre.service.d/watchdog.conf",
        "[Service]\nWatchdogSec=3s\nTimeoutAbortSec=2s\n",
    )
    machine.does("systemctl", "daemon-reload")
    machine.does("systemctl", "restart", "coffre")
    first = _shows(machine, "MainPID")
    machine.does("sh", "-c", f"kill -STOP {first}")
    changed = f'for _ in $(seq 60); do test "$(systemctl show --value -p MainPID coffre)" != {first} && break'
    machine.does("sh", "-c", f"{changed}; sleep 1; done")
    active = "for _ in $(seq 60); do systemctl is-active --quiet coffre && break; sleep 1; done"
    machine.does("sh", "-c", active)
    assert _shows(machine, "MainPID") not in {first, "0"}
    assert int(_shows(machine, "NRestarts")) >= 1
    (machine.root / "etc/systemd/system/coffre.service.d/watchdog.conf").unlink()
    machine.does("systemctl", "daemon-reload")
    machine.does("systemctl", "restart", "coffre")
    day.shell.types("until vaultctl status; do sleep 1; done")


def test_what_is_typed_to_install_upgrade_and_remove_it_works(package: Path, tmp_path: Path) -> None:
    """As docs/install.md prints it; what each of its drop-ins is for is had with it."""
    with machine(tmp_path, "systemd", WITH_SYSTEMD) as made, made.booted():
        made.takes(package, f"{HOME}/dist")
        shell = Shell(made, VAULT_ADDR="https://127.0.0.1:8200", VAULT_CACERT="/etc/coffre/tls.crt")
        commands = [command for block in blocks("install.md", "On Debian") for command in block.commands]
        assert [command for command in commands if command in _IN_ITS_PLACE] == list(_IN_ITS_PLACE)
        for command in commands:
            if command in _IN_ITS_PLACE:
                continue
            if command.startswith("install -m 0644"):
                shell.types(_GIVEN)
            if command.startswith("apt-mark hold"):
                _opens(shell)
                _needs_more(shell)
            shell.types(command)
        assert not (made.root / "etc/coffre/config.hcl").exists()
        assert "coffre" in made.does("id", "coffre")
        for command in commands[1:6]:  # installed again, it finds what it left
            shell.types(command)
        assert re.search(r"^Initialized +true$", shell.types("vaultctl status || true"), re.MULTILINE)


def _opens(shell: Shell) -> None:
    """Initialise the vault of the package's own configuration, whose exposure is as the page says."""
    shell.types("vaultctl operator init -key-shares=1 -key-threshold=1 > init.txt")
    shell.types("vaultctl operator unseal \"$(sed -n 's/^Unseal Key 1: //p' init.txt)\"")
    exposed = shell.types("systemd-analyze security --no-pager coffre").splitlines()[-1]
    (figure,) = re.findall(r"level for coffre.service: ([0-9.]+) ", exposed)
    assert f"says {figure} of 10" in (ROOT / "docs/install.md").read_text()


def _needs_more(shell: Shell) -> None:
    """Have each drop-in of the page's table, and the server start with it."""
    rows = re.findall(r"^\| (.+?) \| (`.+`) \|$", (ROOT / "docs/install.md").read_text(), re.MULTILINE)
    assert len(rows) == 4
    uses = {
        "elsewhere": ("/var/log/coffre/audit", "/srv/coffre/audit"),
        "443": ("127.0.0.1:8200", "127.0.0.1:443"),
    }
    config = (shell.machine.root / "etc/coffre/config.hcl").read_text()
    drop = "/etc/systemd/system/coffre.service.d/more.conf"
    for what, settings in rows:
        lines = re.findall(r"`([^`]+)`", settings)
        there, instead = next((use for word, use in uses.items() if word in what), ("", ""))
        shell.writes(drop, "\n".join(["[Service]", *lines]))
        shell.writes("/etc/coffre/config.hcl", config.replace(there, instead) if there else config)
        shell.types("systemctl daemon-reload; systemctl reset-failed coffre; systemctl restart coffre")
        shell.types(f"rm {drop}")
    assert "Initialized" in shell.types("VAULT_ADDR=https://127.0.0.1:443 vaultctl status || true")
    shell.writes("/etc/coffre/config.hcl", config)
    shell.types("systemctl daemon-reload; systemctl reset-failed coffre; systemctl restart coffre")
