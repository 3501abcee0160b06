# SPDX-License-Identifier: Apache-2.0
"""Signatures of reports, made and checked by OpenSSH's `ssh-keygen`: this suite has no keys and no cryptography of its own.

A signature is of the whole file, in OpenSSH's format (PROTOCOL.sshsig) and for NAMESPACE alone, and stands beside the report.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from esa_conformance.errors import ConformanceError

NAMESPACE: Final = "report@european-secrets-api"
"""What a signature is for: a key that signs other things too has said nothing here by those."""
_TOOL: Final = "ssh-keygen"
_SECONDS: Final = 120
_KEY: Final = re.compile(r"with (\S+ key SHA256:[0-9A-Za-z+/]{43})")


@dataclass(frozen=True)
class Signature:
    """What was found: a fault, or by which key it is good, and whom a list of signers knows by it."""

    fault: str = ""
    key: str = ""
    signer: str = ""


def signature_of(report: Path) -> Path:
    """Where the signature of a report is."""
    return report.with_name(f"{report.name}.sig")


def sign(report: Path, key: Path) -> Path:
    """Sign a report with a private key, or with the agent's for a public one. Returns the file with the signature.

    Raises ConformanceError where the tool is not there or does not sign.
    """
    done = _run(["-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key.resolve())], report)
    if done.returncode != 0 or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise ConformanceError("ssh-keygen did not sign: is this a key that it can use?")
    target = signature_of(report)
    target.write_bytes(done.stdout)
    return target


def looked_at(report: Path, signers: Path | None) -> Signature | None:
    """Look at the signature beside a report; None where there is none. `signers` is a file as ssh-keygen(1) describes it.

    Raises ConformanceError where the tool is not there.
    """
    beside = signature_of(report)
    if not beside.is_file():
        return None
    place = str(beside.resolve())
    checked = _run(["-Y", "check-novalidate", "-n", NAMESPACE, "-s", place], report)
    found = _KEY.search(checked.stdout.decode(errors="replace"))
    if checked.returncode != 0 or found is None:
        return Signature(fault="it is not of this report")
    if signers is None:
        return Signature(key=found[1])
    listed = str(signers.resolve())
    known = _run(["-Y", "find-principals", "-s", place, "-f", listed], report)
    for signer in known.stdout.decode(errors="replace").splitlines():
        words = ["-Y", "verify", "-f", listed, "-I", signer, "-n", NAMESPACE, "-s", place]
        if known.returncode == 0 and _run(words, report).returncode == 0:
            return Signature(key=found[1], signer=signer)
    return Signature(fault="it is of nobody whom the signers' file allows", key=found[1])


def _run(words: Sequence[str], report: Path) -> subprocess.CompletedProcess[bytes]:
    """Run the tool with the report on its input; a passphrase is asked for at the terminal."""
    try:
        with report.open("rb") as content:
            return subprocess.run(
                [_TOOL, *words], stdin=content, capture_output=True, check=False, timeout=_SECONDS
            )
    except OSError:
        raise ConformanceError(
            "ssh-keygen cannot be started: it is in OpenSSH's package of clients"
        ) from None
    except subprocess.TimeoutExpired:
        raise ConformanceError(f"ssh-keygen takes more than {_SECONDS} s") from None
