# SPDX-License-Identifier: EUPL-1.2
"""A fresh token of NSS softoken (the module inside Firefox), in a folder of the test's own."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LABEL = "NSS Certificate DB"
"""What NSS calls its token; it cannot be chosen when a database is made."""

_PIN = "nss-pin-4711"


@dataclass(frozen=True)
class NssToken:
    """How to reach a token of NSS."""

    library: Path
    label: str
    pin: str
    parameters: str
    """What `C_Initialize` gets: where the database is."""


def new_nss_token(folder: Path, *, pin: str = _PIN) -> NssToken:
    """Make a database with one token, whose user PIN is `pin`, in `folder`."""
    folder.mkdir(mode=0o700)
    password = folder / "password"
    password.write_text(f"{pin}\n", encoding="utf-8")
    subprocess.run(
        ["certutil", "-N", "-d", f"sql:{folder}", "-f", str(password)], check=True, capture_output=True
    )
    return NssToken(library_path(), LABEL, pin, _parameters(folder))


def nss_token(folder: Path, made: Mapping[str, bytes]) -> NssToken:
    """Make one with what the files of another one hold, or a new one where that is nothing."""
    if not made:
        return new_nss_token(folder)
    folder.mkdir(mode=0o700)
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return NssToken(library_path(), LABEL, _PIN, _parameters(folder))


def library_path() -> Path:
    """Where Debian keeps the module. Raises `FileNotFoundError`: run `.ci/system-packages test`."""
    for found in sorted(Path("/usr/lib").glob("*/libsoftokn3.so")):
        return found
    raise FileNotFoundError("libsoftokn3.so of NSS is missing: run .ci/system-packages test")


def _parameters(folder: Path) -> str:
    return f"configdir='sql:{folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=readWrite"
