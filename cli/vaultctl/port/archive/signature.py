# SPDX-License-Identifier: EUPL-1.2
"""Signatures of manifests, made and checked by OpenSSH's `ssh-keygen` (PROTOCOL.sshsig): nothing here signs by itself."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from vaultctl.errors import CommandError
from vaultctl.port.archive.manifest import write_file

NAMESPACE = "archive@european-secrets-api"
"""What a signature is for: a key that signs other things too has said nothing here by those."""
_SECONDS = 120
_KEY = re.compile(r"with (\S+ key SHA256:[0-9A-Za-z+/]{43})")


def signature_of(manifest: Path) -> Path:
    """Where the signature of a manifest is."""
    return manifest.with_name(f"{manifest.name}.sig")


def sign(manifest: Path, key: str) -> None:
    """Sign with a private key, or with the agent's for a public one. CommandError where that fails."""
    done = _run(["-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(Path(key).resolve())], manifest)
    if done.returncode != 0 or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise CommandError("ssh-keygen did not sign: is -sign-key a key that it can use?")
    write_file(signature_of(manifest), done.stdout)


def check(manifest: Path, signers: str) -> str:
    """Return who signed, by a file of allowed signers as ssh-keygen(1) describes it. CommandError if none of them did."""
    place = str(signature_of(manifest).resolve())
    if not signature_of(manifest).is_file():
        raise CommandError(f"{manifest.parent}: the archive is not signed; -unsigned takes it as it is")
    listed = str(Path(signers).resolve())
    known = _run(["-Y", "find-principals", "-s", place, "-f", listed], manifest)
    for signer in known.stdout.decode(errors="replace").splitlines():
        words = ["-Y", "verify", "-f", listed, "-I", signer, "-n", NAMESPACE, "-s", place]
        checked = _run(words, manifest)
        found = _KEY.search(checked.stdout.decode(errors="replace"))
        if checked.returncode == 0 and found:
            return f"{signer} ({found[1]})"
    raise CommandError(
        f"{manifest.parent}: the manifest has no good signature of anybody whom {signers} allows"
    )


def _run(words: Sequence[str], manifest: Path) -> subprocess.CompletedProcess[bytes]:
    """Run the tool with the manifest on its input; a passphrase is asked for at the terminal."""
    try:
        with manifest.open("rb") as content:
            return subprocess.run(
                ["ssh-keygen", *words], stdin=content, capture_output=True, check=False, timeout=_SECONDS
            )
    except OSError:
        raise CommandError("ssh-keygen cannot be started: it is in OpenSSH's package of clients") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"ssh-keygen takes more than {_SECONDS} s") from None
