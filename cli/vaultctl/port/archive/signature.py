# SPDX-License-Identifier: EUPL-1.2
"""Signatures of manifests, made and checked by OpenSSH's `ssh-keygen` (PROTOCOL.sshsig): nothing here signs by itself.

What is signed and checked are bytes in memory: a file may be another when it is read again.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vaultctl.errors import CommandError
from vaultctl.port.archive.manifest import NAME, read_bounded

NAMESPACE = "archive@european-secrets-api"
"""What a signature is for: a key that signs other things too has said nothing here by those."""
_TRIAL = "trial.archive@european-secrets-api"
"""What a signature is for that only shows that a key signs: none of it is one of an archive."""
_SECONDS = 120
_LONGEST = 64 << 10
_BEGIN = b"-----BEGIN SSH SIGNATURE-----"
_KEY = re.compile(r"with (\S+ key SHA256:[0-9A-Za-z+/]{43})")


def signature_of(folder: Path) -> Path:
    """Where the signature of an archive's manifest is."""
    return folder / f"{NAME}.sig"


def try_key(key: str) -> None:
    """Sign something that nobody needs. CommandError for a key that cannot: hours before it has to."""
    _sign(b"", key, _TRIAL)


def sign(manifest: bytes, key: str) -> bytes:
    """Sign with a private key, or with the agent's for a public one. CommandError where that fails."""
    return _sign(manifest, key, NAMESPACE)


def _sign(content: bytes, key: str, namespace: str) -> bytes:
    done = _run(["-q", "-Y", "sign", "-n", namespace, "-f", str(Path(key).resolve())], content)
    if done.returncode != 0 or not done.stdout.startswith(_BEGIN):
        raise CommandError("ssh-keygen did not sign: is -sign-key a key that it can use?")
    return done.stdout


def check(manifest: bytes, folder: Path, signers: str) -> str:
    """Return who signed, by a file of allowed signers as ssh-keygen(1) describes it. CommandError if none of them did."""
    signature = signature_of(folder)
    if not signature.is_file():
        raise CommandError(f"{folder}: the archive is not signed; -unsigned takes it as it is")
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(read_bounded(signature, _LONGEST))
        copy.flush()
        listed = str(Path(signers).resolve())
        known = _run(["-Y", "find-principals", "-s", copy.name, "-f", listed], manifest)
        for signer in known.stdout.decode(errors="replace").splitlines():
            words = ["-Y", "verify", "-f", listed, "-I", signer, "-n", NAMESPACE, "-s", copy.name]
            checked = _run(words, manifest)
            found = _KEY.search(checked.stdout.decode(errors="replace"))
            if checked.returncode == 0 and found:
                return f"{signer} ({found[1]})"
    raise CommandError(f"{folder}: the manifest has no good signature of anybody whom {signers} allows")


def _run(words: Sequence[str], content: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run the tool with what is signed on its input; a passphrase is asked for at the terminal."""
    try:
        return subprocess.run(
            ["ssh-keygen", *words], input=content, capture_output=True, check=False, timeout=_SECONDS
        )
    except OSError:
        raise CommandError("ssh-keygen cannot be started: it is in OpenSSH's package of clients") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"ssh-keygen takes more than {_SECONDS} s") from None
