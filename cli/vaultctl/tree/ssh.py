# SPDX-License-Identifier: EUPL-1.2
"""Declarations: log-ins to machines."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command

COMMANDS = (
    Command(
        "ssh",
        "ssh.connect:connect",
        "-mode=MODE -role=ROLE [options] [USER@]MACHINE [SSH-OPTIONS...]",
        (1, None, "1-n"),
        "Log in to a machine by a certificate or a one-time password",
        output="field",
        flags=(
            Flag("mode", "text", "ca: have the own key signed; otp: get a one-time password."),
            Flag("role", "text", "Role of the SSH mount."),
            Flag("mount-point", "text", "Path of the SSH mount; default: ssh."),
            Flag("no-exec", "bool", "Print the credential, and start no session."),
            Flag(
                "strict-host-key-checking",
                "text",
                "StrictHostKeyChecking of ssh; default: ask.",
                env="SSH_STRICT_HOST_KEY_CHECKING",
            ),
            Flag(
                "user-known-hosts-file",
                "text",
                "UserKnownHostsFile of ssh.",
                env="SSH_USER_KNOWN_HOSTS_FILE",
            ),
            Flag("ssh-executable", "text", "The ssh to run; default: ssh.", env="SSH_EXECUTABLE"),
            Flag(
                "public-key-path",
                "text",
                "Public key that is signed; default: ~/.ssh/id_ed25519.pub, id_ecdsa.pub or id_rsa.pub.",
            ),
            Flag("private-key-path", "text", "The private key that belongs to it."),
            Flag("valid-principals", "text", "Names that the certificate is for; default: the user."),
            Flag(
                "host-key-mount-point",
                "text",
                "SSH mount whose issuer the machine's key must be signed by, instead of known_hosts.",
                env="SSH_HOST_KEY_MOUNT_POINT",
            ),
            Flag(
                "host-key-hostnames",
                "text",
                "Machines that it may sign for; default: *.",
                env="SSH_HOST_KEY_HOSTNAMES",
            ),
        ),
        details="What stands behind the machine is for ssh. Its exit code is that of ssh. A one-time password is typed by "
        "sshpass where that is installed, else it is shown.",
        ends_flags=True,
    ),
)
