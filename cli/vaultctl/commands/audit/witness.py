# SPDX-License-Identifier: EUPL-1.2
"""audit witness: runs a witness, which needs nothing of a vault, and no vault to run."""

from __future__ import annotations

import sys

from vaultctl.errors import EXIT_OK, CommandError, ExtraErrors, UsageError
from vaultctl.invocation import Invocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from vault.log.format.note_key import Verifier
    from vault.log.witness.server.key_file import WitnessKey
    from vault.log.witness.server.memory import Memory
    from vault.log.witness.server.verdict import Witness

_LISTEN = "127.0.0.1:8380"
_LAST_PORT = 65_535


class WitnessErrors(ExtraErrors):
    """`with WitnessErrors():` turns what keeps a witness from starting, and a package that is not installed, into the command's error."""

    needed = ("cryptography", "h11", "msgspec", "vault")

    def turned(self, error: BaseException) -> CommandError | None:
        """See `ExtraErrors.turned`."""
        modules = ("vault.log.witness.server.memory", "vault.log.witness.server.key_file")
        memory, keys = (sys.modules.get(name) for name in modules)
        if (memory and isinstance(error, memory.UnfitMemory)) or (keys and isinstance(error, keys.UnfitKey)):
            return CommandError(str(error))
        if isinstance(error, OSError):
            return CommandError(f"{error.filename or 'the port'}: {error.strerror}")
        return None


def run(invocation: Invocation) -> int:
    """Answer logs until the process is told to end."""
    import asyncio

    host, port = _address(invocation.text("listen", _LISTEN))
    with WitnessErrors():
        tls = _tls(invocation)
        witness, memory = _witness(invocation)
        try:
            asyncio.run(_listen(invocation, witness, host, port, tls))
        finally:
            memory.close()
    return EXIT_OK


async def _listen(
    invocation: Invocation, witness: Witness, host: str, port: int, tls: ssl.SSLContext | None
) -> None:
    import asyncio
    import signal

    from vault.log.witness.server.listening import WitnessListener

    def tell(line: str) -> None:
        invocation.say(line)
        invocation.stdout.flush()

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    listening = WitnessListener(witness, tell)
    bound = await listening.start(host, port, tls)
    shown = f"[{host}]" if ":" in host else host
    tell(f"Listening:    {'https' if tls else 'http'}://{shown}:{bound}")
    await ended.wait()
    await listening.stop()


def _witness(invocation: Invocation) -> tuple[Witness, Memory]:
    """The witness that the flags describe, and what it has seen; its key is made where there is none."""
    import time
    from pathlib import Path

    from vault.log.witness.server.memory import open_memory
    from vault.log.witness.server.verdict import KnownLogs, Witness

    logs = KnownLogs(_log_keys(invocation))
    path, folder = (_path(invocation, flag) for flag in ("key", "state"))
    key, fresh = _key(invocation, path)
    memory = open_memory(Path(folder), key.verifier, fresh=fresh)
    try:
        if fresh:
            from vault.log.witness.server.key_file import write_key

            write_key(path, key)
    except OSError:
        memory.close()
        raise
    invocation.say(f"Verifier key: {key.verifier.vkey}")
    return Witness(key, logs, memory, lambda: int(time.time())), memory


def _key(invocation: Invocation, path: Path) -> tuple[WitnessKey, bool]:
    """The key in the file, or a new one where there is no file; and whether it is new."""
    import os

    from vault.log.format.note_key import BadName
    from vault.log.witness.server.key_file import SEED_BYTES, WitnessKey, read_key

    name = invocation.text("name")
    try:
        key = read_key(path)
    except FileNotFoundError:
        if not name:
            raise UsageError(
                f"-name: {path} is not there, and a new key needs a name, such as witness.example.eu/w1"
            ) from None
        try:
            return WitnessKey(name, os.urandom(SEED_BYTES)), True
        except BadName as problem:
            raise UsageError(f"-name: {problem}") from None
    if name and name != key.verifier.name:
        raise UsageError(f"-name: the key in {path} is called {key.verifier.name}")
    return key, False


def _log_keys(invocation: Invocation) -> list[Verifier]:
    from vault.log.format.note_key import BadKey, BadName, Verifier

    found = []
    for text in invocation.texts("log"):
        try:
            found.append(Verifier.parse(text))
        except (BadKey, BadName) as problem:
            raise UsageError(f"-log: {problem}") from None
    if not found:
        raise UsageError("-log: give the verifier key of each log; `vaultctl read sys/log/status` shows it")
    return found


def _path(invocation: Invocation, flag: str) -> Path:
    from pathlib import Path

    given = invocation.text(flag)
    if not given:
        what = {"key": "the file of the witness's key", "state": "the folder of what it has seen"}[flag]
        raise UsageError(f"-{flag}: name {what}")
    return Path(given)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) <= _LAST_PORT):
        raise UsageError("-listen: must be HOST:PORT, such as 127.0.0.1:8380")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _tls(invocation: Invocation) -> ssl.SSLContext | None:
    """How the witness proves who it is, where it does so itself."""
    certificate, key = invocation.text("tls-cert-file"), invocation.text("tls-key-file")
    if bool(certificate) != bool(key):
        raise UsageError("-tls-cert-file and -tls-key-file go together")
    if not certificate:
        return None
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError:
        raise CommandError(f"{certificate}: is no certificate in PEM, or {key} is not its key") from None
    return context
