# SPDX-License-Identifier: Apache-2.0
"""Signatures of reports, by a command of whoever holds the key: this suite has no cryptography of its own."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from pathlib import Path
from typing import Final

from esa_conformance.errors import ConformanceError, UsageError

_SECONDS: Final = 120


def sign(report: Path, command: str) -> Path:
    """Have a report signed: the command gets its SHA-256 in hex on its input, and what it prints is the signature.

    Returns the file with the signature, beside the report. Raises ConformanceError where the command fails.
    """
    done = _run(shlex.split(command), report)
    if done.returncode != 0 or not done.stdout:
        raise ConformanceError("the command of --sign-with did not sign")
    target = report.with_name(f"{report.name}.sig")
    target.write_bytes(done.stdout)
    return target


def is_signed(report: Path, command: str) -> bool:
    """Whether a command says so: it gets the digest on its input, and the file with the signature as last argument."""
    signature = report.with_name(f"{report.name}.sig")
    if not signature.is_file():
        return False
    return _run([*shlex.split(command), str(signature)], report).returncode == 0


def _run(words: list[str], report: Path) -> subprocess.CompletedProcess[bytes]:
    digest = hashlib.sha256(report.read_bytes()).hexdigest()
    try:
        return subprocess.run(
            words, input=f"{digest}\n".encode(), capture_output=True, check=False, timeout=_SECONDS
        )
    except (OSError, IndexError):
        raise UsageError("the command for signatures cannot be started") from None
    except subprocess.TimeoutExpired:
        raise ConformanceError(f"the command for signatures takes more than {_SECONDS} s") from None
