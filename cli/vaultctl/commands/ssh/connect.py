# SPDX-License-Identifier: EUPL-1.2
"""ssh: log in to a machine by a certificate or a one-time password of an SSH mount."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

from vaultctl.errors import EXIT_LOCAL, EXIT_OK, EXIT_REMOTE, CommandError, UsageError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_EXTENSIONS = (
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
)
"""What a session of `ssh` asks for, as of every other client of such mounts."""


def connect(invocation: Invocation) -> int:
    """Get a credential for the machine that is named, and run `ssh` with it; its exit code is this command's."""
    if not invocation.text("role"):
        raise UsageError("Name the role of the SSH mount with -role")
    modes = {"ca": _by_certificate, "otp": _by_password}
    run = modes.get(invocation.text("mode"))
    if run is None:
        raise UsageError("Say how to log in with -mode: ca for a certificate, otp for a one-time password")
    return run(invocation, *_target(invocation))


def _target(invocation: Invocation) -> tuple[str, str]:
    """The user, which is who runs this unless another is named, and the machine."""
    user, at, machine = invocation.args[0].rpartition("@")
    if not machine:
        raise UsageError(f"{invocation.args[0]} names no machine: user@machine")
    if not user or not at:
        import getpass

        user = getpass.getuser()
    return user, machine


def _by_certificate(invocation: Invocation, user: str, machine: str) -> int:
    del machine  # ssh gets it as it was written
    private, public = _key_files(invocation)
    body = {
        "public_key": _read(public),
        "valid_principals": invocation.text("valid-principals", user),
        "cert_type": "user",
        "extensions": dict.fromkeys(_EXTENSIONS, ""),
    }
    path = f"{_mount(invocation, 'mount-point', 'ssh')}/sign/{invocation.text('role')}"
    with ErrorPrefix(f"Error signing {public}"):
        answer = invocation.client.send("PUT", path, body=body).json()
    if invocation.truth("no-exec"):
        return invocation.print_answer(answer)
    signed = str(as_map(answer.get("data")).get("signed_key") or "")
    if not signed:
        raise CommandError(f"{path} gave no certificate", EXIT_REMOTE)
    return _run_with_certificate(invocation, private, signed)


def _run_with_certificate(invocation: Invocation, private: str, signed: str) -> int:
    """Run `ssh` with a certificate in a file that nobody else reads, and that is gone afterwards."""
    from tempfile import TemporaryDirectory

    hosts = _mount(invocation, "host-key-mount-point", "")
    with TemporaryDirectory(prefix="vaultctl-ssh-") as folder:
        certificate = Path(folder) / "certificate.pub"
        certificate.write_text(signed, encoding="utf-8")
        options = ["-i", private, "-o", f"CertificateFile={certificate}"]
        if hosts:
            known = Path(folder) / "known_hosts"
            known.write_text(_authority(invocation, hosts), encoding="utf-8")
            options += ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}"]
        else:
            options += _host_options(invocation)
        return _run(invocation, [invocation.text("ssh-executable", "ssh"), *options])


def _authority(invocation: Invocation, mount: str) -> str:
    """The line of `known_hosts` that trusts the authority of a mount."""
    with ErrorPrefix(f"Error reading {mount}/public_key"):
        key = invocation.client.send("GET", f"{mount}/public_key").body.decode(errors="replace").strip()
    if "\n" in key:
        raise CommandError(f"{mount}/public_key is no single key", EXIT_REMOTE)
    return f"@cert-authority {invocation.text('host-key-hostnames', '*')} {key}\n"


def _by_password(invocation: Invocation, user: str, machine: str) -> int:
    path = f"{_mount(invocation, 'mount-point', 'ssh')}/creds/{invocation.text('role')}"
    body = {"username": user, "ip": _address(machine)}
    with ErrorPrefix("Error getting a one-time password"):
        answer = invocation.client.send("PUT", path, body=body).json()
    if invocation.truth("no-exec"):
        return invocation.print_answer(answer)
    password = str(as_map(answer.get("data")).get("key") or "")
    command = [invocation.text("ssh-executable", "ssh"), *_host_options(invocation)]
    helper = shutil.which("sshpass", path=invocation.environ.get("PATH"))
    if helper is not None:
        return _run(invocation, [helper, "-e", *command], {"SSHPASS": password})
    invocation.warn("There is no sshpass here, so type this password where ssh asks for one:")
    invocation.say(password)
    return _run(invocation, command)


def _address(machine: str) -> str:
    """The address of a machine: of version 4 where it has one."""
    try:
        found = socket.getaddrinfo(machine, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CommandError(f"{machine} has no address: {error}", EXIT_LOCAL) from None
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    return str(found[0][4][0])


def _host_options(invocation: Invocation) -> list[str]:
    """How `ssh` checks the machine's key, where no authority says."""
    options = ["-o", f"StrictHostKeyChecking={invocation.text('strict-host-key-checking', 'ask')}"]
    known = invocation.text("user-known-hosts-file")
    return [*options, "-o", f"UserKnownHostsFile={known}"] if known else options


def _key_files(invocation: Invocation) -> tuple[str, str]:
    """The files of the private and the public key: those that are named, else the first usual ones that are there."""
    folder = Path(invocation.environ.get("HOME") or "~").expanduser() / ".ssh"
    private, public = invocation.text("private-key-path"), invocation.text("public-key-path")
    if public and not private and not invocation.truth("no-exec"):
        raise UsageError("-public-key-path needs the private key that belongs to it: -private-key-path")
    if not public:
        names = [private] if private else [str(folder / name) for name in _KEYS]
        private = next((name for name in names if Path(f"{name}.pub").is_file()), "")
        if not private:
            raise CommandError("There is no SSH key in the usual places: name one with -public-key-path")
        public = f"{private}.pub"
    return private, public


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CommandError(f"{file} cannot be read: {why}") from None


def _mount(invocation: Invocation, flag: str, usual: str) -> str:
    return invocation.text(flag, usual).strip("/")


def _run(invocation: Invocation, command: list[str], more: Mapping[str, str] | None = None) -> int:
    """Run `ssh` to the machine, with what stands behind it on the command line."""
    invocation.close()
    invocation.stdout.flush()
    invocation.stderr.flush()
    try:
        done = subprocess.run(
            [*command, *invocation.args], env={**invocation.environ, **(more or {})}, check=False
        )
    except OSError as error:
        raise CommandError(f"{command[0]} cannot be started: {error.strerror}", EXIT_REMOTE) from None
    return EXIT_OK if done.returncode == os.EX_OK else abs(done.returncode)
