# SPDX-License-Identifier: EUPL-1.2
"""auth help: how to log in with a type of auth method, or with the one that is mounted at a path."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map

_MOUNT = ("mount", "Where the method is; default: its type. The same as -path.")
_SETTINGS = {
    "token": (("token", "The token to log in with; it is asked for unless given as the argument."),),
    "userpass": (
        ("username", "Whose password it is."),
        ("password", "The password; it is asked for, and not shown, unless given."),
        _MOUNT,
    ),
    "approle": (
        ("role_id", "Which role to log in as."),
        ("secret_id", "The secret id that goes with it; it is asked for, and not shown, unless given."),
        _MOUNT,
    ),
    "jwt": (
        ("role", "Which role to log in as; default: the method's own."),
        ("jwt", "The token of the identity provider; it is asked for, and not shown, unless given."),
        _MOUNT,
    ),
    "kubernetes": (
        ("role", "Which role to log in as."),
        ("jwt", "The token of the service account; default: what is in the token's file."),
        ("token_file", "The file that holds it; default: where it is in a pod."),
        _MOUNT,
    ),
    "cert": (
        ("name", "Which role the certificate of -client-cert and -client-key is for; default: any."),
        _MOUNT,
    ),
    "nhi": (
        ("client_id", "Which registration to log in as."),
        ("client_secret", "Its secret; it is asked for, and not shown, unless another proof is given."),
        ("jwt", "A token of its issuer or its cluster."),
        ("client_assertion", "A token that it has signed itself (RFC 7523)."),
        _MOUNT,
    ),
    "oidc": (
        ("role", "Which role to log in as; default: the method's own."),
        ("callbackmode", "client: the browser comes back to this machine; device or direct: to the server."),
        ("listenaddress", "Where to wait for the browser; default: localhost."),
        ("port", "The port to wait on; default: 8250."),
        ("callbackmethod", "http or https: how the browser comes back."),
        ("callbackhost", "The host that the browser comes back to; default: localhost."),
        ("callbackport", "The port that the browser comes back to; default: the one that is waited on."),
        ("skip_browser", "true: only print the address, and open no browser."),
        _MOUNT,
    ),
}
"""What `login` takes as key=value, by methods."""


def show(invocation: Invocation) -> int:
    """Print what `login` takes for a type, or for the type of what is mounted at a path."""
    name = invocation.args[0].strip(" /")
    method = name if name in _SETTINGS else _mounted(invocation, name)
    if method not in _SETTINGS:
        raise CommandError(
            f"vaultctl login has no method for this type; see `vaultctl path-help auth/{name}`", EXIT_REMOTE
        )
    lines = [f"Usage: vaultctl login -method={method} [options] [key=value...]"]
    for key, text in _SETTINGS[method]:
        lines += ["", f"  {key}=<string>", f"      {text}"]
    invocation.say("\n".join(lines))
    return EXIT_OK


def _mounted(invocation: Invocation, name: str) -> str:
    """The type of the method that is mounted there."""
    with ErrorPrefix("Error listing auth methods"):
        mounted = as_map(invocation.client.send("GET", "sys/auth").json().get("data"))
    if f"{name}/" not in mounted:
        raise CommandError(f'No auth method available on the server at "{name}/"')
    return str(as_map(mounted[f"{name}/"]).get("type"))
