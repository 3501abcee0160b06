# SPDX-License-Identifier: EUPL-1.2
"""Debian's sshd on a loopback port, with users and a PAM of its own: in a mount namespace, so that the machine's stay as they are."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.processes import PATIENCE
from tests.ports import free_port

USERS = ("alice", "bob")
_FIRST_ID = 20_001
_BEGIN = """set -e
mount --bind "$0/passwd" /etc/passwd
mount --bind "$0/pam.d" /etc/pam.d
mount -t tmpfs tmpfs /run
mkdir -m 0755 /run/sshd
exec /usr/sbin/sshd -D -e -f "$0/sshd_config"
"""
_PAM = """auth required pam_exec.so quiet expose_authtok {script}
auth required pam_permit.so
account required pam_permit.so
session required pam_permit.so
"""
_CONFIG = """ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
HostCertificate {folder}/host-cert.pub
TrustedUserCAKeys {folder}/users.pub
AuthorizedKeysFile none
PasswordAuthentication no
KbdInteractiveAuthentication yes
UsePAM yes
StrictModes no
PidFile none
LogLevel VERBOSE
PerSourcePenalties no
"""


@dataclass(frozen=True)
class Sshd:
    """A running sshd."""

    port: int
    folder: Path

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self.folder / "sshd.log").read_text(errors="replace")

    def options(self, name: str = "server.example.com") -> list[str]:
        """What `ssh` needs to reach it and to believe its host certificate for a name."""
        return [
            "-F", "none", "-p", str(self.port), "-o", f"HostKeyAlias={name}", "-o", "StrictHostKeyChecking=yes",
            "-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}", "-o", "GlobalKnownHostsFile=none",
        ]  # fmt: skip


def ssh(
    arguments: Sequence[str], *, answer: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `ssh`, or what runs it; `answer` is what it gets where it asks for a password."""
    env = {**os.environ, "DISPLAY": "none", "SSH_ASKPASS_REQUIRE": "force", **(environment or {})}
    env.pop("SSH_AUTH_SOCK", None)
    env["SSH_ASKPASS"] = str(Path(__file__).with_name("askpass.sh"))
    env["ANSWER"] = answer
    return subprocess.run(
        [*arguments],
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def running_sshd(folder: Path, script: str) -> Iterator[Sshd]:
    """Start one in a folder that has its host key, certificate and trusted authority; `script` verifies passwords."""
    port = free_port()
    folder.chmod(0o755)
    _write_users(folder)
    (folder / "pam.d").mkdir()
    verify = folder / "coffre-otp"
    verify.write_text(script)
    verify.chmod(0o755)
    (folder / "pam.d" / "sshd").write_text(_PAM.format(script=verify))
    (folder / "sshd_config").write_text(_CONFIG.format(port=port, folder=folder))
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _BEGIN, str(folder)], stdout=log, stderr=log
        )
        try:
            _await(port, process, folder)
            yield Sshd(port, folder)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _write_users(folder: Path) -> None:
    """Put the users beside those that the machine has; each has a home that anybody may read."""
    lines = [line for line in Path("/etc/passwd").read_text().splitlines() if line.split(":")[0] not in USERS]
    for number, user in enumerate(USERS, _FIRST_ID):
        lines.append(f"{user}:x:{number}:65534::{folder}:/bin/sh")
    (folder / "passwd").write_text("\n".join(lines) + "\n")


def _await(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, (folder / "sshd.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
