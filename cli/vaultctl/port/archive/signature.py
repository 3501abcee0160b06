# SPDX-License-Identifier: EUPL-1.2
"""Signatures of manifests, made and checked by OpenSSH's `ssh-keygen` (PROTOCOL.sshsig): nothing here signs by itself.

What is signed and checked are bytes in memory: a file may be another when it is read again.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from vaultctl.errors import CommandError
from vaultctl.port.archive.manifest import NAME, read_bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Self

NAMESPACE = "archive@european-secrets-api"
"""What a signature is for: a key that signs other things too has said nothing here by those."""
_TRIAL = "trial.archive@european-secrets-api"
"""What a signature is for that only shows that a key signs: none of it is one of an archive."""
_SECONDS = 120
_LONGEST = 64 << 10
_BEGIN = b"-----BEGIN SSH SIGNATURE-----"
_PRIVATE = b"-----BEGIN "
_SILENT = {"SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}
"""Has ssh-keygen(1) ask nobody for a passphrase."""
_WAIT = 'echo "$SSH_AGENT_PID"; exec cat >/dev/null'
_KEY = re.compile(r"with (\S+ key SHA256:[0-9A-Za-z+/]{43})")


def signature_of(folder: Path) -> Path:
    """Where the signature of an archive's manifest is."""
    return folder / f"{NAME}.sig"


class Signer:
    """`with Signer(key) as signer:` has a private key, or the agent's for a public one, that has been tried.

    A passphrase is asked for once, at the beginning: a process of OpenSSH's (ssh-agent) has the key until the end of the block.
    """

    def __init__(self, key: str, *, asks: bool) -> None:
        """`asks` says whether somebody may be asked for a passphrase."""
        self._key, self._asks = str(Path(key).resolve()), asks
        self._open = ExitStack()
        self._environment: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        """CommandError for a key that cannot sign: hours before it has to."""
        if self._signature(b"", _TRIAL, _SILENT):
            return self
        if not self._asks:
            raise _not_signed()
        with ExitStack() as opened:
            if _has_passphrase_alone(self._key):
                self._environment = opened.enter_context(_agent_with(self._key))
            if not self._signature(b"", _TRIAL, self._environment):
                raise _not_signed()
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def sign(self, manifest: bytes) -> bytes:
        """Sign a manifest. CommandError where that fails."""
        made = self._signature(manifest, NAMESPACE, self._environment)
        if not made:
            raise _not_signed()
        return made

    def _signature(self, content: bytes, namespace: str, environment: Mapping[str, str]) -> bytes:
        """The signature, empty where there is none."""
        done = _run(
            ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", self._key], content, environment
        )
        return done.stdout if done.returncode == 0 and done.stdout.startswith(_BEGIN) else b""


def _not_signed() -> CommandError:
    return CommandError("ssh-keygen did not sign: is -sign-key a key that it can use?")


def _has_passphrase_alone(key: str) -> bool:
    """Whether it is a private key that an agent can have; one in a security key asks for its PIN at each signature."""
    try:
        with open(key, "rb") as content:
            private = content.read(len(_PRIVATE)) == _PRIVATE
    except OSError:
        return False
    return private and b"-SK)" not in _run(["ssh-keygen", "-l", "-f", key], b"").stdout


@contextmanager
def _agent_with(key: str) -> Iterator[Mapping[str, str]]:
    """An agent that has the key alone, whose passphrase ssh-add asks for; what others have to know to reach it.

    It ends with the block, and within seconds of a process that is killed.
    """
    with ExitStack() as opened:
        place = opened.enter_context(tempfile.TemporaryDirectory(prefix="vaultctl-"))
        environment = {"SSH_AUTH_SOCK": f"{place}/agent"}
        # The agent ends with its command, and that with our end of the pipe.
        command = ["ssh-agent", "-a", environment["SSH_AUTH_SOCK"], "sh", "-c", _WAIT]
        try:
            waiting = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            raise _missing("ssh-agent") from None
        with waiting:
            assert waiting.stdout is not None
            agent = waiting.stdout.readline().strip()
            if not agent.isdigit():
                raise CommandError("ssh-agent does not start")
            try:
                if _run(["ssh-add", "-q", key], None, environment).returncode != 0:
                    raise _not_signed()
                yield environment
            finally:
                with suppress(ProcessLookupError):
                    os.kill(int(agent), signal.SIGTERM)


def check(manifest: bytes, folder: Path, signers: str) -> str:
    """Return who signed, by a file of allowed signers as ssh-keygen(1) describes it. CommandError if none of them did."""
    signature = signature_of(folder)
    if not signature.is_file():
        raise CommandError(f"{folder}: the archive is not signed; -unsigned takes it as it is")
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(read_bounded(signature, _LONGEST))
        copy.flush()
        listed = str(Path(signers).resolve())
        known = _run(["ssh-keygen", "-Y", "find-principals", "-s", copy.name, "-f", listed], manifest)
        for signer in known.stdout.decode(errors="replace").splitlines():
            words = [
                "ssh-keygen",
                "-Y",
                "verify",
                "-f",
                listed,
                "-I",
                signer,
                "-n",
                NAMESPACE,
                "-s",
                copy.name,
            ]
            checked = _run(words, manifest)
            found = _KEY.search(checked.stdout.decode(errors="replace"))
            if checked.returncode == 0 and found:
                return f"{signer} ({found[1]})"
    raise CommandError(f"{folder}: the manifest has no good signature of anybody whom {signers} allows")


def _run(
    command: Sequence[str], content: bytes | None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a tool with what is signed on its input; a passphrase is asked for at the terminal."""
    given: dict[str, Any] = {"input": content} if content is not None else {"stdin": subprocess.DEVNULL}
    try:
        return subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            env={**os.environ, **(environment or {})},
            **given,
        )
    except OSError:
        raise _missing(command[0]) from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"{command[0]} takes more than {_SECONDS} s") from None


def _missing(tool: str) -> CommandError:
    return CommandError(f"{tool} cannot be started: it is in OpenSSH's package of clients")
