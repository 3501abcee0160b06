# SPDX-License-Identifier: EUPL-1.2
"""login with what a machine already has: an identity provider's token, a service account, a TLS certificate."""

from __future__ import annotations

from pathlib import Path

from vaultctl.body import parse_body
from vaultctl.errors import EXIT_REMOTE, CommandError
from vaultctl.http.settings import Settings
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.prompt import ask_hidden

_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 -- a file's name


def with_jwt(invocation: Invocation) -> dict[str, object]:
    """Log in with an identity provider's token, which is asked for where it is not given."""
    given = pairs(invocation)
    jwt = str(given.get("jwt") or "")
    if not jwt:
        try:
            jwt = ask_hidden(invocation, "JWT", "jwt=-")
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


def with_workload(invocation: Invocation) -> dict[str, object]:
    """Log in as a workload of an nhi mount; its secret is asked for where neither a proof nor a certificate is given."""
    given = pairs(invocation)
    body = {name: value for name, value in given.items() if name != "mount"}
    if not body.get("client_id"):
        raise CommandError("Error authenticating: 'client_id' must be specified", EXIT_REMOTE)
    shown = Settings(invocation.flags, invocation.environ, "").client_cert
    if not shown and not any(body.get(name) for name in ("client_secret", "jwt", "client_assertion")):
        try:
            body["client_secret"] = ask_hidden(invocation, "Client secret", "client_secret=-")
        except CommandError as error:
            raise CommandError(f"Error authenticating: {error}", EXIT_REMOTE) from None
        if not body["client_secret"]:
            raise CommandError("Error authenticating: 'client_secret' must be specified", EXIT_REMOTE)
    return _enter(invocation, given, "nhi", body)


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
    with ErrorPrefix("Error authenticating"):
        path = f"auth/{mount_of(invocation, given, usual)}/login"
        return client.send("PUT", path, body=body, with_token=False).json()
