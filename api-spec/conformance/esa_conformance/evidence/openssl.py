# SPDX-License-Identifier: Apache-2.0
"""Signatures are verified, and assertions signed, by a program that the operator names: OpenSSL 3. The suite has no cryptography of its own."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from esa_conformance.errors import ConformanceError
from esa_conformance.evidence.notes import ED25519, Key

_SECONDS: Final = 30.0
_EARLY: Final = re.compile(r"Max Early Data: (\d+)")


def is_good(program: str, key: Key, text: bytes, signature: bytes) -> bool:
    """Whether `signature` is of this text by this key.

    The program is started without a shell, with paths of files alone. Raises ConformanceError where it does not run.
    """
    with tempfile.TemporaryDirectory(prefix="esa-") as folder:
        paths = {name: Path(folder) / name for name in ("key", "text", "signature")}
        for name, data in (("key", key.der), ("text", text), ("signature", signature)):
            paths[name].write_bytes(data)
        given = ["-keyform", "DER", "-in", str(paths["text"]), "-sigfile", str(paths["signature"])]
        digest = [] if key.kind == ED25519 else ["-digest", "sha256"]
        return _ran(
            [program, "pkeyutl", "-verify", "-pubin", "-inkey", str(paths["key"]), *given, "-rawin", *digest]
        )


class SigningKey:
    """A key of a run's own, for what a platform would sign: RSA of 2048 bits, and RS256 (RFC 7518, section 3.3)."""

    def __init__(self, program: str) -> None:
        """Have a key made by the program. Raises ConformanceError where it does not run."""
        made = [program, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
        self._program = program
        self._private = _made(made, b"")
        self.public = _made([program, "pkey", "-pubout"], self._private).decode()

    def sign(self, text: bytes) -> bytes:
        """Sign a text. The key is in a file for as long as the program runs, which nobody else may read."""
        with tempfile.TemporaryDirectory(prefix="esa-") as folder:
            key = Path(folder) / "key"
            key.write_bytes(self._private)
            return _made([self._program, "dgst", "-sha256", "-sign", str(key)], text)


def early_data_bytes(program: str, place: tuple[str, int]) -> int:
    """How many bytes of early data the tickets of a TLS 1.3 server allow at most; 0 where there are no tickets.

    Raises ConformanceError where the program does not run, or no connection was made.
    """
    host, port = place
    to = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = [program, "s_client", "-connect", to, "-tls1_3", "-ign_eof"]
    shown = _output(command, b"GET /v1/sys/health HTTP/1.0\r\n\r\n").stdout.decode("utf-8", "replace")
    if "New, TLSv1.3" not in shown:
        raise ConformanceError("hooks.openssl: no connection by TLS 1.3")
    return max([int(found) for found in _EARLY.findall(shown)], default=0)


def _ran(command: list[str]) -> bool:
    return _output(command, b"").returncode == 0


def _made(command: list[str], given: bytes) -> bytes:
    ended = _output(command, given)
    if ended.returncode or not ended.stdout:
        raise ConformanceError(f"hooks.openssl: {command[1]} does not succeed")
    return ended.stdout


def _output(command: list[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, input=given, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConformanceError(f"hooks.openssl does not run: {type(error).__name__}") from None
