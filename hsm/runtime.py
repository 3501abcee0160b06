# SPDX-License-Identifier: EUPL-1.2
"""Where this user's markers of wrong PINs are kept, and which boot it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return the kernel's id of this boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def runtime_directory(environment: Mapping[str, str]) -> Path:
    """Return where this user's markers go: systemd's runtime directory, or one of the user's own.

    It must be empty after a boot or survive until one, and be the same for all servers of this user.
    """
    for variable in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        first = environment.get(variable, "").split(":")[0]
        if first.startswith("/"):
            return Path(first) / "coffre-hsm"
    if os.geteuid() == 0:
        return Path("/run/coffre-hsm")
    return Path(f"/tmp/coffre-hsm-{os.geteuid()}")  # noqa: S108 - checked for owner and mode before use
