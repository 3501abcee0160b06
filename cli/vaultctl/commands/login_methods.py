# SPDX-License-Identifier: EUPL-1.2
"""login with what a machine already has: an identity provider's token, a service account, a TLS certificate."""

from __future__ import annotations

from pathlib import Path

from vaultctl.body import parse_body
from vaultctl.errors import EXIT_REMOTE, CommandError
from vaultctl.invocation import Doing, Invocation
from vaultctl.prompt import ask_hidden

_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 -- a file's name


def with_jwt(invocation: Invocation) -> dict[str, object]:
    """Log in with an identity provider's token, which is asked for where it is not given."""
    given = pairs(invocation)
    jwt = str(given.get("jwt") or "")
    if not jwt:
        try:
            jwt = ask_hidden(invocation, "JWT")
        except CommandError as error:
            raise CommandError(f"Error authenticating: {error}", EXIT_REMOTE) from None
    return _enter(invocation, given, "jwt", {"role": given.get("role") or "", "jwt": jwt})


def with_kubernetes(invocation: Invocation) -> dict[str, object]:
    """Log in as the service account of this pod, or with the token that is given."""
    given = pairs(invocation)
    role = str(given.get("role") or "")
    if not role:
        raise CommandError("Error authenticating: 'role' must be specified", EXIT_REMOTE)
    jwt = str(given.get("jwt") or "")
    if not jwt:
        file = Path(str(given.get("token_file") or _ACCOUNT_TOKEN))
        try:
            jwt = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise CommandError(
                f"Error authenticating: {file} cannot be read; give jwt=@FILE outside of a pod", EXIT_REMOTE
            ) from None
    return _enter(invocation, given, "kubernetes", {"role": role, "jwt": jwt})


def with_certificate(invocation: Invocation) -> dict[str, object]:
    """Log in with the certificate of -client-cert, which the connection shows."""
    given = pairs(invocation)
    name = str(given.get("name") or "")
    return _enter(invocation, given, "cert", {"name": name} if name else {})


def pairs(invocation: Invocation) -> dict[str, object]:
    """The key=value arguments."""
    return parse_body(invocation.args, invocation.stdin)


def mount_of(invocation: Invocation, given: dict[str, object], usual: str) -> str:
    """Where the auth method is."""
    return (invocation.text("path") or str(given.get("mount") or "") or usual).strip("/")


def _enter(
    invocation: Invocation, given: dict[str, object], usual: str, body: dict[str, object]
) -> dict[str, object]:
    client = invocation.client_with("", wrap=False)
    with Doing("Error authenticating"):
        path = f"auth/{mount_of(invocation, given, usual)}/login"
        return client.send("PUT", path, body=body, with_token=False).json()
