# SPDX-License-Identifier: EUPL-1.2
"""Which Biscuit a command is about, whose key signed it, and how errors about it are worded."""

from __future__ import annotations

import sys

from vaultctl.body import read_file, read_stdin
from vaultctl.errors import CommandError, ExtraErrors
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nhi.biscuit.format.chain import Key

_NO_BISCUIT = "this is no Biscuit"


class OfflineErrors(ExtraErrors):
    """`with OfflineErrors(…):` turns what is wrong with a token, and a package that is not installed, into the command's error."""

    extra = "nhi"
    needed = ("nhi", "msgspec", "biscuit_auth", "cryptography")

    def __init__(self, invocation: Invocation) -> None:
        self._hint = "" if invocation.text("token-file") else "; -token-file names a file with one"

    def turned(self, error: BaseException) -> CommandError | None:
        """See `ExtraErrors.turned`."""
        failure = sys.modules.get("nhi.biscuit.format.error")
        if failure is not None and isinstance(error, failure.BiscuitError):
            return CommandError(f"{error}{self._hint if str(error).startswith(_NO_BISCUIT) else ''}")
        return None


def mount(invocation: Invocation) -> str:
    """Where the engine is mounted."""
    return invocation.text("mount", "nhi").strip("/")


def the_token(invocation: Invocation) -> str:
    """The Biscuit that -token-file names, else the token in use. CommandError where there is none."""
    file = invocation.text("token-file")
    token = text_of(invocation, file) if file else invocation.token
    if not token:
        raise CommandError("a Biscuit is needed: name its file with -token-file, or log in")
    return token


def text_of(invocation: Invocation, file: str) -> str:
    """What a file holds, or standard input where it is -, white space trimmed."""
    return (read_stdin(invocation.stdin) if file == "-" else read_file(file)).strip()


def issuer_key(invocation: Invocation, token: str) -> Key:
    """The public key that signed a token: -root-key, or what the server says of the key's number."""
    from nhi.holder.tokens import root_key, root_key_id

    given = invocation.text("root-key")
    if given:
        return root_key(given)
    number = root_key_id(token)
    where = f"{mount(invocation)}/public-keys"
    with ErrorPrefix(f"Error reading {where}"):
        answer = invocation.client.send("GET", where, with_token=False, preliminary=True).json()
    for one in map(as_map, as_list(as_map(answer.get("data")).get("keys"))):
        if one.get("key_id") == number:
            return root_key(f"{one.get('algorithm')}/{one.get('key_bytes')}")
    raise CommandError(
        f"{where} has no key {number}: the token is of another issuer, or its key was destroyed"
    )
