# SPDX-License-Identifier: EUPL-1.2
"""A server for real use, as the README and the guide for operators print it: each command does what they say."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hsm.runtime import runtime_directory
from tests.house.tree import ROOT
from tests.integration.processes import PATIENCE
from tests.integration.test_application_guide import environment, run
from tests.integration.test_login_guide import blocks
from tests.ports import free_port
from vault import __version__
from vault.engines.system.release import VERSION

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GUIDE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SH = blocks("sh", GUIDE)
_OF_ONE_TRY = "coffre-20261128T023000Z.db"
"""The backup that the guide tries."""


class Machine:
    """The directories of a test in the place of those of a machine, which has one `/etc`; and its user's in that of `coffre`."""

    def __init__(self, place: Path) -> None:
        self.place, self.port = place, free_port()
        self._names = {
            "0.0.0.0:8200": f"127.0.0.1:{self.port}",
            "127.0.0.1:8200": f"127.0.0.1:{self.port}",
            "/etc/coffre": f"{place}/etc",
            "/var/lib/coffre": f"{place}/lib",
            "/var/log/coffre": f"{place}/log",
            "/run/coffre": f"{place}/run",
            "/backup": f"{place}/backup",
            " -o coffre -g coffre": "",
            "chgrp coffre": f"chgrp {os.getgid()}",
            "runuser -u coffre -- ": "",
        }
        _, _, text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## For real use")
        found = _BLOCK.findall(text)
        self.install, self.certificate, self.start, self.use = (
            block for kind, block in found if kind == "sh"
        )
        (config,) = (block for kind, block in found if kind == "hcl")
        self.config = self.here(config)
        self.address, *self.steps = self.use.splitlines()
        self.shell = environment(place)

    def here(self, text: str) -> str:
        """A text of a guide with this machine's names."""
        for there, here in self._names.items():
            text = text.replace(there, here)
        return text

    def does(self, text: str) -> str:
        """Type commands of a guide, in a shell that knows where the server is; return what they print."""
        return run("sh", self.here(f"{self.address}\n{text}"), self.place, self.shell)

    @contextmanager
    def serves(self, command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start the server by a command of a guide, and wait until it answers; its log is `server.log`."""
        with (
            (self.place / "server.log").open("a") as log,
            subprocess.Popen(
                ["bash", "-c", f"exec {self.here(command)}"], env=self.shell, cwd=self.place, stderr=log
            ) as server,
        ):
            try:
                self.does(
                    f"for _ in $(seq {PATIENCE}); do vaultctl status > status && break; test $? = 2 && break; sleep 1; done"
                )
                yield server
            finally:
                server.terminate()

    def opens(self, shares: Sequence[str]) -> None:
        """Give shares, which the guide's command would ask for on a terminal."""
        for share in shares[:3]:
            self.does(f"vaultctl operator unseal {share}")


def test_a_server_for_real_use_runs_as_printed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    made = "".join(line for line in machine.install.splitlines(True) if line.startswith("install "))
    machine.does(made)
    machine.does(machine.certificate)
    (pid_file,) = re.findall(
        r"# (pid_file = .*) in the configuration$", SH["Rotate the audit log"][0], re.MULTILINE
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "etc" / "config.hcl").write_text(f"{machine.config}\n{machine.here(pid_file)}\n")
    test, serve = machine.start.splitlines()
    machine.does(test)
    with machine.serves(serve) as server:
        init, *steps = machine.steps
        machine.does(f"{init.partition('#')[0]} > lost")
        init_again = SH["Initialise"][1]
        answer = json.loads(machine.does(init_again))
        shares = answer["keys_base64"]
        for step in steps:
            if step.startswith("vaultctl operator unseal"):
                machine.opens(shares)
            elif step.startswith("vaultctl login"):
                machine.does(f"echo {answer['root_token']} | vaultctl login -")
            else:
                machine.does(step)
        assert (tmp_path / "backup" / "coffre.db").stat().st_size > 0
        _unseals_seals_and_starts_over(machine, shares)
        _measures_rotates_and_explains(machine)
        _leaves_root_and_makes_it_again(machine, shares)
    said = (tmp_path / "server.log").read_text()
    assert server.returncode == 0
    assert f"server: started: version={__version__} api={VERSION} storage=sqlite" in said
    assert (tmp_path / "log" / "audit.log").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc" / "tls.key").stat().st_mode & 0o777 == 0o640
    _tries_the_backup_elsewhere(machine, shares)


def _unseals_seals_and_starts_over(machine: Machine, shares: Sequence[str]) -> None:
    unseal, status, reset = (line.partition(" #")[0] for line in SH["Unseal and seal"][0].splitlines())
    machine.does("vaultctl operator seal")
    assert re.search("^Unseal Progress +1/3$", machine.does(f"{unseal} {shares[0]}"), re.MULTILINE)
    assert re.search("^Unseal Progress +0/3$", machine.does(reset), re.MULTILINE)
    machine.does(f"if {status}; then false; else test $? = 2; fi")
    machine.opens(shares)
    machine.does(status)


def _measures_rotates_and_explains(machine: Machine) -> None:
    assert f"\nCoffre          {__version__}\n" in machine.does("vaultctl status")
    for path in ("health", "seal-status"):
        told = json.loads(machine.does(f'curl --silent --cacert "$VAULT_CACERT" "$VAULT_ADDR/v1/sys/{path}"'))
        assert (told["coffre_version"], told["version"]) == (__version__, VERSION)
    (measure,) = SH["Metrics"]
    assert f'coffre_build_info{{version="{__version__}",api="{VERSION}"}} 1.0' in machine.does(measure)
    assert (machine.place / "metrics.token").stat().st_mode & 0o777 == 0o600
    (renew,) = re.findall(r'`(VAULT_TOKEN="\$\(cat metrics.token\)" [^`]+)`', GUIDE)
    machine.does(renew)
    (rotate,) = SH["Rotate the audit log"]
    machine.does(rotate)
    log = machine.place / "log" / "audit.log"
    machine.does(f"for _ in $(seq {PATIENCE}); do test -e /var/log/coffre/audit.log && break; sleep 1; done")
    (digest,) = re.findall(r"`(vaultctl write sys/audit-hash/NAME [^`]+)`", GUIDE)
    assert "hmac-sha256:" in machine.does("printf 5432 | " + digest.replace("NAME", "main"))
    (explain,) = re.findall(r"`(vaultctl policy explain [^`]+=update)`", GUIDE)
    assert machine.does(explain) == "update secret/data/app: allowed\n"
    assert log.stat().st_size and log.with_name("audit.log.1").stat().st_size
    diagnosed = machine.does("vaultctl operator diagnose -config=/etc/coffre/config.hcl -skip=listener")
    assert "[ success ] Storage" in diagnosed


def _leaves_root_and_makes_it_again(machine: Machine, shares: Sequence[str]) -> None:
    """What the guide for operators says to do with the root token, and how its holders get another one."""
    *_, leave, again = SH["Initialise"]
    machine.does(leave)
    begin, give, decode = (line.partition(" # ")[0] for line in again.splitlines())
    given = " ".join(shares[:3])
    script = f"""export VAULT_TOKEN="$(cat admin.token)"
{begin} > begun
nonce=$(sed -n 's/^Nonce *//p' begun) otp=$(sed -n 's/^OTP   *//p' begun)
for share in {given}; do {give} -nonce=$nonce $share; done > given
encoded=$(sed -n 's/^Encoded Token *//p' given)
VAULT_TOKEN=$({decode.replace("ENCODED", "$encoded").replace("OTP", "$otp")}) vaultctl token lookup"""
    assert re.search(r"^policies +\[root\]$", machine.does(script), re.MULTILINE)


def _tries_the_backup_elsewhere(machine: Machine, shares: Sequence[str]) -> None:
    """With nothing left of the database, and the configuration of this machine."""
    shutil.rmtree(machine.place / "lib")
    (machine.place / "backup" / "coffre.db").rename(machine.place / _OF_ONE_TRY)
    directory, restore, serve = (line.partition(" #")[0] for line in SH["Restore"][1].splitlines())
    machine.does(f"{directory}\n{restore}")
    with machine.serves(serve):
        machine.opens(shares)
        machine.does("vaultctl status")


def test_no_command_is_left_out() -> None:
    """`test_backup.py` has the backup and its restore, `systemctl` is for a machine that is started by it.

    Backups over the API and on a schedule are in `test_raft_snapshot.py` and `test_snapshot_schedule.py`.
    """
    followed = {name: len(found) for name, found in SH.items()}
    assert followed == {
        "Start and end": 1,  # as in the README
        "Initialise": 4,
        "Unseal and seal": 1,
        "Back up": 3,
        "Restore": 2,
        "Rotate the audit log": 1,
        "Metrics": 1,
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for line in SH["Start and end"][0].splitlines():
        assert line.partition("   #")[0] in readme
    assert SH["Initialise"][0].strip() in readme


def test_the_unit_lets_its_user_write_what_the_guides_have_it_write() -> None:
    """And what a wrong PIN leaves behind outlives a restart, which a private `/tmp` would not."""
    (unit,) = [text for kind, text in _BLOCK.findall(GUIDE) if kind == "ini" and "ExecReload=" in text]
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    runtime = f"/run/{settings['RuntimeDirectory']}"
    may = [*settings["ReadWritePaths"].split(), runtime]
    written = re.findall(
        r'\b(?:path|pid_file) += "(/[^"]+)"|\bfile_path = "(/[^"]+)"',
        GUIDE + (ROOT / "README.md").read_text(encoding="utf-8"),
    )
    assert {str(Path(one or other).parent) for one, other in written} == set(may)
    assert f"$(cat {runtime}/coffre.pid)" in GUIDE
    assert runtime_directory({"RUNTIME_DIRECTORY": runtime}).is_relative_to(runtime)
    assert (settings["RuntimeDirectoryPreserve"], settings["RuntimeDirectoryMode"]) == ("yes", "0700")
