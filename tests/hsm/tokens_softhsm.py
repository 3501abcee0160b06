# SPDX-License-Identifier: EUPL-1.2
"""A fresh token of SoftHSM, in a folder of the test's own."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_SO_PIN = "so-pin-4711"


@dataclass(frozen=True)
class SoftHsmToken:
    """How to reach a token of SoftHSM."""

    library: Path
    label: str
    pin: str
    tokens: Path
    """The folder with the token's objects; without it the device is as if unplugged."""
    environment: dict[str, str]
    """What the process that loads the module needs: where the configuration is."""


def new_softhsm_token(folder: Path, *, label: str = "soft-a", pin: str = "soft-pin-4711") -> SoftHsmToken:
    """Make a token with the user PIN `pin` in `folder`."""
    tokens, configuration = folder / "tokens", folder / "softhsm2.conf"
    tokens.mkdir(parents=True, exist_ok=True)
    configuration.write_text(
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n", encoding="utf-8"
    )
    environment = {"SOFTHSM2_CONF": str(configuration)}
    command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", _SO_PIN, "--pin", pin]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return SoftHsmToken(library_path(), label, pin, tokens, environment)


def library_path() -> Path:
    """Where Debian keeps the module. Raises `FileNotFoundError`: run `.ci/system-packages test`."""
    for pattern in ("softhsm/libsofthsm2.so", "*/softhsm/libsofthsm2.so"):
        for found in sorted(Path("/usr/lib").glob(pattern)):
            return found
    raise FileNotFoundError("libsofthsm2.so is missing: run .ci/system-packages test")
