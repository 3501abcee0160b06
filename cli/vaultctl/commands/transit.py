# SPDX-License-Identifier: EUPL-1.2
"""Keys of transit that come from elsewhere: they are wrapped here (RFC 5649, RSA-OAEP), and so travel."""

from __future__ import annotations

import sys

from vaultctl.body import parse_body, read_file, read_stdin
from vaultctl.errors import CommandError, ExtraErrors
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_map

_USUAL = "SHA256"
_SHAPE = "expected transit path and key name in the form :path:/keys/:name:"


def import_key(invocation: Invocation) -> int:
    """Take a new key in."""
    return _import(invocation, "import")


def import_version(invocation: Invocation) -> int:
    """Take a version of a key in."""
    return _import(invocation, "import_version")


def _import(invocation: Invocation, operation: str) -> int:
    mount, name = _place(invocation.args[0])
    secret = _material(invocation, invocation.args[1])
    body = parse_body(invocation.args[2:], invocation.stdin)
    where = f"{mount}/wrapping_key"
    with ErrorPrefix(f"Error reading {where}"):
        answer = invocation.client_with(invocation.token, wrap=False).send("GET", where).json()
    public = as_map(answer.get("data")).get("public_key")
    body["ciphertext"] = _wrapped(str(public), str(body.get("hash_function", _USUAL)), secret)
    path = f"{mount}/keys/{name}/{operation}"
    with ErrorPrefix(f"Error writing data to {path}"):
        response = invocation.client.send("PUT", path, body=body)
    return invocation.print_written(response, path)


def _place(path: str) -> tuple[str, str]:
    """The mount and the name of a key. CommandError where the path is of none."""
    mount, keys, name = path.rpartition("/keys/")
    if not keys or not mount.strip("/") or not name or "/" in name:
        raise CommandError(_SHAPE)
    return mount.strip("/"), name


def _material(invocation: Invocation, source: str) -> bytes:
    """The key. CommandError where it stands in the argument itself, or is not in base64."""
    import base64
    import binascii

    if source == "-":
        text = read_stdin(invocation.stdin)
    elif source.startswith("@"):
        text = read_file(source[1:])
    else:
        raise CommandError(
            "a key in an argument is seen by others on this machine: give `@FILE`, or `-` for standard input"
        )
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise CommandError("error base64 decoding source key material") from None


def _wrapped(pem: str, hash_name: str, secret: bytes) -> str:
    """The key, wrapped for the wrapping key, in base64. CommandError for a hash or a wrapping key that is none."""
    import base64

    with WrappingErrors():
        from vault.engines.transit.moving.envelope import wrap_for
        from vault.framework.clock import Entropy

        if not secret:
            raise CommandError("the key is empty")
        return base64.b64encode(wrap_for(pem, hash_name, secret, Entropy())).decode()


class WrappingErrors(ExtraErrors):
    """`with WrappingErrors():` turns what cannot be wrapped, and a package that is not installed, into the command's error."""

    needed = ("cryptography", "msgspec", "vault")

    def turned(self, error: BaseException) -> CommandError | None:
        """See `ExtraErrors.turned`."""
        refusals = sys.modules.get("vault.framework.errors")
        if refusals is not None and isinstance(error, refusals.Malformed):
            return CommandError(str(error))
        return None
